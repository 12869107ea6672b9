"""Freed memory of a process: held by the C library for what comes next, or given back to the system.

Of glibc, where a process runs on it. Elsewhere nothing of this has an effect, and nothing needs to.
"""

import ctypes
import os
import sys
from collections import deque
from functools import cache
from threading import current_thread, main_thread

LARGEST_HELD = 2**25
"""Bytes from which a block is mapped by itself and given back at once, whatever is asked for (`M_MMAP_THRESHOLD` at its most)."""

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
_LEAST = 2 * LARGEST_HELD
"""What glibc comes to hold by itself once a block of `LARGEST_HELD` was freed."""
_MOST = 2**31 - 1
_REMEMBERED = 8
"""Runs after which what none of them needed is no longer held."""


@cache
def glibc() -> ctypes.CDLL | None:
    """The C library, where it is the one that has these functions."""
    library = ctypes.CDLL(None) if sys.platform == "linux" else None
    return library if hasattr(library, "malloc_trim") and hasattr(library, "mallopt") else None


def trim_heap() -> None:
    """Gives freed memory back; on other systems than Linux with glibc nothing happens."""
    library = glibc()
    if library is not None:
        library.malloc_trim(ctypes.c_size_t(0))


class FreedMemory:
    """How much of the memory that was freed stays in the process, for the runs that follow.

    By itself glibc gives back what lies free at the end of its heap, which is where a cache was, and a loop pays for fresh pages
    at every pass: a fifth of a pass on the small shape of T5.
    """

    def __init__(self) -> None:
        self._needed: deque[int] = deque(maxlen=_REMEMBERED)
        self._held = 0

    def can_be_held(self) -> bool:
        """Whether freed memory serves the next run: with glibc, in the main thread, and where the user chose nothing else."""
        chosen = {"MALLOC_TRIM_THRESHOLD_", "MALLOC_MMAP_THRESHOLD_", "GLIBC_TUNABLES"} & os.environ.keys()
        return glibc() is not None and not chosen and current_thread() is main_thread()

    def hold(self, n_bytes: int) -> None:
        """Hold for the runs to come twice what the largest of the last ones kept.

        Args:
            n_bytes: what a run kept.
        """
        self._needed.append(n_bytes)
        self._set(min(max(2 * max(self._needed), _LEAST), _MOST))

    def release(self) -> None:
        """Give back what is free now, and hold no more than glibc does by itself until the next run."""
        self._needed.clear()
        if self._held:
            self._set(_LEAST)
        trim_heap()

    def _set(self, n_bytes: int) -> None:
        library = glibc()
        if library is not None and n_bytes != self._held:
            library.mallopt(_MMAP_THRESHOLD, LARGEST_HELD)
            library.mallopt(_TRIM_THRESHOLD, n_bytes)
            self._held = n_bytes


FREED_MEMORY = FreedMemory()
"""That of this process."""
