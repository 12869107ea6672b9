"""Interventions as edits: what a model does without a head, with another prompt's head, or without looking at some tokens.

Every function here returns edits, a list of (hook name, hook function) for `model.hooks` and `model.run_with_hooks`; lists add up
with `+`:

    model.run_with_hooks(batch, zero(["XL2H1"]))                                    one head off
    model.run_with_hooks(batch, zero(["decoder.1.hook_mlp_out"]))                   one layer's MLP off
    model.run_with_hooks(batch, patch(["EL0H3", "EL1H0"], other_cache))             two heads from another run
    model.run_with_hooks(batch, knock_out("cross", range(3), rows, tokens))         target rows cannot see source tokens

A head stands for its z, the value before the output projection; T5 has no biases, so a zero there removes exactly what the head
writes. Zero is off the distribution the rest of the model has seen; mean and resample ablation stay closer to it and answer
the same question differently (Wang et al. 2022; Zhang and Nanda 2024), so report which one was used.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from jaxtyping import Bool
from torch import Tensor

from interp.axes import AttentionKind
from interp.errors import InputError
from interp.hooks.hook_point import HookFunction, HookPoint
from interp.hooks.names import HeadId, attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch
from interp.text.token_sets import POSITION_CLASSES, Positions, classes
from interp.text.tokenized_text import Side

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
    """

    def from_source(value: Tensor, hook: HookPoint) -> Tensor:
        donor = source[hook.name]
        if donor.shape != value.shape:
            raise InputError(
                f"Cannot patch {hook.name}: this run has shape {tuple(value.shape)} there and the other {tuple(donor.shape)}; "
                "clean and corrupted prompts need the same number of tokens."
            )
        return donor.to(value.dtype)

    return _edits(targets, from_source, at)


@dataclass(frozen=True, slots=True)
class Means:
    """Mean activations over a reference set, per position class.

    Attributes:
        values: hook name -> mean, [class, ...], classes as in `interp.text.token_sets.POSITION_CLASSES`; zero for a class without
            tokens.
        counts: side -> tokens averaged per class.
    """

    values: Mapping[str, Tensor]
    counts: Mapping[Side, Tensor]


def reference_means(model: HookedEncoderDecoder, batches: Iterable[Batch], targets: Iterable[Target]) -> Means:
    """Average activations over a reference set of prompts, in float64 and constant memory.

    Args:
        model: the model.
        batches: the reference set.
        targets: what will be ablated: heads (their z), or names of points with axes [batch pos ...].
    """
    names = sorted(_by_name(targets))
    sums: dict[str, Tensor] = {}
    counts: dict[Side, Tensor] = {
        side: torch.zeros(len(POSITION_CLASSES), dtype=torch.long) for side in ("source", "target")
    }
    for batch in batches:
        with torch.no_grad():
            _, cache = model.run_with_cache(batch, names_filter=names)
        one_hot = {side: _one_hot(batch, side) for side in counts}
        for side, members in one_hot.items():
            counts[side] += members.sum((0, 1)).long().cpu()
        for name in names:
            total = torch.einsum("bpc,bp...->c...", one_hot[_side(name)], cache[name].double())
            sums[name] = sums[name] + total if name in sums else total
    means = {
        name: (total.movedim(0, -1) / counts[_side(name)].clamp_min(1).to(total)).movedim(-1, 0)
        for name, total in sums.items()
    }
    return Means(means, counts)


def mean(targets: Iterable[Target], means: Means, batch: Batch, at: Positions | None = None) -> Edits:
    """Replace heads or activations by the mean of their position class over a reference set.

    Args:
        targets: among those `means` was made for.
        means: from `reference_means`.
        batch: the batch that will be run; it says which class every position has.
        at: positions to edit; all but padding by default.
    """

    def from_means(value: Tensor, hook: HookPoint) -> Tensor:
        found = classes(batch, _side(hook.name))
        replacement = means.values[hook.name].to(value)[found.clamp_min(0)]
        padding = (found < 0).view(*found.shape, *[1] * (value.ndim - 2))
        return torch.where(padding, value, replacement)

    return _edits(targets, from_means, at)


def resample(
    targets: Iterable[Target], reference: ActivationCache, batch: Batch, seed: int, at: Positions | None = None
) -> Edits:
    """Replace heads or activations by those of another prompt at a position of the same class.

    One donor prompt is drawn for every prompt and one donor position for every position; all targets share the draw. Average
    the result over several seeds.

    Args:
        targets: heads, head labels, or names of points with axes [batch pos ...].
        reference: run of the donors, with its batch. If it is the run of `batch` itself, no prompt is its own donor.
        batch: the batch that will be run.
        seed: of the draw.
        at: positions to edit; all by default.

    Raises:
        InputError: if the reference has no batch or no prompt to draw from.
    """
    donors = reference.batch
    if donors is None or len(donors) < (2 if donors is batch else 1):
        raise InputError(
            "Resampling needs a reference run of other prompts; got none. Give a cache of at least two prompts."
        )
    generator = torch.Generator().manual_seed(seed)
    prompts = [_draw_prompt(len(donors), own if donors is batch else None, generator) for own in range(len(batch))]
    places = {side: _draw_positions(batch, donors, side, prompts, generator) for side in _SIDES}

    def from_donor(value: Tensor, hook: HookPoint) -> Tensor:
        donor = reference[hook.name].to(value)
        rows = torch.tensor(prompts, device=donor.device).unsqueeze(1)
        return donor[rows, places[_side(hook.name)].to(donor.device)]

    return _edits(targets, from_donor, at)


