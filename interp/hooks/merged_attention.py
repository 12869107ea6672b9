"""One attention of a decoder layer over both sides, shown as two: its own target so far, and the source.

In T5Gemma 2 the keys of a decoder layer's attention are those of the target, and beside them those of the source:

    scores = [q k_target^T ; q k_source^T] * scaling + mask      (position by rotation in q and k_target; k_source has none)
    pattern = softmax(scores), over both;     z = pattern_target v_target + pattern_source v_source;     write = z W_O

Each side has the hook points of an attention of its own, which show its part of the one that there is: queries are shown to both
sides, and what a function puts there is asked of that side's keys; scores and pattern are blocks of one matrix, so an edit of one
side's scores moves the pattern of the other, and patterns add up to 1 together; z and results are two terms of one sum. The
host's one product is what goes on while nothing is replaced, and the terms are computed beside it.
"""

import weakref
from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from interp.hooks.attention import AttentionPoints, of_every_head
from interp.hooks.hook_point import HookPoint
from interp.hooks.host_weights import weight_of
from interp.hooks.module_hooks import ModuleHook, head_results


class MergedAttention(ModuleHook):
    """Fires the points of both sides of one attention, and of what heads write of either."""

    def __init__(self, module: nn.Module, target: AttentionPoints, source: AttentionPoints, source_states: str) -> None:
        """The hook of one module, which it does not keep alive: it is found by the module.

        Args:
            module: the attention.
            target: points of the target's side.
            source: of the source's.
            source_states: argument by which the module is given what the source's keys and values are made of.
        """
        super().__init__(_unkept(module))
        self.sides = target, source
        self._source_states = source_states
        self._results: tuple[HookPoint, ...] = ()
        self._terms: list[Tensor] = []
        for points in self.sides:
            for point in points:
                if point is not None:
                    self._serve(point.name, point)
                    point.partial = True

    @property
    def watched(self) -> bool:
        """Whether any function is on a point of either side."""
        return bool(self._handles)

    def write_by(self, projection: nn.Module, result: HookPoint) -> HookPoint:
        """The point of what heads write of one side, target first: the one that an earlier wrapper has, or the one given.

        Args:
            projection: the output projection of both.
            result: the point.
        """
        if (earlier := self.points.get(result.name)) is not None:
            return earlier
        self._projection = _unkept(projection)
        self._results = (*self._results, result)
        self._serve(result.name, result)
        return result

    def _register(self) -> list[RemovableHandle]:
        note = self.module.register_forward_pre_hook(self._note, with_kwargs=True)
        return [note, self._projection.register_forward_hook(self._after)]

    def _note(self, module: nn.Module, inputs: tuple[Any, ...], fields: dict[str, Any]) -> None:
        self._n_source = fields[self._source_states].shape[1]

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
        """Eager attention over both sides with their hook points.

        Args:
            module: the attention module.
            query: [batch head query d_head].
            key: [batch head key d_head], the target's keys and behind them the source's.
            value: as keys.
            mask: additive, over both sides.
            scaling: factor of q k^T.
            dropout: rate on the pattern, in training only.

        Returns:
            z as [batch query head d_head] and the pattern over both sides, [batch head query key].
        """
        cut = key.shape[2] - self._n_source
        queries, same = self._queries(query)
        key, value = (self._fire_sides(part, whole, cut, 2) for part, whole in (("k", key), ("v", value)))
        key, value = (of_every_head(shared, query.shape[1]) for shared in (key, value))
        products = [torch.matmul(own, key.transpose(2, 3)) for own in queries[: 1 if same else 2]]
        scores = products[0] if same else torch.cat([products[0][..., :cut], products[1][..., cut:]], -1)
        scores *= scaling  # in place: the product is ours alone
        if mask is not None:
            scores += mask
        scores = self._fire_sides("attn_scores", scores, cut, 3)
        pattern = torch.softmax(scores, dim=-1)
        pattern = nn.functional.dropout(pattern, p=dropout, training=module.training)
        pattern = self._fire_sides("pattern", pattern, cut, 3)
        return self._summed(pattern, value, cut), pattern

    def _queries(self, query: Tensor) -> tuple[tuple[Tensor, Tensor], bool]:
        """What either side is asked, and whether that surely is the same."""
        own, source = (points.q for points in self.sides)
        # A function that writes into the queries of one side must not change those of the other.
        asked, kept = _fired_heads(own, query.clone() if own.active or source.active else query)
        other, kept_too = _fired_heads(source, query)
        return (asked, other), kept and kept_too

    def _fire_sides(self, part: str, whole: Tensor, cut: int, axis: int) -> Tensor:
        """Fire the points of both sides on their parts of a tensor along its axis of keys."""
        fire = _fired if axis == 3 else _fired_heads
        blocks = whole.split([cut, self._n_source], axis)
        found = [fire(getattr(points, part), block) for points, block in zip(self.sides, blocks, strict=True)]
        return whole if all(kept for _, kept in found) else torch.cat([value for value, _ in found], axis)

    def _summed(self, pattern: Tensor, value: Tensor, cut: int) -> Tensor:
        """The sum of both sides' z, [batch query head d_head]; its terms are kept for what heads write of them."""
        whole = torch.matmul(pattern, value).transpose(1, 2).contiguous()
        points = [side.z for side in self.sides]
        if not any(point.active for point in (*points, *self._results)):
            return whole

        def terms() -> list[Tensor]:
            patterns, values = pattern.split([cut, self._n_source], 3), value.split([cut, self._n_source], 2)
            return [torch.matmul(*pair).transpose(1, 2) for pair in zip(patterns, values, strict=True)]

        summed, self._terms = _fired_terms(whole, points, terms)
        return summed

    def _after(self, module: nn.Module, inputs: tuple[Any, ...], output: Tensor) -> Tensor | None:
        read, self._terms = self._terms, []
        if not any(point.active for point in self._results):
            return None
        weight = weight_of(self._projection)
        written, _ = _fired_terms(output, self._results, lambda: [head_results(z, weight) for z in read], of_heads=True)
        return None if written is output else written


def _unkept(module: nn.Module) -> nn.Module:
    """A module by a name that does not keep it alive."""
    return cast("nn.Module", weakref.proxy(module))


def _fired(point: HookPoint, tensor: Tensor) -> tuple[Tensor, bool]:
    """A value after the functions of a point, and whether it surely is what was shown."""
    return point.fired(tensor) if point.active else (tensor, True)


def _fired_heads(point: HookPoint, tensor: Tensor) -> tuple[Tensor, bool]:
    """The same of [batch head pos d_head], which is shown as [batch pos head d_head]."""
    if not point.active:
        return tensor, True
    shown, kept = point.fired(tensor.transpose(1, 2))
    return shown.transpose(1, 2), kept


def _fired_terms(
    whole: Tensor, points: Sequence[HookPoint], terms: Callable[[], list[Tensor]], of_heads: bool = False
) -> tuple[Tensor, list[Tensor]]:
    """A sum after functions have seen its terms, and what they made of these.

    The host's own sum goes on, with what was changed added to it, so that a term put back where it came from changes no bit;
    gradients reach what comes before through the terms.
    """
    found = [_fired(point, term) for point, term in zip(points, terms(), strict=True)]
    shown = [value for value, _ in found]
    if all(kept for _, kept in found):
        return whole, shown
    with torch.no_grad():
        before = terms()  # anew, because a function may have written into those that it was shown
    changes = torch.stack([value - own for value, own in zip(shown, before, strict=True)]).sum(0)
    return whole.detach() + (changes.sum(-2) if of_heads else changes), shown
