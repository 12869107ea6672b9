"""The attention function that transformers calls for every head of every layer, with its six hook points.

transformers routes each attention of the supported families through a registry of functions
(`AttentionInterface`) and builds masks through another (`AttentionMaskInterface`). Registering ours under one name in both
makes queries, keys, values, scores, pattern and z readable and editable in all three kinds of attention. Both registries
matter: without the mask the decoder would lose its causality without a word.

    scores = q k^T * scaling + position bias + mask;  pattern = softmax(scores);  z = pattern v
"""

from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask

from interp.hooks.hook_point import HookPoint

IMPLEMENTATION = "interp"


class AttentionPoints(NamedTuple):
    """The hook points of one attention module; q, k, v, z are [batch pos head d_head], the others [batch head query key]."""

    q: HookPoint
    k: HookPoint
    v: HookPoint
    attn_scores: HookPoint
    pattern: HookPoint
    z: HookPoint


# Modules are known by identity and forgotten with their model, so nothing is added to the host's modules.
_POINTS: WeakKeyDictionary[nn.Module, AttentionPoints] = WeakKeyDictionary()


def register() -> None:
    """Make `interp` known to transformers as an attention implementation, with the mask that eager attention uses."""
    AttentionInterface.register(IMPLEMENTATION, attention)
    AttentionMaskInterface.register(IMPLEMENTATION, eager_mask)


def watch(module: nn.Module, points: AttentionPoints) -> AttentionPoints:
    """The points that fire whenever an attention module runs: those of an earlier wrapper, if there is one, so that both see it.

    Args:
        module: the attention module.
        points: its points, unless it has some already.
    """
    return _POINTS.setdefault(module, points)


def _fire_heads(point: HookPoint, tensor: Tensor) -> Tensor:
    """Fire a point on [batch head pos d_head] in our layout [batch pos head d_head]."""
    return point.fire(tensor.transpose(1, 2)).transpose(1, 2) if point.active else tensor


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    position_bias: Tensor | None = None,
    **_: Any,
) -> tuple[Tensor, Tensor]:
    """Eager attention with hook points; the signature is the one transformers calls.

    Args:
        module: the attention module, by which its hook points are found.
        query: [batch head query d_head].
        key: [batch head key d_head].
        value: [batch head key d_head].
        attention_mask: additive, 0 or the most negative number, broadcast to [batch head query key].
        scaling: factor of q k^T; 1 in T5, where it is part of the trained weights; 1/sqrt(d_head) if None.
        dropout: rate on the pattern, in training only.
        position_bias: additive, broadcast to [batch head query key]; None or zeros where there is none.

    Returns:
        z as [batch query head d_head] and the pattern as [batch head query key].
    """
    points = _POINTS.get(module)
    if points is not None:
        heads = zip((points.q, points.k, points.v), (query, key, value), strict=True)
        query, key, value = (_fire_heads(point, tensor) for point, tensor in heads)
    if scaling is None:
        scaling = query.shape[-1] ** -0.5
    scores = torch.matmul(query, key.transpose(2, 3))
    # The product is ours alone and matmul does not need it for its gradient: in place saves three passes of new memory.
    if scaling != 1.0:
        scores *= scaling
    if position_bias is not None:
        scores += position_bias
    if attention_mask is not None:
        scores += attention_mask
    if points is not None:
        scores = points.attn_scores.fire(scores)
    pattern = torch.softmax(scores, dim=-1)
    pattern = nn.functional.dropout(pattern, p=dropout, training=module.training)
    if points is not None:
        pattern = points.pattern.fire(pattern)
    z = torch.matmul(pattern, value).transpose(1, 2).contiguous()
    if points is not None:
        z = points.z.fire(z)
    return z, pattern
