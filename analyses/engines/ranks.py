"""Ranks of torchrun: every rank computes its own share of the units, fixed beforehand, and rank 0 makes the run.

    torchrun --nproc-per-node 2 --max-restarts 20 -m analyses.cli run --engine torchrun --out reports/mine

All ranks write into the run's folder, which they must share. Nothing but the job goes over the group (gloo). When a rank dies,
torchrun starts all of them again, and they go on with what is not there yet: how often a unit was begun is kept beside its
numbers.
"""

import os
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from types import FrameType
from typing import Any, NoReturn

import numpy as np
import torch
import torch.distributed as dist

from analyses.core.observing import Progress
from analyses.core.work import MOST_FAILURES, Job, Unit, UnitError, Workshop
from interp.errors import InputError

LOST = 75
"""Exit code of a rank that ends because another did, or because it was asked to: try again."""

_LONGEST_WAIT = timedelta(days=30)
"""For the slowest rank; one that dies breaks the group at once."""

_PATIENCE = 60
"""Seconds; torchrun ends a rank that waits as soon as it has noticed the end of another."""

_NOTICE = 5
"""Seconds in which torchrun has noticed that another rank died."""

_Work = tuple[Job, list[Unit]]


def is_rank() -> bool:
    """Whether torchrun started this process."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


@dataclass(frozen=True, slots=True)
class TorchrunEngine:
    """The ranks that torchrun started, of which this process is one.

    Attributes:
        workers: how many are expected; None for any number.
    """

    workers: int | None = None

    def __post_init__(self) -> None:
        if not is_rank():
            raise InputError(
                "This process was not started by torchrun; use `torchrun --nproc-per-node N ...`, or another engine."
            )
        if self.workers not in (None, world := int(os.environ["WORLD_SIZE"])):
            raise InputError(f"torchrun started {world} ranks, not {self.workers}; leave --workers out.")

    @contextmanager
    def session(self) -> Iterator[bool]:
        """See `Engine.session`: rank 0 makes runs, and the others help it until it is done."""
        local = int(os.environ.get("LOCAL_RANK", "0"))
        if torch.cuda.is_available():
            torch.cuda.set_device(local % torch.cuda.device_count())
        _meet()
        before = signal.signal(signal.SIGTERM, _leave)
        try:
            if dist.get_rank() == 0:
                try:
                    yield True
                except SystemExit:  # asked to leave, or the group is broken: telling the others would wait for them
                    raise
                except BaseException:
                    _tell(None)
                    raise
                _tell(None)
            else:
                while (work := _tell(None)) is not None:
                    self._share(*work)
                yield False
        finally:
            signal.signal(signal.SIGTERM, before)
            dist.destroy_process_group()

    def make(self, job: Job, units: Sequence[Unit], progress: Progress) -> None:
        """See `Engine.make`; units of other ranks are not counted in the progress."""
        _tell((job, list(units)))
        self._share(job, list(units), progress)
        if missing := [str(unit) for unit in units if not job.has(unit)]:
            raise RuntimeError(
                f"{len(missing)} of {len(units)} units are not in the run's folder, {missing[0]} first; "
                "all ranks must see one folder"
            )

    def _share(self, job: Job, units: Sequence[Unit], progress: Progress | None = None) -> None:
        """Compute this rank's units, and wait for the others."""
        own, workshop = units[dist.get_rank() :: dist.get_world_size()], Workshop(job)
        for done, unit in enumerate(own):
            if progress is not None:
                progress(f"computing shards, rank 0 of {dist.get_world_size()}", done, len(own))
            _compute(workshop, unit)
        with _lost_ranks():
            dist.barrier()


def _meet() -> None:
    """Form the group; where that fails because another rank died, torchrun ends this one too, before it says so."""
    try:
        dist.init_process_group("gloo", timeout=_LONGEST_WAIT)
    except RuntimeError:
        time.sleep(_NOTICE)
        raise


def _tell(work: _Work | None) -> _Work | None:
    """What rank 0 gives to all; other ranks give None."""
    box: list[_Work | None] = [work]
    with _lost_ranks():
        dist.broadcast_object_list(box, 0)
    return box[0]


@contextmanager
def _lost_ranks() -> Iterator[None]:
    """Leave with `LOST` where the group is broken, but not before the rank that broke it: torchrun tells of the first to end."""
    try:
        yield
    except RuntimeError as error:
        time.sleep(_PATIENCE)
        raise SystemExit(LOST) from error


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    """Leave with `LOST`: torchrun ends all ranks when one died, and tells of their codes beside the one of the first."""
    raise SystemExit(LOST)


def _compute(workshop: Workshop, unit: Unit) -> None:
    """Compute and keep one unit, counting how often it was begun and did not end; being asked to leave does not count."""
    job, place = workshop.job, f"begun-{unit.name}-{unit.analysis}"
    begun = _begun(job, place)
    reason: Any = "the death of its process"
    while begun < MOST_FAILURES:
        job.store[place] = {"begun": np.array(begun + 1)}
        try:
            job.keep(workshop.compute(unit))
        except InputError:
            raise
        except Exception as error:
            begun, reason = begun + 1, f"{type(error).__name__}: {error}"
        except BaseException:
            job.store[place] = {"begun": np.array(begun)}
            raise
        else:
            return
    job.store[place] = {"begun": np.array(0)}
    raise UnitError.of(unit, job, reason)


def _begun(job: Job, place: str) -> int:
    return int(job.store[place]["begun"]) if place in job.store else 0
