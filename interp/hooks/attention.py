"""The attention function that transformers calls for every head of every layer, with its six hook points.

transformers routes each attention of the supported families through a registry of functions
(`AttentionInterface`) and builds masks through another (`AttentionMaskInterface`). Registering ours under one name in both
makes queries, keys, values, scores, pattern and z readable and editable in all three kinds of attention. Both registries
matter: without the mask the decoder would lose its causality without a word.

    scores = cap(q k^T * scaling) + position bias + mask;  pattern = softmax(scores);  z = pattern v
"""

from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeVar, runtime_checkable
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.masking_utils import eager_mask

from interp.errors import InputError
from interp.hooks.hook_point import HookPoint

Other = TypeVar("Other", bound="Attends")

IMPLEMENTATION = "interp"

_WITHOUT_EFFECT = (
    "output_attentions output_hidden_states use_cache cache_position position_ids past_key_values cache return_dict "
    "is_causal num_items_in_batch sliding_window output_router_logits"
).split()
"""What hosts hand on to every attention function, and eager attention does nothing with; a window is in the mask."""


class AttentionPoints(NamedTuple):
    """The hook points of one attention module; q, k, v, z are [batch pos head d_head], the others [batch head query key].

    Keys and values have the heads that they were made for, which may be fewer than those of queries. Scores are seen before they
    are capped too, in families that cap them.
    """

    q: HookPoint
    k: HookPoint
    v: HookPoint
    attn_scores: HookPoint
    pattern: HookPoint
    z: HookPoint
    attn_scores_uncapped: HookPoint | None = None


@runtime_checkable
class Attends(Protocol):
    """Attention that is not of the one kind whose points are `AttentionPoints`, with hook points of its own."""

    @property
    def watched(self) -> bool:
        """Whether any function is on one of its points; it is not called otherwise."""

    def attend(
        self,
        module: nn.Module,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        mask: Tensor | None,
        scaling: float,
        dropout: float,
    ) -> tuple[Tensor, Tensor]:
        """The sum z and the pattern, as `attention` gives them.

        Args:
            module: the attention module.
            query: as `attention` takes them.
            key: likewise.
            value: likewise.
            mask: additive.
            scaling: factor of q k^T.
            dropout: rate on the pattern, in training only.

        Returns:
            z as [batch query head d_head] and the pattern as [batch head query key].
        """


# Modules are known by identity and forgotten with their model, so nothing is added to the host's modules.
_POINTS: WeakKeyDictionary[nn.Module, AttentionPoints] = WeakKeyDictionary()
_OTHERS: WeakKeyDictionary[nn.Module, Attends] = WeakKeyDictionary()


def register() -> None:
    """Make `interp` known to transformers as an attention implementation, with the mask that eager attention uses."""
    AttentionInterface.register(IMPLEMENTATION, attention)
    AttentionMaskInterface.register(IMPLEMENTATION, eager_mask)


def attend_with_hooks(hf: PreTrainedModel) -> None:
    """Have a host compute its attention where hook points see it.

    Args:
        hf: the host.
    """
    register()
    attend_with(hf, IMPLEMENTATION)


def attend_with(hf: PreTrainedModel, implementation: str) -> None:
    """Set the attention of a host and of its stacks, whose configurations may be copies out of the host's own method's reach.

    Args:
        hf: the host.
        implementation: its name in transformers' registry.
    """
    hf.set_attn_implementation(implementation)
    for module in hf.modules():  # up to transformers 5.19 the copies stay as they were
        if isinstance(module, PreTrainedModel) and module.config._attn_implementation != implementation:
            module.set_attn_implementation(implementation)


def watch(module: nn.Module, points: AttentionPoints) -> AttentionPoints:
    """The points that fire whenever an attention module runs: those of an earlier wrapper, if there is one, so that both see it.

    Args:
        module: the attention module.
        points: its points, unless it has some already.
    """
    return _POINTS.setdefault(module, points)


def attended_by(module: nn.Module, other: Other) -> Other:
    """What computes an attention module's function while it is watched: that of an earlier wrapper, if there is one.

    Args:
        module: the attention module.
        other: what computes it, unless it has something already; it must not keep the module alive.
    """
    found = _OTHERS.setdefault(module, other)
    assert isinstance(found, type(other))
    return found


def _check_kind(query: Tensor, key: Tensor, others: Mapping[str, Any]) -> None:
    unknown = [name for name, value in others.items() if value is not None and name not in _WITHOUT_EFFECT]
    if unknown:
        raise InputError(
            f"The host asks its attention for {unknown[0]}={others[unknown[0]]!r}, which is not in the attention with hook "
            "points; use a release of transformers that this package was tested with."
        )
    if query.shape[1] % key.shape[1]:
        raise InputError(
            f"The host has {query.shape[1]} heads of queries and {key.shape[1]} of keys; supported is the same number of "
            "heads of queries for every head of keys."
        )


def _fire_heads(point: HookPoint, tensor: Tensor) -> Tensor:
    """Fire a point on [batch head pos d_head] in our layout [batch pos head d_head]."""
    return point.fire(tensor.transpose(1, 2)).transpose(1, 2) if point.active else tensor


def of_every_head(shared: Tensor, n_heads: int, axis: int = 1) -> Tensor:
    """Keys or values with one entry for every head that reads them, [... head ...]; the same tensor where each has its own.

    Args:
        shared: with the heads that they were made for on an axis.
        n_heads: heads of queries.
        axis: the axis of heads.
    """
    times = n_heads // shared.shape[axis]
    return shared if times == 1 else shared.repeat_interleave(times, axis)


def _capped(scores: Tensor, cap: float, points: AttentionPoints | None) -> Tensor:
    if points is not None and points.attn_scores_uncapped is not None:
        scores = points.attn_scores_uncapped.fire(scores)
    return torch.tanh(scores / cap) * cap


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    scaling: float | None = None,
    dropout: float = 0.0,
    position_bias: Tensor | None = None,
    softcap: float | None = None,
    **others: Any,
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
        softcap: c of scores that are capped before the mask, c tanh(score / c).
        others: what the host hands on without a meaning for attention.

    Returns:
        z as [batch query head d_head] and the pattern as [batch head query key].

    Raises:
        InputError: if the host asks for a kind of attention that this is not.
    """
    _check_kind(query, key, others)
    scaling = query.shape[-1] ** -0.5 if scaling is None else scaling
    if (other := _OTHERS.get(module)) is not None and other.watched:
        _check_kind(query, key, {"position_bias": position_bias, "softcap": softcap})
        return other.attend(module, query, key, value, attention_mask, scaling, dropout)
    points = _POINTS.get(module)
    if points is not None:
        query, key, value = map(_fire_heads, points[:3], (query, key, value))
    key, value = of_every_head(key, query.shape[1]), of_every_head(value, query.shape[1])
    scores = torch.matmul(query, key.transpose(2, 3))
    # The product is ours alone and matmul does not need it for its gradient: in place saves three passes of new memory.
    if scaling != 1.0:
        scores *= scaling
    if softcap is not None:
        scores = _capped(scores, softcap, points)
    if position_bias is not None:
        scores += position_bias
    if attention_mask is not None:
        scores += attention_mask
    if points is not None:
        scores = points.attn_scores.fire(scores)
    pattern = nn.functional.dropout(torch.softmax(scores, dim=-1), p=dropout, training=module.training)
    if points is not None:
        pattern = points.pattern.fire(pattern)
    z = torch.matmul(pattern, value).transpose(1, 2).contiguous()
    if points is not None:
        z = points.z.fire(z)
    return z, pattern
