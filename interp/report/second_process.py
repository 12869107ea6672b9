"""A second process for work that can wait, where the machine has a second core.

`loky` starts it without importing the caller's script again, so a notebook or a script without a main guard may use it too.
"""

import os
import time
from concurrent.futures import Executor
from multiprocessing import parent_process
from threading import Thread

from loky import cpu_count, get_reusable_executor

_IDLE_SECONDS = 30


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


def second_process() -> Executor | None:
    """The process, the same for all who ask; None with one core, or on a system without semaphores."""
    if cpu_count() < 2:
        return None
    try:
        worker: Executor = get_reusable_executor(
            max_workers=1, timeout=_IDLE_SECONDS, initializer=end_with_parent, initargs=(os.getpid(),)
        )
    except (OSError, ImportError, NotImplementedError):
        return None
    return worker
