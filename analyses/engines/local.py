"""Processes of this machine, started by loky; each has an executor of its own, so that the death of one is no other's."""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from loky import ProcessPoolExecutor, cpu_count

from analyses.core.observing import Progress
from analyses.core.work import Job, Unit, Workshop
from analyses.engines.dispatch import dispatch
from interp.errors import InputError
from interp.report.second_process import end_with_parent

_workshops: list[Workshop] = []
"""That of this process, where it is one of an engine."""


@dataclass(frozen=True, slots=True)
class LocalEngine:
    """Processes of this machine.

    Attributes:
        workers: how many; by default one a core.
    """

    workers: int | None = None

    def __post_init__(self) -> None:
        check_workers(self.workers)

    @contextmanager
    def session(self) -> Iterator[bool]:
        """See `Engine.session`: every process is begun and ended by `make`."""
        yield True

    def make(self, job: Job, units: Sequence[Unit], progress: Progress) -> None:
        """See `Engine.make`."""
        count = min(self.workers or cpu_count(), len(units))
        seats = [_LocalSeat(job, number) for number in range(count)]
        try:
            dispatch(seats, job, units, progress)
        finally:
            for seat in seats:
                seat.close()


def check_workers(workers: int | None) -> None:
    """Refuse a number of processes below one.

    Args:
        workers: the number, or None for the default.

    Raises:
        InputError: if it is below one.
    """
    if workers is not None and workers < 1:
        raise InputError(f"workers={workers}; give at least 1.")


class _LocalSeat:
    """One process, and the one after it where it dies."""

    def __init__(self, job: Job, number: int) -> None:
        self._job, self._number = job, number
        self._executor = self._start()

    def _start(self) -> Any:
        return ProcessPoolExecutor(
            max_workers=1,
            initializer=_enter,
            initargs=(self._job, self._number, os.getpid()),
            env={"OMP_NUM_THREADS": "1"},
        )

    def submit(self, unit: Unit) -> "Future[Any]":
        """See `Seat.submit`."""
        try:
            future: Future[Any] = self._executor.submit(_compute, unit)
        except BrokenExecutor:
            self._replace()
            future = self._executor.submit(_compute, unit)
        return future

    def settle(self, future: "Future[Any]") -> BaseException | None:
        """See `Seat.settle`; the process has kept what the unit gave."""
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            self._replace()
        return error

    def _replace(self) -> None:
        self._executor.shutdown(wait=False, kill_workers=True)
        self._executor = self._start()

    def close(self) -> None:
        """End the process, whatever it does."""
        self._executor.shutdown(wait=True, kill_workers=True)


def _enter(job: Job, number: int, parent: int) -> None:
    """Begin in a process of the engine."""
    end_with_parent(parent)
    if job.architecture.device.type == "cuda":
        torch.cuda.set_device(number % torch.cuda.device_count())
    _workshops[:] = [Workshop(job)]


def _compute(unit: Unit) -> None:
    workshop = _workshops[0]
    workshop.job.keep(workshop.compute(unit))
