"""What must hold beside an oracle: activations are its own; edits do downstream what it says, and upstream nothing."""

from collections.abc import Mapping

import torch
from torch import Tensor


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


def assert_edit(
    name: str,
    order: list[str],
    logits: tuple[Tensor, Tensor, Tensor],
    edited: Mapping[str, Tensor],
    clean: Mapping[str, Tensor],
    bounds: tuple[float, float],
) -> None:
    """The edited logits are the oracle's and not the clean ones, and no point before the edit has changed.

    Args:
        name: of the point that was edited.
        order: all points in forward order.
        logits: of the edited pass, of the oracle's, and of the clean one.
        edited: activations of the edited pass.
        clean: those of the clean one.
        bounds: most that logits may be off the oracle's, and least off the clean ones, as shares of the largest.
    """
    got, wanted, before = logits
    assert (got - wanted).abs().max() < bounds[0] * wanted.abs().max()
    assert (got - before).abs().max() > bounds[1] * before.abs().max()
    for other in order[: order.index(name)]:
        if other != name.replace("hook_result", "hook_z"):
            assert torch.equal(edited[other], clean[other]), f"an edit at {name} changed {other}, which comes before it"
