"""Work that is shared between this process and a second one, where the machine has a second core.

Both compute on one thread, so which of them did a piece changes no number: the second one begins with the first piece, and this
one, once it is free, with the last.
"""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from threading import Lock
from typing import Any, Generic, TypeVar

import torch

from analyses.core.observing import Progress
from analyses.core.work import one_thread
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report.second_process import second_process

Made = TypeVar("Made")

_WORTH_A_PROCESS = 60
"""Prompts times models from which a second process, which imports torch anew, pays."""


class SharedWork(Generic[Made]):
    """Pieces that two processes make: the other one takes the first that waits, one after another, and this one the last.

    Args:
        count: how many pieces there are.
        here: makes a piece, by its number, in this process.
        worker: the other process, or None.
        there: makes it in the other process; to be pickled.
    """

    def __init__(
        self,
        count: int,
        here: Callable[[int, Progress], Made],
        worker: Executor | None,
        there: Callable[[int], Made],
    ) -> None:
        self._count, self._here, self._worker, self._there = count, here, worker, there
        self._waiting = deque(range(count))
        self._begun: dict[int, Future[Made]] = {}
        self._lock = Lock()
        self._begin_next()

    def _begin_next(self, before: Future[Made] | None = None) -> None:
        """Hand the next piece over, unless the one before failed."""
        if self._worker is None or (before is not None and (before.cancelled() or before.exception())):
            return
        with self._lock:
            if not self._waiting:
                return
            number = self._waiting.popleft()
            future = self._begun[number] = self._worker.submit(_made_there, self._there, number)
        future.add_done_callback(self._begin_next)

    def _take_last(self) -> int | None:
        with self._lock:
            return self._waiting.pop() if self._waiting else None

    def finish(self, what: str, progress: Progress) -> list[Made]:
        """All pieces, in their order.

        Args:
            what: what is being done, to be told.
            progress: told of the progress.
        """
        done: dict[int, Made] = {}
        while (number := self._take_last()) is not None:
            progress(what, self._count - len(self._waiting) - 1, self._count)
            done[number] = self._here(number, progress)
        for number, future in self._begun.items():
            progress(what, self._count - 1, self._count)
            try:
                done[number] = future.result()
            except BrokenExecutor:  # the other process was killed
                done[number] = self._here(number, progress)
        return [done[number] for number in range(self._count)]


@contextmanager
def share_work(
    count: int, here: Callable[[int, Progress], Made], worker: Executor | None, there: Callable[[int], Made]
) -> Iterator[SharedWork[Made]]:
    """Begin to make pieces in another process; what is begun there ends with an error of the block.

    Args:
        count: how many pieces there are.
        here: makes a piece, by its number, in this process.
        worker: the other process, or None.
        there: makes it in the other process; to be pickled.
    """
    try:
        yield SharedWork(count, here, worker, there)
    except BaseException:
        if worker is not None:
            shutdown: Any = worker.shutdown
            shutdown(wait=False, kill_workers=True)
        raise


def worker_for(model: HookedEncoderDecoder, size: int) -> Executor | None:
    """A second process for small models on one thread of the processor; larger ones use all cores by themselves.

    Args:
        model: whose work it is.
        size: prompts times models.
    """
    small = model.device.type == "cpu" and torch.get_num_threads() == 1
    return second_process() if small and size >= _WORTH_A_PROCESS else None


def _made_there(make: Callable[[int], Made], number: int) -> Made:
    with one_thread():
        return make(number)
