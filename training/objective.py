"""What is minimized, cheaply: label-smoothed cross-entropy over a tied softmax, and dropout from random bytes.

Loss of one target token y: logsumexp(z) − (1 − e) z_y − e mean(z), with logits z = s E h, scale s = d_model^-1/2, embedding E
and smoothing e (Szegedy et al. 2016, section 7). The vocabulary makes the logits the largest array of a step,
so loss and gradients are computed together in chunks of rows, logits are never kept, and padding takes no part. Drawing one
random byte instead of one float an entry makes dropout a small part of a step on a CPU.
"""

from typing import Any

import torch
from torch import nn
from transformers import T5ForConditionalGeneration

from training.data import Batch

CHUNK = 512


class SmoothedTiedLoss(torch.autograd.Function):
    """Summed label-smoothed cross-entropy of `hidden @ weight.T` against `labels`, its gradients computed on the way.

    Shapes: hidden (rows, d_model), weight (vocabulary, d_model), labels (rows).
    """

    @staticmethod
    def forward(  # noqa: D102
        context: Any, hidden: torch.Tensor, weight: torch.Tensor, labels: torch.Tensor, smoothing: float
    ) -> torch.Tensor:
        hidden_gradient, weight_gradient = torch.empty_like(hidden), torch.zeros_like(weight)
        total = hidden.new_zeros(())
        with torch.autocast(hidden.device.type, enabled=False):
            for rows in torch.arange(hidden.shape[0], device=hidden.device).split(CHUNK):
                chunk, label = hidden[rows], labels[rows, None]
                logits = chunk @ weight.T
                largest = logits.amax(1, keepdim=True)
                expected = (1.0 - smoothing) * logits.gather(1, label) + smoothing * logits.mean(1, keepdim=True)
                exponentials = logits.sub_(largest).exp_()
                normalizer = exponentials.sum(1, keepdim=True)
                total += (normalizer.log() + largest - expected).sum()
                gradient = exponentials.div_(normalizer).sub_(smoothing / weight.shape[0])
                gradient.scatter_add_(1, label, torch.full_like(largest, smoothing - 1.0))
                hidden_gradient[rows] = gradient @ weight
                weight_gradient.addmm_(gradient.T, chunk)
        context.save_for_backward(hidden_gradient, weight_gradient)
        return total

    @staticmethod
    def backward(  # noqa: D102
        context: Any, *upstream: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor, None, None]:
        hidden_gradient, weight_gradient = context.saved_tensors
        return hidden_gradient * upstream[0], weight_gradient * upstream[0], None, None


class ByteDropout(nn.Module):
    """Dropout whose rate is the nearest multiple of 1/256: an entry is dropped when a random byte lies below `threshold`."""

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.threshold = round(256 * rate)

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        """`values` with some entries set to 0 and the others scaled up; unchanged outside training."""
        if not self.training or self.threshold == 0:
            return values
        words = torch.empty((values.numel() + 7) // 8, dtype=torch.int64, device=values.device).random_(-(2**63), None)
        kept = words.view(torch.uint8)[: values.numel()].view(values.shape) >= self.threshold
        return values * kept.to(values.dtype).mul_(256.0 / (256 - self.threshold))


def use_byte_dropout(model: T5ForConditionalGeneration, rate: float) -> None:
    """Replaces every dropout module of `model` by `ByteDropout`, and drops nothing in attention weights."""
    for module in list(model.modules()):
        if isinstance(getattr(module, "dropout", None), float):
            module.dropout = 0.0
        for name, child in module.named_children():
            if isinstance(child, nn.Dropout):
                setattr(module, name, ByteDropout(rate))


def batch_loss(model: T5ForConditionalGeneration, batch: Batch, smoothing: float) -> torch.Tensor:
    """Loss of `batch`, summed over its target tokens."""
    memory = model.encoder(input_ids=batch.source, attention_mask=batch.source_mask)[0]
    hidden = model.decoder(
        input_ids=model._shift_right(batch.target),
        encoder_hidden_states=memory,
        encoder_attention_mask=batch.source_mask,
        use_cache=False,
    )[0]
    scale = model.config.d_model**-0.5 if model.config.scale_decoder_outputs else 1.0
    rows = hidden[batch.target_mask].float() * scale
    loss: torch.Tensor = SmoothedTiedLoss.apply(rows, model.lm_head.weight, batch.target[batch.target_mask], smoothing)
    return loss
