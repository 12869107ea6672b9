"""The functions that a caller gives for hook points: pairs of a name and a function, checked."""

from collections.abc import Iterable, Mapping
from typing import Any

from interp.errors import InputError
from interp.hooks.hook_point import HookFunction, HookPoint
from interp.hooks.names import NamesFilter, matching


def functions_at(
    points: Mapping[str, HookPoint], pairs: Iterable[tuple[NamesFilter, HookFunction]]
) -> list[tuple[HookPoint, HookFunction]]:
    """The points that pairs name, each with its function, in the order of the pairs.

    Args:
        points: hook name -> hook point.
        pairs: a name (or any names filter) and a function `fn(tensor, hook)` each.

    Returns:
        What `attached` takes.

    Raises:
        KeyError: if a name selects no hook point.
        InputError: if these are no pairs of a name and a function.
    """
    known = tuple(points)
    chosen: list[tuple[HookPoint, HookFunction]] = []
    for pair in _listed(pairs):
        if not isinstance(pair, tuple | list) or len(pair) != 2 or not callable(pair[1]):
            raise InputError(
                f"Hooks are a list of pairs, as in [(name, function)]; got {pair!r:.80} in place of a pair."
            )
        chosen += [(points[name], pair[1]) for name in matching(pair[0], known)]
    return chosen


def _listed(pairs: Any) -> list[Any]:
    """What should be pairs; one thing alone is shown as it is."""
    return list(pairs) if isinstance(pairs, Iterable) and not isinstance(pairs, str | Mapping) else [pairs]
