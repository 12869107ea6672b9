"""Does a head attend by position or by content? In T5 the question has an exact answer, because the bias is added [ours].

    full = softmax(qk + b),  content = softmax(qk),  position = softmax(b)         over the legal keys of a row

    position_divergence   Jensen-Shannon divergence of full and position, in nats: 0 if position alone gives the pattern
    content_divergence    the same of full and content: 0 if the bias might as well not be there
    position_share        Var b / (Var b + Var qk) over legal keys
    covariance_share      2 Cov(b, qk) / (Var b + Var qk): how far the two pull together (+) or against each other (-)

Means over rows. The bias is one table for each head index of a stack (UMT5: of each layer), read by `bias_tables`. Positions
that are added to the embedding reach the scores through content: then there is no such split, `hooks_on` and `bias_tables` are
empty, and `observe` leaves the four numbers out.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from analyses.core.contract import Arrays
from interp.attention_metrics import jensen_shannon, masked_mean
from interp.axes import Stack
from interp.families.config import ModelConfig
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import position_bias

HOOKS = (
    "encoder.*.attn.hook_attn_scores",
    "decoder.*.attn.hook_attn_scores",
    "encoder*position_bias",
    "decoder*position_bias",
)


def is_defined(cfg: ModelConfig) -> bool:
    """Whether scores are a sum of content and position, as they are where positions are relative."""
    return cfg.positions == "relative"


def hooks_on(cfg: ModelConfig) -> tuple[str, ...]:
    """The activations that the split needs; none where it is not defined."""
    return HOOKS if is_defined(cfg) else ()


_ILLEGAL = -1e30
"""Scores below this are those of padded and future keys, which carry the most negative number."""

_REACH: dict[Stack, tuple[int, int]] = {"encoder": (-20, 20), "decoder": (-40, 0)}


def position_and_content(
    cache: ActivationCache, stack: Stack, layer: int, legal: Bool[Tensor, "batch query key"]
) -> dict[str, Float[Tensor, "batch head"]]:
    """The four numbers of the module's docstring for the heads of one self-attention layer."""
    scores, bias = _scores_and_bias(cache, stack, layer)
    mask = legal[:, None]
    # Padded and future keys carry the most negative number, which the subtraction must not touch.
    content = torch.where(mask, scores - bias, 0.0)
    bias = torch.where(mask, bias, 0.0)
    patterns = [_softmax(values, mask) for values in (content + bias, bias, content)]
    rows = mask.any(-1)
    variance = [
        _covariance(first, second, mask) for first, second in ((bias, bias), (content, content), (bias, content))
    ]
    total = variance[0] + variance[1]
    shares = [torch.where(total > 0, part / total, torch.nan) for part in (variance[0], 2 * variance[2])]
    return {
        "position_divergence": masked_mean(jensen_shannon(patterns[0], patterns[1], mask), rows),
        "content_divergence": masked_mean(jensen_shannon(patterns[0], patterns[2], mask), rows),
        "position_share": masked_mean(shares[0], rows),
        "covariance_share": masked_mean(shares[1], rows),
    }


def _scores_and_bias(cache: ActivationCache, stack: Stack, layer: int) -> tuple[Tensor, Tensor]:
    scores = cache[f"{stack}.{layer}.attn.hook_attn_scores"].float()
    shared = f"{stack}.position_bias"
    bias = cache[shared if shared in cache else f"{stack}.{layer}.position_bias"].float()
    return scores, bias.expand_as(scores)


def unbiased_z(cache: ActivationCache, stack: Stack, layer: int, head: int) -> Float[Tensor, "batch pos d_head"]:
    """The attention-weighted values of one head if its scores had no position bias; the cache must also hold `hook_v`."""
    scores, bias = _scores_and_bias(cache, stack, layer)
    legal = scores[:, head] > _ILLEGAL
    content = (scores - bias)[:, head].masked_fill(~legal, -torch.inf)
    return content.softmax(-1).nan_to_num(0.0) @ cache[f"{stack}.{layer}.attn.hook_v"][:, :, head].float()


def _softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Over legal keys; rows without any come back as zeros."""
    return scores.masked_fill(~mask, -torch.inf).softmax(-1).nan_to_num(0.0)


def _covariance(first: Tensor, second: Tensor, mask: Tensor) -> Tensor:
    """Covariance over the legal keys of every row; both are 0 elsewhere."""
    count = mask.sum(-1).clamp(min=1)
    return (first * second).sum(-1) / count - first.sum(-1) * second.sum(-1) / count**2


def bias_tables(model: HookedEncoderDecoder) -> Arrays:
    """The position bias of every head at every distance: `bias.<stack>` [table head distance].

    There is one table a stack, or one a layer where layers have their own; none where positions are absolute.
    """
    found: dict[str, np.ndarray] = {}
    if not is_defined(model.cfg):
        return found
    with torch.no_grad():
        for stack in ("encoder", "decoder"):
            tables = model.cfg.n_layers(stack) if model.cfg.bias_per_layer else 1
            reach = distances(stack)
            values = [position_bias(model, stack, table, torch.from_numpy(reach)) for table in range(tables)]
            found[f"bias.{stack}"] = torch.stack(values).float().cpu().numpy()
    return found


def distances(stack: Stack) -> np.ndarray:
    """The signed distances key - query on the distance axis of `bias_tables`."""
    first, last = _REACH[stack]
    return np.arange(first, last + 1)
