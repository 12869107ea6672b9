"""Files written under another name and renamed: a killed program leaves all of a file or nothing, and no link is followed."""

import os
from pathlib import Path


def part_of(path: Path) -> Path:
    """The name under which a file is written before it is whole.

    Args:
        path: of the file.
    """
    return path.with_name(f"{path.name}.part")


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it, so that a reader never sees half of it.

    Args:
        path: of the file, in a folder that exists.
        data: what it shall hold.
    """
    part = part_of(path)
    part.unlink(missing_ok=True)
    handle = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    with os.fdopen(handle, "wb") as file:
        file.write(data)
    part.replace(path)
