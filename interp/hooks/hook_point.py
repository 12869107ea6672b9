"""Hook points: named places in the forward pass where functions may read a tensor or replace it.

A hook function is `fn(tensor, hook)`; it may return a replacement of the same shape, or None to leave the value alone.
Several functions on one point run in the order in which they were attached, each seeing what the one before it returned.
Functions are attached by a context manager only and are removed when it ends, whatever happened inside.

A `Wire` connects points to the torch module they observe. It puts its torch hook on the module when the first function
arrives and takes it off with the last, so a model with nothing attached runs the host's code and nothing else.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from torch import Tensor

HookFunction = Callable[[Tensor, "HookPoint"], Tensor | None]


class Wire(Protocol):
    """What a hook point needs from the thing that connects it to a module."""

    def refresh(self) -> None:
        """Attach to or detach from the module, according to whether any of its points is active."""


class _Unwired:
    """The wire of a point that is fired by hand (attention) and needs no torch hook."""

    def refresh(self) -> None:
        pass


UNWIRED = _Unwired()


class HookPoint:
    """One named place in the forward pass.

    Attributes:
        name: canonical name, for example `encoder.0.attn.hook_pattern`.
        axes: axis names of its tensor, for example `("batch", "head", "query", "key")`.
        ctx: a dict for hook functions to keep notes in, as in TransformerLens; never touched by this package.
    """

    __slots__ = ("_functions", "axes", "ctx", "name", "wire")

    def __init__(self, name: str, axes: tuple[str, ...]) -> None:
        self.name = name
        self.axes = axes
        self.ctx: dict[str, Any] = {}
        self.wire: Wire = UNWIRED
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
        """Run the attached functions on a value and return what the forward pass shall go on with.

        Raises:
            ValueError: if a function returns something that is not a tensor of the same shape.
        """
        for function in tuple(self._functions):
            replacement = function(tensor, self)
            if replacement is None:
                continue
            if not isinstance(replacement, Tensor) or replacement.shape != tensor.shape:
                got = tuple(replacement.shape) if isinstance(replacement, Tensor) else type(replacement).__name__
                raise ValueError(
                    f"The hook function at {self.name} returned {got}; it must return None or a tensor of shape "
                    f"{tuple(tensor.shape)} [{' '.join(self.axes)}]."
                )
            tensor = replacement
        return tensor

    def attach(self, function: HookFunction) -> None:
        """Add a function after those already there; for `attached`, which also tells the wire and removes it."""
        self._functions.append(function)

    def detach(self, function: HookFunction) -> None:
        """Remove the most recently attached occurrence of a function, found by identity; for `attached`, which tells the wire."""
        for index in range(len(self._functions) - 1, -1, -1):
            if self._functions[index] is function:
                del self._functions[index]
                return


@contextmanager
def attached(functions: Sequence[tuple[HookPoint, HookFunction]]) -> Iterator[None]:
    """Attach functions to points for the duration of a `with` block, and remove exactly those at its end.

    A wire that serves several of the points is told once, when all of them have their functions or have lost them.
    """
    functions = tuple(functions)
    wires = tuple({id(point.wire): point.wire for point, _ in functions}.values())
    for point, function in functions:
        point.attach(function)
    try:
        for wire in wires:
            wire.refresh()
        yield
    finally:
        for point, function in reversed(functions):
            point.detach(function)
        for wire in wires:
            wire.refresh()
