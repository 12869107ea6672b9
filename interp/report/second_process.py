"""A second process for work that can wait, where the machine has a second core.

`loky` starts it without importing the caller's script again, so a notebook or a script without a main guard may use it too. A
command, which knows that nothing has been computed yet, has it begin as a copy of itself instead, which need not import torch
anew (as many seconds as a tenth of a default run).
"""

import multiprocessing
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from multiprocessing import parent_process
from pathlib import Path
from threading import Thread
from typing import Any

from loky import cpu_count, get_reusable_executor, wrap_non_picklable_objects

_IDLE_SECONDS = 30

_copies: dict[int, Executor] = {}
"""The number of this process -> its copy."""


def end_with_parent(parent: int) -> None:
    """Have this process end when its parent has, however that ended; it would wait for more work for an hour.

    Args:
        parent: the number of the parent's process.
    """

    def watch() -> None:
        above = parent_process()
        if os.name == "nt" and above is not None:
            above.join()  # the number of a parent that is gone does not change there
        while os.name != "nt" and os.getppid() == parent:
            time.sleep(0.5)
        os._exit(1)

    Thread(target=watch, daemon=True).start()


class _Copy(ProcessPoolExecutor):
    """One process that is never begun anew: loky replaces one whose memory grew, by a copy of a parent that has computed."""

    def submit(self, function: Callable[..., Any], /, *args: Any, **named: Any) -> "Future[Any]":
        """As any executor does, with loky's way to send functions that have no name."""
        return super().submit(_call, wrap_non_picklable_objects((function, args, named), keep_wrapper=False))

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False, kill_workers: bool = False) -> None:
        """As loky's executors do."""
        if kill_workers:
            for process in tuple((self._processes or {}).values()):
                process.kill()
        super().shutdown(wait, cancel_futures=cancel_futures)


def _call(work: tuple[Callable[..., Any], tuple[Any, ...], dict[str, Any]]) -> Any:
    function, args, named = work
    return function(*args, **named)


def is_command() -> bool:
    """Whether this process is the `interp` command, however it was begun, and no caller's own code, whatever that is called."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    return (
        Path(sys.argv[0]).name in ("interp", "interp.exe")
        if spec is None
        else spec.name in ("analyses.__main__", "analyses.cli")
    )


def begin_copy() -> None:
    """Make the second process now, as a copy of this one: in a command that has not computed yet, on Linux with two cores.

    Elsewhere a caller's own code may have computed before: threads of a library, and torch's engine of gradients, do not survive.
    """
    if is_command() and sys.platform == "linux" and cpu_count() > 1 and os.getpid() not in _copies:
        try:
            copied = _Copy(1, multiprocessing.get_context("fork"), end_with_parent, (os.getpid(),))
            copied.submit(os.getpid).result()
        except (OSError, ImportError, NotImplementedError):
            return
        _copies[os.getpid()] = copied


def second_process() -> Executor | None:
    """The process, the same for all who ask; None with one core, or on a system without semaphores."""
    if cpu_count() < 2:
        return None
    if (copied := _copies.get(os.getpid())) is not None:
        try:
            copied.submit(int)
        except RuntimeError:  # it was killed, or shut down
            del _copies[os.getpid()]
        else:
            return copied
    try:
        worker: Executor = get_reusable_executor(
            max_workers=1, timeout=_IDLE_SECONDS, initializer=end_with_parent, initargs=(os.getpid(),)
        )
    except (OSError, ImportError, NotImplementedError):
        return None
    return worker
