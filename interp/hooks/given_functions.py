"""The functions that a caller gives for hook points: pairs of a name and a function, checked."""

from collections.abc import Mapping, Sequence
from typing import Any

from interp.errors import InputError
from interp.hooks.hook_point import HookFunction, HookPoint
from interp.hooks.names import NamesFilter, matching


def functions_at(
    points: Mapping[str, HookPoint], pairs: Sequence[tuple[NamesFilter, HookFunction]]
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
    for pair in pairs:
        if not _is_pair(pair):
            raise InputError(
                f"Hooks are a list of pairs [(name, function), ...], also where it is one; among them is {pair!r:.80}."
            )
        chosen += [(points[name], pair[1]) for name in matching(pair[0], known)]
    return chosen


def _is_pair(given: Any) -> bool:
    return isinstance(given, tuple | list) and len(given) == 2 and callable(given[1])
