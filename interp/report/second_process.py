"""A second process for work that can wait, where the machine has a second core.

`loky` starts it without importing the caller's script again, so a notebook or a script without a main guard may use it too.
"""

from concurrent.futures import Executor

from loky import cpu_count, get_reusable_executor

_IDLE_SECONDS = 30


def second_process() -> Executor | None:
    """The process, the same for all who ask; None with one core, or on a system without semaphores."""
    if cpu_count() < 2:
        return None
    try:
        worker: Executor = get_reusable_executor(max_workers=1, timeout=_IDLE_SECONDS)
    except (OSError, ImportError, NotImplementedError):
        return None
    return worker
