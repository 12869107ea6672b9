"""Observing untrained twins, in a second process where that pays: they need nothing of the model but its architecture.

The numbers are those of one process: a twin is drawn from its seed, and both processes compute on as many threads. The second one
begins with the first twin, and this one, once it is done with the model, with the last.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Executor, Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from threading import Lock
from typing import Any

import torch
from threadpoolctl import threadpool_limits

from analyses.core.memory_use import collect_garbage
from analyses.core.observing import ConfiguredAnalysis, Progress, no_progress, observe
from analyses.core.shards import Observations, Shards
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import Architecture
from interp.report.second_process import second_process
from interp.text.batch import Batch
from interp.text.text_memory import remembering

_WORTH_A_PROCESS = 60
"""Prompts times twins from which a second process, which imports torch anew, pays."""
_LARGE = 2**26
"""Bytes of a twin from which looking for it among all objects, a quarter of a second, pays."""


@dataclass(frozen=True, slots=True, eq=False)
class TwinWork:
    """What the twins of one model are observed on.

    Attributes:
        architecture: of the model.
        batches: the prompts.
        analyses: the analyses with their settings.
        store: where shards are kept.
        seeds: of the twins.
    """

    architecture: Architecture
    batches: Sequence[Batch]
    analyses: Sequence[ConfiguredAnalysis]
    store: Shards
    seeds: Sequence[int]

    def observe(self, number: int, progress: Progress = no_progress) -> Observations:
        """One twin, drawn and observed in this process."""
        twin = self.architecture.twin(self.seeds[number])
        large = twin.hf.get_memory_footprint() > _LARGE
        with remembering(twin.tokenizer):
            found = observe(twin, self.batches, self.analyses, self.store, progress, twin=number)
        del twin  # It hangs in a circle with its hooks.
        if large:
            collect_garbage()
        return found


class TwinObserver:
    """Twins observed by two: another process takes the first that waits, one after another, and this one the last.

    Args:
        work: what is to be done here.
        worker: the other process, or None.
        elsewhere: what is to be done there.
    """

    def __init__(self, work: TwinWork, worker: Executor | None, elsewhere: TwinWork) -> None:
        self._work, self._worker, self._elsewhere = work, worker, elsewhere
        self._waiting = deque(range(len(work.seeds)))
        self._begun: dict[int, Future[Observations]] = {}
        self._lock = Lock()
        self._begin_next()

    def _begin_next(self, before: Future[Observations] | None = None) -> None:
        """Hand the next twin over, unless the one before failed."""
        if self._worker is None or (before is not None and (before.cancelled() or before.exception())):
            return
        with self._lock:
            if not self._waiting:
                return
            number = self._waiting.popleft()
            future = self._begun[number] = self._worker.submit(_observe_elsewhere, self._elsewhere, number)
        future.add_done_callback(self._begin_next)

    def _take_last(self) -> int | None:
        with self._lock:
            return self._waiting.pop() if self._waiting else None

    def finish(self, progress: Progress) -> list[Observations]:
        """The observations of all twins."""
        done: dict[int, Observations] = {}
        while (number := self._take_last()) is not None:
            done[number] = self._work.observe(number, progress)
        for number, future in self._begun.items():
            progress(f"observing twin-{number}", 0, 1)
            try:
                done[number] = future.result()
            except BrokenExecutor:  # the other process was killed
                done[number] = self._work.observe(number, progress)
        return [done[number] for number in range(len(self._work.seeds))]


@contextmanager
def begin_twins(
    model: HookedEncoderDecoder,
    batches: Sequence[Batch],
    analyses: Sequence[ConfiguredAnalysis],
    store: Shards,
    seeds: Sequence[int],
) -> Iterator[TwinObserver]:
    """Begin to observe twins in a second process, if there is one and it pays, while this one observes the model.

    Args:
        model: the model.
        batches: all prompts.
        analyses: the analyses with their settings.
        store: where shards are kept and found.
        seeds: of the twins.
    """
    work = TwinWork(Architecture.of(model), batches, analyses, store, seeds)
    worker = _worker(model, sum(map(len, batches)) * len(seeds))
    # Shards in memory would be those of another process.
    elsewhere = replace(work, store={}) if isinstance(store, dict) else work
    try:
        yield TwinObserver(work, worker, elsewhere)
    except BaseException:
        if worker is not None:
            shutdown: Any = worker.shutdown
            shutdown(wait=False, kill_workers=True)
        raise


def _worker(model: HookedEncoderDecoder, size: int) -> Executor | None:
    """A second process for small models on one thread of the processor; larger ones use all cores by themselves."""
    small = model.device.type == "cpu" and torch.get_num_threads() == 1
    return second_process() if small and size >= _WORTH_A_PROCESS else None


def _observe_elsewhere(work: TwinWork, number: int) -> Observations:
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    with threadpool_limits(1):
        return work.observe(number)
