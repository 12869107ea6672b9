"""What every family promises: the host's logits, an oracle's activations, and edits that do downstream what the oracle says.

The model of a promise is `tests.support.models.tiny`; an oracle writes down its equations, with the same edits.
"""

from collections.abc import Callable, Mapping
from functools import cache
from typing import NamedTuple, Protocol

import torch
from torch import Tensor

from interp.families.point_names import hook_names
from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch
from tests.support.models import random_batch, tiny
from tests.support.parity import relative_gap

Edit = Callable[[Tensor], Tensor]


class OracleOf(Protocol):
    """The equations of a family, with edits by hook name."""

    values: dict[str, Tensor]

    def run(self, batch: Batch) -> Tensor:
        """Logits; `values` holds every activation afterwards."""
        ...


class CleanRun(NamedTuple):
    """A tiny model's pass without edits, every activation kept."""

    model: HookedEncoderDecoder
    batch: Batch
    logits: Tensor
    kept: dict[str, Tensor]


@cache
def clean_run(name: str, marked: int | None = None) -> CleanRun:
    """The pass of a family's tiny model on a batch padded on both sides.

    Args:
        name: of the tiny model.
        marked: an id that stands at one place of the first source.
    """
    model = tiny(name)
    batch = random_batch(model, source_lengths=(9, 14), target_lengths=(11, 4))
    if marked is not None:
        batch.input_ids[0, 4] = marked
    with torch.no_grad():
        logits, kept = model.run_with_cache(batch, names_filter="*")
    return CleanRun(model, batch, logits, dict(kept))


def smooth_edit(name: str) -> Edit:
    """A change that no norm undoes, since it is not affine along the last axis; scales stay positive, scores masked."""
    if name.endswith(("hook_scale", "scores", "uncapped")):
        return lambda value: value * 1.25
    return lambda value: value * 1.25 + 0.3 * torch.linspace(-1, 1, value.shape[-1]).square()


def assert_host_logits(
    model: HookedEncoderDecoder,
    host: torch.nn.Module,
    length: int,
    names: str | None = None,
    bound: float = 0.0,
    sources: tuple[int, ...] = (21, 13, 2),
) -> None:
    """Logits are the eager host's: those of real rows to the bit, or all of them within a share of the largest.

    Args:
        model: the hooked model.
        host: the plain one, with the same weights.
        length: of the longest target.
        names: the activations that are kept.
        bound: most that one may be off, as a share of the largest; 0 for not a bit of a real row.
        sources: lengths of the sources.
    """
    batch = random_batch(model, source_lengths=sources, target_lengths=(length, max(1, length - 3), 1))
    with torch.no_grad():
        got, _ = model.run_with_cache(batch, names)
        wanted = host(**batch).logits
    if bound:
        assert relative_gap(got, wanted) < bound
    else:
        assert torch.equal(got[batch.target_mask], wanted[batch.target_mask])


def assert_points(run: CleanRun, oracle: OracleOf, logit_bound: float, bound: float) -> None:
    """Points are the oracle's, known from the configuration alone, and hold what it says.

    Args:
        run: of the model.
        oracle: without edits.
        logit_bound: most that a logit may be off, as a share of the largest.
        bound: the same of activations, see `assert_values`.
    """
    with torch.no_grad():
        wanted = oracle.run(run.batch)
    assert relative_gap(run.logits, wanted) < logit_bound
    assert set(oracle.values) == set(run.model.hook_points()) == set(run.kept)
    assert list(run.model.hook_points()) == list(hook_names(run.model.hf.config.to_dict()))
    assert_values(oracle.values, run.kept, bound)


def assert_fires_once(model: HookedEncoderDecoder) -> list[str]:
    """Every hook point fires exactly once in a pass, with as many axes as it names.

    Args:
        model: the hooked model.

    Returns:
        The points in the order in which they fired.
    """
    fired: list[str] = []

    def note(tensor: Tensor, hook: HookPoint) -> None:
        assert tensor.ndim == len(hook.axes), hook.name
        fired.append(hook.name)

    with torch.no_grad():
        model.run_with_hooks(random_batch(model), [("*", note)])
    assert sorted(fired) == sorted(model.hook_points())
    return fired


def assert_values(wanted: Mapping[str, Tensor], kept: Mapping[str, Tensor], bound: float) -> None:
    """Every activation of the oracle is that of the model; masked scores are left out.

    Args:
        wanted: the oracle's, by hook name.
        kept: the model's.
        bound: most that one may be off, as a share of the largest of its point.
    """
    for key, values in wanted.items():
        finite = values > -1e30
        assert kept[key].shape == values.shape, key
        gap = (kept[key] - values)[finite].abs().max() / values[finite].abs().max()
        assert gap < bound, f"{key} is off by {float(gap):.1e} of its largest value"


def assert_edit(run: CleanRun, oracle: OracleOf, name: str, change: Edit, bounds: tuple[float, float]) -> None:
    """The edited logits are the oracle's and not the clean ones; the point holds its edit, and none before it has changed.

    Args:
        run: the clean one.
        oracle: with the edit.
        name: of the point that is edited.
        change: what is done to it.
        bounds: most that logits may be off the oracle's, and least off the clean ones, as shares of the largest.
    """
    model, batch, before, clean = run
    with torch.no_grad():
        wanted = oracle.run(batch)
        with model.hooks([(name, lambda tensor, hook: change(tensor))]):
            got, edited = model.run_with_cache(batch, names_filter="*")
    assert (got - wanted).abs().max() < bounds[0] * wanted.abs().max()
    assert (got - before).abs().max() > bounds[1] * before.abs().max()
    order = list(model.hook_points())
    for other in order[: order.index(name)]:
        if other != name.replace("hook_result", "hook_z"):
            assert torch.equal(edited[other], clean[other]), f"an edit at {name} changed {other}, which comes before it"
    torch.testing.assert_close(edited[name], change(clean[name]))
