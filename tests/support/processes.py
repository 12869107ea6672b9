"""Processes below this one, so that tests can kill those that engines start."""

import os
import signal
from contextlib import suppress
from pathlib import Path


def below(parent: int) -> list[int]:
    """All processes that a process started, and those that these started."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
            except OSError:  # it ended meanwhile
                continue
            if fields[0] != "Z":
                children.setdefault(int(fields[1]), []).append(int(entry.name))
    found, waiting = [], [parent]
    while waiting:
        own = children.get(waiting.pop(), [])
        found += own
        waiting += own
    return found


def computing(parent: int) -> list[int]:
    """The processes of an engine below a process: those of loky, actors of Ray, or ranks of torchrun."""
    marks = ("loky.backend.popen_loky_posix", "ray::_Actor", "-m\0analyses.cli")
    found = []
    for process in below(parent):
        try:
            command = Path(f"/proc/{process}/cmdline").read_bytes().decode(errors="replace")
        except OSError:
            continue
        if any(mark in command for mark in marks):
            found.append(process)
    return sorted(found)


def parent_of(process: int) -> int | None:
    """The process that started another, if that is still there."""
    try:
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return None


def kill(process: int) -> None:
    """End a process at once, if it is still there."""
    with suppress(ProcessLookupError):
        os.kill(process, signal.SIGKILL)
