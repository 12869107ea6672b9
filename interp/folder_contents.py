"""What is in a folder, of a run or of a store: its regular files, and whatever else; links are seen and never followed."""

import os
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Contents:
    """What a folder holds, by path from the folder, parts separated by `/`.

    Attributes:
        files: regular files.
        folders: folders, their names ended by `/`.
        others: links, pipes, sockets and devices.
    """

    files: frozenset[str]
    folders: frozenset[str]
    others: frozenset[str]


def contents_of(folder: Path) -> Contents:
    """Everything below a folder.

    Args:
        folder: the folder.

    Raises:
        OSError: if a folder cannot be read.
    """
    files, folders, others, waiting = set(), set(), set(), [(folder, "")]
    while waiting:
        place, prefix = waiting.pop()
        with os.scandir(place) as entries:
            for entry in entries:
                name = prefix + entry.name
                if entry.is_dir(follow_symlinks=False):
                    folders.add(f"{name}/")
                    waiting.append((Path(entry.path), f"{name}/"))
                elif entry.is_file(follow_symlinks=False):
                    files.add(name)
                else:
                    others.add(name)
    return Contents(frozenset(files), frozenset(folders), frozenset(others))


def parents_of(names: frozenset[str]) -> frozenset[str]:
    """The folders in which files with such names lie, as `Contents` names folders.

    Args:
        names: of files, by path.
    """
    parts = (name.split("/")[:-1] for name in names)
    return frozenset("/".join(part[:depth]) + "/" for part in parts for depth in range(1, len(part) + 1))


def listed(names: tuple[str, ...], most: int = 10) -> str:
    """Names in a sentence, the first few of many.

    Args:
        names: the names.
        most: how many are told.
    """
    rest = len(names) - most
    return ", ".join(names[:most]) + (f" and {rest} more" if rest > 0 else "")
