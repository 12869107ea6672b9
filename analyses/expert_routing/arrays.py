"""The arrays of the atlas of experts; `observe` defines them."""

from collections.abc import Iterator

from analyses.core.arrays import array_specs
from analyses.core.contract import ArraySpec
from interp.axes import Stack

STACKS: tuple[Stack, ...] = ("encoder", "decoder")


def _of(stack: Stack) -> Iterator[ArraySpec]:
    layer = f"prompt {stack}_expert_layer"
    yield from array_specs("kinds", f"{layer} expert category", "share", "tokens", prefix=f"{stack}.")
    yield from array_specs("tokens", f"{layer} expert", "share", "tokens", prefix=f"{stack}.")
    yield from array_specs("probability", f"{layer} expert", "probability", "tokens", prefix=f"{stack}.")
    yield from array_specs("nobody", layer, "share", "tokens", prefix=f"{stack}.")
    yield from array_specs("preference", layer, "difference of shares", "pairs of tokens", prefix=f"{stack}.")


ARRAYS = tuple(spec for stack in STACKS for spec in _of(stack))
"""All arrays of this analysis."""