def knock_out(
    kind: AttentionKind,
    layers: Iterable[int],
    queries: Bool[Tensor, "batch query"],
    keys: Bool[Tensor, "batch key"],
    heads: Sequence[int] | None = None,
    remaining: Literal["renormalised", "unchanged"] = "renormalised",
) -> Edits:
    """Stop some positions from attending to some others (Geva et al. 2023, attention knock-out).

    Args:
        kind: which attention.
        layers: layers to cut.
        queries: positions that shall not see `keys`, [batch query].
        keys: positions not to be seen, [batch key]; of the source in encoder and cross-attention.
        heads: heads to cut; all by default.
        remaining: `renormalised` divides what is left by its sum, as if the scores were minus infinity (a row with nothing
            left becomes zero); `unchanged` leaves the other weights as they were, so that rows no longer sum to 1.
    """
    cut = queries[:, None, :, None] & keys[:, None, None, :]

    def without(pattern: Tensor, hook: HookPoint) -> Tensor:
        chosen = (
            cut.expand_as(pattern)
            if heads is None
            else cut & _chosen(heads, pattern.shape[1], hook).to(cut.device).view(1, -1, 1, 1)
        )
        left = pattern.masked_fill(chosen, 0.0)
        if remaining == "unchanged":
            return left
        total = left.sum(-1, keepdim=True)
        # Rows that were not cut keep their bits.
        return torch.where(chosen.any(-1, keepdim=True), left / total.where(total > 0, torch.ones_like(total)), left)

    return [(f"{attention_path(kind, layer)}.hook_pattern", without) for layer in layers]


_SIDES: tuple[Side, ...] = ("source", "target")


def _side(name: str) -> Side:
    """Whose positions the value at a hook point has: keys and values of cross-attention are source positions."""
    return (
        "source"
        if name.startswith("encoder") or name.endswith(("cross_attn.hook_k", "cross_attn.hook_v"))
        else "target"
    )


def _by_name(targets: Iterable[Target]) -> dict[str, list[int] | None]:
    """Hook name -> heads to edit there, or None for the whole value."""
    found: dict[str, list[int] | None] = {}
    for target in targets:
        if isinstance(target, str) and "." in target:
            found[target] = None
            continue
        head = HeadId.parse(target) if isinstance(target, str) else target
        chosen = found.setdefault(head.hook_name("z"), [])
        if chosen is not None:
            chosen.append(head.head)
    return found


def _edits(targets: Iterable[Target], replacement: HookFunction, at: Positions | None) -> Edits:
    """Edits that put a replacement at the targets' heads and positions and leave the rest."""

    def edit(heads: list[int] | None) -> HookFunction:
        def apply(value: Tensor, hook: HookPoint) -> Tensor:
            new = replacement(value, hook)
            assert new is not None
            mask = torch.ones((), dtype=torch.bool, device=value.device)
            if heads is not None:
                mask = _chosen(heads, value.shape[2], hook).to(value.device).view(1, 1, -1, 1)
            if at is not None:
                mask = mask & at.to(value.device).view(*at.shape, *[1] * (value.ndim - 2))
            return torch.where(mask, new, value)

        return apply

    return [(name, edit(heads)) for name, heads in _by_name(targets).items()]


def _chosen(heads: Sequence[int], n_heads: int, hook: HookPoint) -> Tensor:
    wrong = [head for head in heads if not 0 <= head < n_heads]
    if wrong:
        raise InputError(f"{hook.name} has heads 0 to {n_heads - 1}; got head {wrong[0]}.")
    mask = torch.zeros(n_heads, dtype=torch.bool)
    mask[list(heads)] = True
    return mask


def _one_hot(batch: Batch, side: Side) -> Tensor:
    found = classes(batch, side)
    return torch.stack([found == index for index in range(len(POSITION_CLASSES))], -1).double()


def _draw_prompt(count: int, own: int | None, generator: torch.Generator) -> int:
    drawn = int(torch.randint(count - (own is not None), (), generator=generator))
    return drawn + 1 if own is not None and drawn >= own else drawn


def _draw_positions(
    batch: Batch, donors: Batch, side: Side, prompts: Sequence[int], generator: torch.Generator
) -> Tensor:
    """For every position a position of the same class in its donor prompt (any token where the donor has none of it)."""
    own, other = classes(batch, side).cpu(), classes(donors, side).cpu()
    places = torch.zeros_like(own)
    for row, prompt in enumerate(prompts):
        for index in range(-1, len(POSITION_CLASSES)):
            candidates = (other[prompt] == index).nonzero().flatten()
            if not len(candidates):
                candidates = (other[prompt] >= 0).nonzero().flatten()
            here = own[row] == index
            places[row, here] = candidates[torch.randint(len(candidates), (int(here.sum()),), generator=generator)]
    return places
