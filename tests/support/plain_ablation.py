"""A head replaced the plain way: one full forward pass with a hook on z, numbers read from the host's logits."""

import torch
from torch import Tensor

from interp.hooks.hook_point import HookPoint
from interp.hooks.names import HeadId
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch


def logits_with(model: HookedEncoderDecoder, batch: Batch, head: HeadId, z: Tensor) -> Tensor:
    """The logits with one head's z [batch pos d_head] replaced."""

    def put(value: Tensor, hook: HookPoint) -> Tensor:
        edited = value.clone()
        edited[:, :, head.head] = z
        return edited

    with torch.no_grad():
        return model.run_with_hooks(batch, [(head.hook_name("z"), put)])


def prompt_losses(logits: Tensor, batch: Batch) -> Tensor:
    """The mean over a prompt's rows of -log p(label)."""
    losses = torch.nn.functional.cross_entropy(
        logits.transpose(1, 2), batch.labels, ignore_index=-100, reduction="none"
    )
    return losses.sum(-1) / batch.target_mask.sum(-1)


def label_leads(logits: Tensor, clean: Tensor, batch: Batch, rows: Tensor) -> Tensor:
    """The label at one row of every prompt less the token that is best beside it in the clean logits."""
    prompts = torch.arange(len(batch))
    labels = batch.labels[prompts, rows]
    foils = clean[prompts, rows].scatter(1, labels[:, None], -torch.inf).argmax(-1)
    return logits[prompts, rows, labels] - logits[prompts, rows, foils]
