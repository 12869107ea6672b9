"""Interventions as edits: what a model does without a head, with another prompt's head, or without looking at some tokens.

Every function here returns edits, a list of (hook name, hook function) for `model.hooks` and `model.run_with_hooks`; lists add up
with `+`:

    model.run_with_hooks(batch, zero(["XL2H1"]))                                    one head off
    model.run_with_hooks(batch, zero(["decoder.1.hook_mlp_out"]))                   one layer's MLP off
    model.run_with_hooks(batch, patch(["EL0H3", "EL1H0"], other_cache))             two heads from another run
    model.run_with_hooks(batch, knock_out("cross", range(3), rows, tokens))         target rows cannot see source tokens

While the model writes (`with model.hooks(edits): model.generate(...)`) positions of the target are taken step by step, once for
every beam; positions that a text reaches behind the end of a mask are not in it, and None is all. What depends on a whole text is
refused there: the mean or another sentence's value at target positions.

A head stands for its z, the value before the output projection. What mean and resample ablation put there, and when there is
nothing to put, is defined in `interp.patching.replacements`.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Literal, get_args

import torch
from jaxtyping import Bool
from torch import Tensor

from interp.axes import AttentionKind
from interp.errors import InputError, place_of
from interp.hooks.hook_point import HookFunction, HookPoint
from interp.hooks.names import HeadId, attention_path
from interp.hooks.steps import now, of_source
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.replacements import Means, draw_donors, side_of
from interp.text.batch import Batch
from interp.text.token_sets import Positions, every

Edits = list[tuple[str, HookFunction]]
"""What `model.hooks` takes."""

Target = HeadId | str
"""A head (or its label, `XL2H1`), or the name of a hook point whose whole value is meant."""


def zero(targets: Iterable[Target], at: Positions | None = None) -> Edits:
    """Replace heads or whole activations by zero.

    Args:
        targets: heads, head labels, or hook names.
        at: positions of the target's own stack to edit; all by default.
    """
    return _edits(targets, lambda value, hook: torch.zeros_like(value), at)


def patch(targets: Iterable[Target], source: ActivationCache, at: Positions | None = None) -> Edits:
    """Replace heads or whole activations by their values in another run, position by position.

    Args:
        targets: heads, head labels, or hook names.
        source: the other run; it must hold the targets (z for heads) with the same shapes, so the two batches need equal
            lengths, and tokens that mean the same at equal positions.
        at: positions of the target's own stack to edit; all by default.

    Raises:
        InputError: when run, if the other run has another shape there.
    """

    def from_source(value: Tensor, hook: HookPoint) -> Tensor:
        donor = now(source[hook.name], hook)
        if donor.shape != value.shape:
            raise InputError(
                f"Cannot patch {hook.name}: this run has shape {tuple(value.shape)} there and the other {tuple(donor.shape)}; "
                "clean and corrupted prompts need the same number of tokens."
            )
        return donor.to(value.dtype)

    return _edits(targets, from_source, at)


def reference_means(model: HookedEncoderDecoder, batches: Iterable[Batch], targets: Iterable[Target]) -> Means:
    """Mean activations of a reference set of prompts, in float64 and constant memory.

    Args:
        model: the model.
        batches: the reference set.
        targets: what will be ablated: heads (their z), or names of points with axes [batch pos ...].
    """
    names = sorted(_by_name(targets))

    def runs() -> Iterator[tuple[Batch, ActivationCache]]:
        for batch in batches:
            with torch.no_grad():
                yield batch, model.run_with_cache(batch, names_filter=names)[1]

    return Means.over(runs())


def mean(targets: Iterable[Target], means: Means, batch: Batch, at: Positions | None = None) -> Edits:
    """Replace heads or activations by the mean of a reference set; see `replacements`.

    Args:
        targets: among those `means` was made for.
        means: from `reference_means`.
        batch: the batch that will be run; it says which prefix every prompt and which class every position has.
        at: positions to edit; all by default.

    Raises:
        InputError: when run, if no prompt of the batch has its prefix in another sentence of the reference.
    """

    def from_means(value: Tensor, hook: HookPoint) -> Tensor:
        return _whole_texts(value, hook, batch, lambda whole: means.replace(hook.name, whole, batch))

    return _edits(targets, from_means, at)


def resample(
    targets: Iterable[Target], reference: ActivationCache, batch: Batch, seed: int, at: Positions | None = None
) -> Edits:
    """Replace heads or activations by those of another sentence; see `replacements`. All targets share the draw.

    Args:
        targets: heads, head labels, or names of points with axes [batch pos ...].
        reference: run of the donors, with its batch; may be that of `batch` itself.
        batch: the batch that will be run.
        seed: of the draw; average the result over several.
        at: positions to edit; all by default.

    Raises:
        InputError: if the reference has no batch, or, when run, if it has no other sentence with the prefix of any prompt.
    """
    if reference.batch is None:
        raise InputError("Resampling needs to know the prompts of the reference run; this cache has no batch.")
    donors = draw_donors(batch, reference.batch, seed)

    def from_donor(value: Tensor, hook: HookPoint) -> Tensor:
        return _whole_texts(value, hook, batch, lambda whole: donors.replace(hook.name, whole, reference[hook.name]))

    return _edits(targets, from_donor, at)


def _whole_texts(value: Tensor, hook: HookPoint, batch: Batch, replace: Callable[[Tensor], Tensor]) -> Tensor:
    """The replacement of a value that depends on the classes of all positions, if any prompt has one; once for every beam."""
    copies = 1
    if hook.step is not None:
        if not of_source(hook.name):
            raise InputError(
                f"The mean or another sentence's value at {hook.name} depends on which position is the last, which is not known "
                "while the text is written; use zero, edit source positions, or give targets instead of generating."
            )
        copies = len(value) // len(batch)
    replaced = replace(value[::copies])
    if bool(replaced[every(batch, side_of(hook.name))].isnan().all()):
        raise InputError(
            f"Nothing can stand in at {hook.name}: the reference has no other sentence with the task prefix of any prompt of "
            "this batch. Give more prompts of the same task."
        )
    return replaced.repeat_interleave(copies, 0) if copies > 1 else replaced


def knock_out(
    kind: AttentionKind,
    layers: Iterable[int],
    queries: Bool[Tensor, "batch query"] | None,
    keys: Bool[Tensor, "batch key"],
    heads: Sequence[int] | None = None,
    remaining: Literal["renormalized", "unchanged"] = "renormalized",
) -> Edits:
    """Stop some positions from attending to some others (Geva et al. 2023, attention knock-out).

    Args:
        kind: which attention.
        layers: layers to cut.
        queries: positions that shall not see `keys`, [batch query]; None for all.
        keys: positions not to be seen, [batch key]; of the source in encoder and cross-attention.
        heads: heads to cut; all by default.
        remaining: `renormalized` divides what is left by its sum, as if the scores were minus infinity (a row with nothing
            left becomes zero); `unchanged` leaves the other weights as they were, so that rows no longer sum to 1. Where one
            softmax is over both sides (`merged_attention`), what is left is that of both: scores are cut there.

    Raises:
        InputError: if there is no such attention or way, or layers, heads and positions are none; of other sizes when run.
    """
    _check_knock_out(kind, layers, queries, keys, heads, remaining)

    def chosen_of(rows: Tensor, hook: HookPoint) -> Tensor:
        cut = _cut(rows, hook, kind, queries, keys)
        if heads is None:
            return cut.expand_as(rows)
        return cut & _chosen(heads, rows.shape[1], hook).to(cut.device).view(1, -1, 1, 1)

    def unseen(scores: Tensor, hook: HookPoint) -> Tensor | None:
        whole = not hook.partial or remaining == "unchanged"
        return None if whole else scores.masked_fill(chosen_of(scores, hook), torch.finfo(scores.dtype).min)

    def without(pattern: Tensor, hook: HookPoint) -> Tensor:
        chosen = chosen_of(pattern, hook)
        left = pattern.masked_fill(chosen, 0.0)
        if hook.partial or remaining == "unchanged":
            return left
        total = left.sum(-1, keepdim=True)
        # Rows that were not cut keep their bits.
        return torch.where(chosen.any(-1, keepdim=True), left / total.where(total > 0, torch.ones_like(total)), left)

    points: tuple[tuple[str, HookFunction], ...] = (("attn_scores", unseen), ("pattern", without))
    return [(f"{attention_path(kind, layer)}.hook_{leaf}", edit) for layer in layers for leaf, edit in points]


def _check_knock_out(kind: Any, layers: Any, queries: Any, keys: Any, heads: Any, remaining: Any) -> None:
    kinds, ways = get_args(AttentionKind), ("renormalized", "unchanged")
    if kind not in kinds or remaining not in ways:
        raise InputError(
            f"A knock-out is of attention of the kinds {', '.join(kinds)}, and what is left is {' or '.join(ways)}; got {kind!r} "
            f"and {remaining!r}."
        )
    if not isinstance(keys, Tensor) or not isinstance(queries, Tensor | None):
        raise InputError(
            "Positions of a knock-out are tensors of truth values, [batch pos]; queries may be None, for all."
        )
    for name, numbers in (("layers", layers), ("heads", () if heads is None else heads)):
        if not isinstance(numbers, Iterable):
            raise InputError(f"The {name} of a knock-out are given as a list of their numbers; got {numbers!r}.")


def _cut(
    pattern: Tensor, hook: HookPoint, kind: AttentionKind, queries: Tensor | None, keys: Tensor
) -> Bool[Tensor, "batch one query key"]:
    """Which entries of a pattern are cut, of the rows that are computed now."""
    copies, _, rows, width = pattern.shape
    cut = torch.ones(copies, rows, dtype=torch.bool) if queries is None else now(queries, hook, beyond=False)
    seen = keys
    if hook.step is not None and kind != "encoder":
        # Of the target, as many keys as there are by now; of the source all.
        seen = torch.nn.functional.pad(keys, (0, max(width - keys.shape[1], 0)))[:, :width]
        seen = seen.repeat_interleave(hook.step.copies, 0)
    _check_size(cut, (copies, rows), hook)
    _check_size(seen, (copies, width), hook)
    return cut.to(pattern.device)[:, None, :, None] & seen.to(pattern.device)[:, None, None, :]


def _check_size(positions: Tensor, wanted: tuple[int, ...], hook: HookPoint) -> None:
    if positions.dtype != torch.bool:
        raise InputError(
            f"The positions to edit at {hook.name} are truth values, [batch pos], as of `interp.text.token_sets`; got "
            f"{str(positions.dtype).removeprefix('torch.')}."
        )
    if tuple(positions.shape) != wanted:
        raise InputError(
            f"The positions to edit at {hook.name} are of {tuple(positions.shape)} prompts and tokens, and this pass has "
            f"{wanted} there; make them from the batch that is run."
        )


def _by_name(targets: Iterable[Target]) -> dict[str, list[int] | None]:
    """Hook name -> heads to edit there, or None for the whole value."""
    found: dict[str, list[int] | None] = {}
    for target in [targets] if isinstance(targets, str | HeadId) else targets:
        if isinstance(target, str) and "." in target:
            found[target] = None
            continue
        head = target if isinstance(target, HeadId) else HeadId.parse(target)
        chosen = found.setdefault(head.hook_name("z"), [])
        if chosen is not None:
            chosen.append(head.head)
    return found


def _edits(targets: Iterable[Target], replacement: HookFunction, at: Positions | None) -> Edits:
    """Edits that put a replacement at the targets' heads and positions and leave the rest."""
    if at is not None and not isinstance(at, Tensor):
        raise InputError(f"Positions to edit are a tensor of truth values, [batch pos]; got a {type(at).__name__}.")

    def edit(heads: list[int] | None) -> HookFunction:
        def apply(value: Tensor, hook: HookPoint) -> Tensor:
            new = replacement(value, hook)
            assert new is not None
            mask = torch.ones((), dtype=torch.bool, device=value.device)
            if heads is not None:
                mask = _chosen(heads, value.shape[2], hook).to(value.device).view(1, 1, -1, 1)
            if at is not None:
                rows = now(at, hook, beyond=False).to(value.device)
                _check_size(rows, tuple(value.shape[:2]), hook)
                mask = mask & rows.view(*rows.shape, *[1] * (value.ndim - 2))
            return torch.where(mask, new, value)

        return apply

    return [(name, edit(heads)) for name, heads in _by_name(targets).items()]


def _chosen(heads: Sequence[int], n_heads: int, hook: HookPoint) -> Tensor:
    wrong = [head for head in heads if place_of(head, n_heads) is None]
    if wrong:
        raise InputError(f"{hook.name} has heads 0 to {n_heads - 1}; got head {wrong[0]!r}.")
    mask = torch.zeros(n_heads, dtype=torch.bool)
    mask[list(heads)] = True
    return mask
