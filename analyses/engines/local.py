"""Processes of this machine, started by loky; each has an executor of its own, so that the death of one is no other's.

The job lies in the run's shards, where every process reads it when it begins its first unit. It must not go through the pipe by
which loky starts a process: loky keeps that pipe's other end open while it writes, so more than the pipe holds (64 KiB on Linux)
would wait for ever for a process that was killed before it had read. What goes through it is where the shards are.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import BrokenExecutor, Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from loky import ProcessPoolExecutor, cpu_count
from loky.backend.context import LokyContext
from loky.backend.reduction import dumps, loads

from analyses.core.observing import Progress
from analyses.core.shards import Shards
from analyses.core.work import Job, Unit, Workshop
from analyses.engines.dispatch import StillbornError, dispatch
from interp.errors import InputError
from interp.report.second_process import end_with_parent

_JOB = "job"
"""The name under which the job is kept, and that of its one array: the bytes that loky makes of it."""

_seats: list[tuple[Shards, int]] = []
"""The shards and the number of this process, where it is one of an engine."""

_workshops: list[Workshop] = []
"""That of this process, once it has begun a unit."""


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
        """See `Engine.make`; the job's store is one that other processes reach, such as a run's folder."""
        count = min(self.workers or cpu_count(), len(units))
        if count:
            job.store[_JOB] = {_JOB: np.frombuffer(dumps(replace(job, store={})), np.uint8)}
        seats: list[_LocalSeat] = []
        try:
            seats += [_LocalSeat(job.store, number) for number in range(count)]
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

    def __init__(self, store: Shards, number: int) -> None:
        self._store, self._number = store, number
        self._start()

    def _start(self) -> None:
        self._executor: Any = ProcessPoolExecutor(
            max_workers=1,
            initializer=_enter,
            initargs=(self._store, self._number, os.getpid()),
            context=LokyContext(),  # by its name one would get the copy of whatever imported joblib last
            env={"OMP_NUM_THREADS": "1"},
        )
        self._up: Future[Any] = self._executor.submit(int)  # done before the first unit begins

    def submit(self, unit: Unit) -> "Future[Any]":
        """See `Seat.submit`."""
        while True:
            try:
                future: Future[Any] = self._executor.submit(_compute, unit)
            except BrokenExecutor:
                self._replace()
            else:
                return future

    def settle(self, future: "Future[Any]") -> BaseException | None:
        """See `Seat.settle`; the process has kept what the unit gave."""
        error = future.exception()
        if isinstance(error, BrokenExecutor):
            begun = self._up.done() and self._up.exception() is None
            self._replace()
            return error if begun else StillbornError(str(error))
        return error

    def _replace(self) -> None:
        self._executor.shutdown(wait=False, kill_workers=True)
        self._start()

    def close(self) -> None:
        """End the process, whatever it does."""
        self._executor.shutdown(wait=True, kill_workers=True)


def _enter(store: Shards, number: int, parent: int) -> None:
    """Begin in a process of the engine; loky does so again in one that it puts in the place of one that grew."""
    end_with_parent(parent)
    _seats[:] = [(store, number)]


def _compute(unit: Unit) -> None:
    if not _workshops:
        _workshops.append(_workshop(*_seats[0]))
    workshop = _workshops[0]
    workshop.job.keep(workshop.compute(unit))


def _workshop(store: Shards, number: int) -> Workshop:
    """The workshop for the job that the shards hold: these bytes are this run's own, or their code would not be right."""
    job: Job = loads(store[_JOB][_JOB].data)
    if job.architecture.device.type == "cuda":
        torch.cuda.set_device(number % torch.cuda.device_count())
    return Workshop(replace(job, store=store))
