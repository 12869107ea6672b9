"""What is read of files that a user named: regular files of a bounded size, not waited for, and plain data without doubts.

A pipe would be waited for, a device never ends, and a link in a folder that came from elsewhere may lead anywhere. JSON and YAML
are read so that what one parser would pass over in silence (a key given twice, a number that is none) is refused.
"""

import json
import os
import stat
from collections.abc import Hashable
from errno import EFBIG, EINVAL, EISDIR
from hashlib import file_digest
from io import BufferedIOBase, BufferedReader
from math import isfinite
from pathlib import Path
from typing import Any, BinaryIO

import yaml

MOST_BYTES = 64 * 2**20
"""Of a file with texts."""
MOST_SETTINGS_BYTES = 2**20
"""Of a file with choices, which YAML reads slowly."""
_MOST_KEYS = 10_000
_DEEPEST = 100


def open_regular(path: Path, follow_links: bool = True) -> BufferedReader:
    """A regular file opened for reading; anything else is refused without being waited for.

    Args:
        path: of the file.
        follow_links: whether the file may be a link to one.

    Raises:
        OSError: if it cannot be opened, or is a folder, a pipe, a device, or a link that may not be followed.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)
    if not follow_links:
        if path.is_symlink():
            raise OSError(EINVAL, "it is a link")
        flags |= getattr(os, "O_NOFOLLOW", 0)
    handle = os.open(path, flags)
    mode = os.fstat(handle).st_mode
    if not stat.S_ISREG(mode):
        os.close(handle)
        raise OSError(EISDIR, os.strerror(EISDIR)) if stat.S_ISDIR(mode) else OSError(EINVAL, "it is no regular file")
    return os.fdopen(handle, "rb")


def read_regular(path: Path, most: int = MOST_BYTES, follow_links: bool = True) -> bytes:
    """All bytes of a regular file.

    Args:
        path: of the file.
        most: bytes that it may have.
        follow_links: whether the file may be a link to one.

    Raises:
        OSError: as for `open_regular`, or if it is larger.
    """
    with open_regular(path, follow_links) as stream:
        return read_at_most(stream, most)


def read_at_most(stream: BufferedIOBase | BinaryIO, most: int = MOST_BYTES) -> bytes:
    """All that a stream still holds.

    Args:
        stream: a file or a pipe.
        most: bytes that it may hold.

    Raises:
        OSError: if it holds more.
    """
    parts, size = [], 0
    while part := stream.read(2**20):
        parts.append(part)
        size += len(part)
        if size > most:
            raise OSError(EFBIG, f"it has more than {most:,} bytes")
    return b"".join(parts)


def file_hash(path: Path, follow_links: bool = True) -> str:
    """Hexadecimal SHA-256 of a regular file, read in blocks.

    Args:
        path: of the file.
        follow_links: whether the file may be a link to one.

    Raises:
        OSError: as for `open_regular`.
    """
    with open_regular(path, follow_links) as stream:
        return file_digest(stream, "sha256").hexdigest()


def parse_json(content: bytes) -> Any:
    """What JSON in UTF-8 says.

    Args:
        content: the text's bytes.

    Raises:
        ValueError: if it is no JSON, names a key twice, holds a number that is none, or is nested too deeply.
    """
    try:
        return json.loads(
            content.decode("utf-8"), object_pairs_hook=without_repeats, parse_constant=_finite, parse_float=_finite
        )
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error


class RepeatedKeyError(ValueError):
    """A key that one JSON object names twice.

    Args:
        key: the key.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"key {key!r} appears twice")
        self.key = key


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object that JSON describes: Python's parser would keep the last value of a key and say nothing.

    Args:
        pairs: its keys and values.

    Raises:
        RepeatedKeyError: if a key appears twice.
    """
    found: dict[str, Any] = {}
    for key, value in pairs:
        if key in found:
            raise RepeatedKeyError(key)
        found[key] = value
    return found


def _finite(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError(f"{text} is no finite number")
    return number


class _Loader(getattr(yaml, "CSafeLoader", yaml.SafeLoader)):  # type: ignore[misc]  # the one in C where PyYAML has it
    """Plain data only, and no key twice: PyYAML would keep the last value and say nothing."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        if len(node.value) > _MOST_KEYS:
            raise yaml.constructor.ConstructorError(None, None, f"more than {_MOST_KEYS:,} keys", node.start_mark)
        keys: set[str] = set()
        for key, _ in node.value:
            if isinstance(key.value, str) and key.value in keys:
                raise yaml.constructor.ConstructorError(None, None, f"key {key.value!r} appears twice", node.start_mark)
            keys.add(str(key.value))
        found: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return found


def parse_yaml(content: bytes) -> Any:
    """What YAML in UTF-8 says, plain data only.

    Args:
        content: the text's bytes.

    Raises:
        YAMLError: if it is no YAML, names a key twice or is nested too deeply.
        UnicodeDecodeError: if it is not UTF-8.
    """
    text, depth = content.decode("utf-8-sig"), 0
    # Events come one after another; what is built of them is built by recursion in C, which has no limit but the stack's.
    for event in yaml.parse(text, _Loader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:
            raise yaml.MarkedYAMLError(problem="nested too deeply", problem_mark=event.start_mark)  # type: ignore[arg-type]  # C's mark
    return yaml.load(text, _Loader)  # a safe loader, with more refusals
