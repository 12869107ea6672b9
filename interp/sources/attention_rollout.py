"""Attention rollout for encoder-decoders (Abnar and Zuidema 2020; the decoder's rule is ours).

Heads are averaged and every sublayer is taken to keep half of its input: a step is (A + I) / 2, and in cross-attention
[A_x / 2 | 1/2]. The half is an assumption, not a measurement: the source share of a row is 1 - 2^-l after l layers whatever
the model does, so rollout can say which source tokens matter but not how much the source matters.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.sources.flow import Flow, Steps, compose, real_rows
from interp.text.batch import Batch

ROLLOUT_HOOKS = ("encoder.*.attn.hook_pattern", "decoder.*.attn.hook_pattern", "decoder.*.cross_attn.hook_pattern")


def rollout(model: HookedEncoderDecoder, batch: Batch, cache: ActivationCache) -> Flow:
    """The rollout of every prompt.

    Args:
        model: the model the cache came from.
        batch: its batch.
        cache: with the activations of `ROLLOUT_HOOKS`.

    Raises:
        InputError: if self- and cross-attention are one.
    """
    if (why := why_not_in_steps(model.cfg)) is not None:
        raise InputError(why)
    source, target = batch.source_mask, batch.target_mask
    cross = [_mean(cache["pattern", layer, "cross_attn"]) / 2 for layer in range(model.cfg.n_decoder_layers)]
    half = torch.full_like(cross[0][..., :1], 0.5)
    return compose(
        Steps(
            encoder=[
                real_rows(_with_residual(cache["pattern", layer, "encoder"]), source)
                for layer in range(model.cfg.n_encoder_layers)
            ],
            decoder=[
                real_rows(_with_residual(cache["pattern", layer, "decoder"]), target)
                for layer in range(model.cfg.n_decoder_layers)
            ],
            cross=[real_rows(torch.cat([step, half], -1), target) for step in cross],
        )
    )


def why_not_in_steps(cfg: ModelConfig) -> str | None:
    """Why self-attention and cross-attention of a layer cannot be followed one after the other, in a sentence; None if they can.

    Args:
        cfg: the model's facts.
    """
    if not cfg.merged_attention:
        return None
    return (
        "Rollout and Chefer's rules take self-attention and cross-attention of a layer for two steps, and "
        f"{cfg.model_type} has one attention over both sides (merged_attention=True). Use contributions or gradients."
    )


def _mean(pattern: Tensor) -> Float[Tensor, "batch query key"]:
    return pattern.float().mean(1)


def _with_residual(pattern: Tensor) -> Float[Tensor, "batch query key"]:
    weights = _mean(pattern)
    return (weights + torch.eye(weights.shape[-1], dtype=weights.dtype, device=weights.device)) / 2
