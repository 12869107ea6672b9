"""Minimal pairs that the user names on the command line: a setting of circuits."""

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
