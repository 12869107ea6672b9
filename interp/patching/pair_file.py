"""Minimal pairs in a file of the user's: one JSON object a line, with the fields of `PromptPair`."""

import json
from typing import Any

from interp.errors import InputError, did_you_mean
from interp.input_files import RepeatedKeyError, without_repeats
from interp.patching.prompt_pair import PromptPair

_NEEDED = ("clean", "corrupted", "clean_target", "corrupted_target")
_KNOWN = (*_NEEDED, "id", "kind", "row")


def parse_pairs(text: str, name: str) -> tuple[PromptPair, ...]:
    """The pairs of a file.

    Args:
        text: what the file holds; `id`, `kind` and `row` may be left out.
        name: of the file, for messages.

    Raises:
        InputError: naming the first line that is no pair, or if there is none.
    """
    pairs = [
        _pair(line, f"line {number} of {name!r}")
        for number, line in enumerate(text.splitlines(), start=1)
        if line.strip()
    ]
    if not pairs:
        raise InputError(f"The file {name!r} has no pairs; write one a line, {_example()}.")
    return tuple(pair if pair.id else _named(pair, number) for number, pair in enumerate(pairs, start=1))


def _pair(line: str, place: str) -> PromptPair:
    try:
        found: Any = json.loads(line, object_pairs_hook=without_repeats)
    except (RepeatedKeyError, RecursionError) as error:
        reason = str(error) if isinstance(error, RepeatedKeyError) else "nested too deeply"
        raise InputError(f"Pairs: {place} cannot be read ({reason}); write {_example()}.") from error
    except json.JSONDecodeError as error:
        raise InputError(f"Pairs: {place} is no JSON ({error.msg}); write {_example()}.") from error
    if not isinstance(found, dict):
        raise InputError(f"Pairs: {place} is no object; write {_example()}.")
    for field in found:
        if field not in _KNOWN:
            raise InputError(
                f"Pairs: {place} has a field {field!r}{did_you_mean(field, _KNOWN)}; known are {', '.join(_KNOWN)}."
            )
    for field in _NEEDED:
        if not isinstance(found.get(field), str) or not found[field].strip():
            raise InputError(f"Pairs: {place} has no text {field!r}; write {_example()}.")
    row = found.get("row")
    if row is not None and (not isinstance(row, int) or isinstance(row, bool) or row < 0):
        raise InputError(f"Pairs: {place} has row {row!r}; give the number of a target token, from 0, or leave it out.")
    texts = {field: found[field] for field in _NEEDED}
    return PromptPair(id=str(found.get("id", "")), kind=str(found.get("kind", "given")), row=row, **texts)


def _named(pair: PromptPair, number: int) -> PromptPair:
    return PromptPair(
        f"pair-{number}", pair.kind, pair.clean, pair.corrupted, pair.clean_target, pair.corrupted_target, pair.row
    )


def _example() -> str:
    return '{"clean": SOURCE, "corrupted": SOURCE, "clean_target": TARGET, "corrupted_target": TARGET}'
