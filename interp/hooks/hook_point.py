"""Hook points: named places in the forward pass where functions may read a tensor or replace it.

A hook function is `fn(tensor, hook)`; it may return a replacement of the same shape and type, or None to leave the value alone.
Several functions on one point run in the order in which they were attached, each seeing what the one before it returned.
Functions are attached by a context manager only and are removed when it ends, whatever happened inside.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from interp.errors import InputError

HookFunction = Callable[[Tensor, "HookPoint"], Tensor | None]


_CONVERTED = (".hook_scale", ".hook_expert_weights", ".hook_expert_indices")
"""Points whose values are converted where they are used, so that a replacement may be of another type."""


@dataclass(slots=True)
class Step:
    """What the host computes now.

    Attributes:
        first: the first decoder row of this step.
        rows: decoder rows of this step: one, but for the first step of a text that was begun.
        copies: rows of the host's batch for every prompt (beams).
    """

    first: int = 0
    rows: int = 1
    copies: int = 1


class HookPoint:
    """One named place in the forward pass.

    Attributes:
        name: canonical name, for example `encoder.0.attn.hook_pattern`.
        axes: axis names of its tensor, for example `("batch", "head", "query", "key")`.
        ctx: a dict for hook functions to keep notes in, as in TransformerLens; never touched by this package.
        partial: whether rows of its pattern or scores are a part of longer ones, over both sides of one softmax.
        step: which rows of the decoder are computed, while the host generates (`interp.hooks.steps`); else None.
        refresh: called when functions have come or gone; puts torch's hook on the host module or takes it off. None for points
            that are fired by hand (attention).
    """

    __slots__ = ("_functions", "axes", "ctx", "name", "partial", "refresh", "step")

    def __init__(self, name: str, axes: tuple[str, ...]) -> None:
        self.name = name
        self.axes = axes
        self.ctx: dict[str, Any] = {}
        self.partial = False
        self.step: Step | None = None
        self.refresh: Callable[[], None] | None = None
        self._functions: list[HookFunction] = []

    def __repr__(self) -> str:
        return f"HookPoint({self.name!r}, [{' '.join(self.axes)}])"

    def layer(self) -> int | None:
        """The layer number in the name, or None for points outside the layers."""
        parts = self.name.split(".")
        return int(parts[1]) if len(parts) > 1 and parts[1].isdigit() else None

    @property
    def active(self) -> bool:
        """Whether any function is attached."""
        return bool(self._functions)

    def fire(self, tensor: Tensor) -> Tensor:
        """The value (of the same shape) with which the forward pass shall go on, after all attached functions.

        Args:
            tensor: the value that the host computed.

        Raises:
            InputError: if a function returns something that is not a tensor of the same shape, type and device.
        """
        for function in tuple(self._functions):
            replacement = function(tensor, self)
            if replacement is None:
                continue
            self._check(replacement, tensor)
            tensor = replacement
        return tensor

    def _check(self, replacement: object, tensor: Tensor) -> None:
        if not isinstance(replacement, Tensor) or replacement.shape != tensor.shape:
            got = tuple(replacement.shape) if isinstance(replacement, Tensor) else type(replacement).__name__
            raise InputError(
                f"The hook function at {self.name} returned {got}; it must return None or a tensor of shape "
                f"{tuple(tensor.shape)} [{' '.join(self.axes)}]."
            )
        same_type = replacement.dtype == tensor.dtype or self.name.endswith(_CONVERTED)
        if not same_type or replacement.device != tensor.device or replacement.layout != tensor.layout:
            raise InputError(
                f"The hook function at {self.name} returned {_kind(replacement)}, and the pass goes on with {_kind(tensor)}; "
                "return `value.to(tensor)`."
            )

    def fired(self, tensor: Tensor) -> tuple[Tensor, bool]:
        """A value after all functions, and whether it surely is what was shown: not replaced, not written into, in no gradient.

        Args:
            tensor: the value that the host computed.
        """
        version = None if tensor.is_inference() else tensor._version
        shown = self.fire(tensor)
        return shown, shown is tensor and version is not None and shown._version == version and not shown.requires_grad

    def _attach(self, function: HookFunction, ahead: bool) -> None:
        self._functions.insert(0 if ahead else len(self._functions), function)

    def _detach(self, function: HookFunction) -> None:
        """Remove the most recent occurrence of a function, found by identity."""
        last = max(index for index, own in enumerate(self._functions) if own is function)
        del self._functions[last]


def _kind(tensor: Tensor) -> str:
    sparse = "" if tensor.layout == torch.strided else "sparse "
    return f"{sparse}{str(tensor.dtype).removeprefix('torch.')} on {tensor.device}"


@contextmanager
def attached(functions: Sequence[tuple[HookPoint, HookFunction]], ahead: bool = False) -> Iterator[None]:
    """Attach functions to points for the duration of a `with` block, and remove exactly those at its end.

    Args:
        functions: pairs of a point and a function; those of one point run in this order. A torch hook that serves several of
            the points is refreshed once, when all have their functions or have lost them.
        ahead: whether they run before those that are there, and so see what the host computed.
    """
    functions = tuple(functions)
    refreshes = dict.fromkeys(point.refresh for point, _ in functions if point.refresh is not None)
    for point, function in functions:
        point._attach(function, ahead)
    try:
        for refresh in refreshes:
            refresh()
        yield
    finally:
        for point, function in reversed(functions):
            point._detach(function)
        for refresh in refreshes:
            refresh()
