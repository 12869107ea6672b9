"""Minimal pairs that the user names on the command line: a setting of circuits."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from analyses.commands.messages import read_text


def given_pairs(path: Path) -> list[dict[str, Any]]:
    """The pairs of a file, as settings have them.

    Args:
        path: the file.

    Raises:
        InputError: if it cannot be read, or a line of it is no pair.
    """
    from interp.patching import parse_pairs

    return [asdict(pair) for pair in parse_pairs(read_text(path, "file of pairs"), path.name)]


def check_asked_for(path: Path | None, analyses: Sequence[str]) -> None:
    """Refuse pairs that nothing would read.

    Args:
        path: what the user gave; None for no pairs.
        analyses: the chosen analyses.

    Raises:
        InputError: if pairs are given and circuits are not chosen.
    """
    if path is not None and "circuits" not in analyses:
        from interp.errors import InputError

        raise InputError(
            f"--pairs {str(path)!r} is read by circuits, and the analyses are {', '.join(analyses)}; add circuits to "
            f"--analyses, or "
            "leave the pairs out."
        )
