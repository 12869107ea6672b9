"""Untrained twins: what a finding must be compared with before it is a finding (Adebayo et al. 2018).

A twin has the same architecture and new random weights. One trap of the host is undone here: a model whose
unembedding is its own tensor would come out of its configuration tied and unscaled, or untied with standard deviation 1, and
its logits would be sqrt(d_model) too large, so that the control would be saturated. The twin's unembedding is drawn by hand
with standard deviation d_model^-0.5 / logit scale, which gives logits of standard deviation 1.
"""

import copy

import torch
from torch import nn

from interp.model.hooked_model import HookedEncoderDecoder


def untrained_twin(model: HookedEncoderDecoder, seed: int) -> HookedEncoderDecoder:
    """A model of the same architecture with weights drawn anew by the host's own initialisation.

    Args:
        model: the model to compare with; it is not changed, and no random state outside is touched.
        seed: of the draw; the same seed gives the same twin on any device.

    Returns:
        The twin on the same device and in the same type, weights frozen, with the same tokenizer and length limit.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        twin = type(model.hf)(copy.deepcopy(model.hf.config))
        twin.generation_config = copy.deepcopy(model.hf.generation_config)
        if not model.tied_embeddings:
            _untie(twin, model.cfg.logit_scale)
    twin = twin.requires_grad_(False).to(device=model.device, dtype=model.dtype)
    spoken = model.languages
    return HookedEncoderDecoder(twin, model.tokenizer, model.max_length, spoken.source, spoken.target)


def _untie(twin: nn.Module, logit_scale: float) -> None:
    """Give the twin an unembedding of its own."""
    head = twin.get_output_embeddings()  # type: ignore[operator]
    rows, d_model = head.weight.shape
    head.weight = nn.Parameter(torch.randn(rows, d_model) * d_model**-0.5 / logit_scale)
