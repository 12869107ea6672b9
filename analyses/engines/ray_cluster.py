"""Ray: actors of a cluster, or of one that is started on this machine for the run.

Actors need the package and the model's files, not the run's folder: what they compute comes back to the process that makes the
run.
"""

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, replace
from types import ModuleType
from typing import Any

from analyses.core.contract import Arrays
from analyses.core.observing import Progress
from analyses.core.work import Job, Unit, Workshop
from analyses.engines.dispatch import StillbornError, dispatch
from analyses.engines.local import check_workers
from interp.errors import InputError

_ENVIRONMENT = {"OMP_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class RayEngine:
    """Actors of a Ray cluster.

    Attributes:
        workers: how many; by default as many as the cluster has processors, or accelerators where the model is on one.
        address: of the cluster, as `ray.init` takes it; None for one of its own on this machine, or the one that `RAY_ADDRESS`
            names, as in a job that was submitted to a cluster.
    """

    workers: int | None = None
    address: str | None = None

    def __post_init__(self) -> None:
        check_workers(self.workers)

    @contextmanager
    def session(self) -> Iterator[bool]:
        """See `Engine.session`: connected to a cluster meanwhile, unless this process is already."""
        ray = _ray()
        if ray.is_initialized():
            yield True
            return
        self._connect(ray)
        try:
            yield True
        finally:
            ray.shutdown()

    def _connect(self, ray: ModuleType) -> None:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        os.environ.setdefault("RAY_worker_niceness", "0")  # Ray's own 15 starves workers where others compute too
        options: dict[str, Any] = {"log_to_driver": False, "logging_level": "ERROR"}
        if self.address is None and "RAY_ADDRESS" not in os.environ:
            # What seats are given comes back at once, so a store of the least size is enough.
            options |= {"num_cpus": self.workers, "include_dashboard": False, "object_store_memory": 100 * 2**20}
        try:
            ray.init(self.address, **options)
        except (ConnectionError, ValueError, RuntimeError) as error:
            where = "a cluster on this machine" if self.address is None else f"the Ray cluster at {self.address!r}"
            reason = " ".join(str(error).split())[:300]
            raise InputError(
                f"Cannot use {where}: {reason}; look at `ray status`, or give another --address."
            ) from error

    def make(self, job: Job, units: Sequence[Unit], progress: Progress) -> None:
        """See `Engine.make`."""
        ray, resource = _ray(), "GPU" if job.architecture.device.type == "cuda" else "CPU"
        count = min(self.workers or int(ray.cluster_resources().get(resource, 1)), len(units))
        shared = ray.put(replace(job, store={}))
        needs = {"num_cpus": 1, "num_gpus": int(resource == "GPU"), "runtime_env": {"env_vars": _ENVIRONMENT}}
        actor = ray.remote(**needs)(_Actor)
        seats = [_RaySeat(ray, actor, shared, job) for _ in range(count)]
        try:
            dispatch(seats, job, units, progress)
        finally:
            for seat in seats:
                seat.close()


def _ray() -> ModuleType:
    """The library.

    Raises:
        InputError: if it is not installed.
    """
    try:
        import ray
    except ImportError as error:
        raise InputError("The engine `ray` needs the extra `ray`: pip install 't5-interp[ray]'.") from error
    found: ModuleType = ray
    return found


class _Actor:
    """What stands in a process of the cluster."""

    def __init__(self, job: Job) -> None:
        self._workshop = Workshop(job)

    def begin(self) -> None:
        """Done before the first unit begins."""

    def compute(self, unit: Unit) -> dict[str, Arrays]:
        return self._workshop.compute(unit)


class _RaySeat:
    """One actor, and the one after it where it dies."""

    def __init__(self, ray: ModuleType, kind: Any, shared: Any, job: Job) -> None:
        self._ray, self._kind, self._shared, self._job = ray, kind, shared, job
        self._start()

    def _start(self) -> None:
        self._actor = self._kind.remote(self._shared)
        self._up: Future[Any] = self._actor.begin.remote().future()

    def submit(self, unit: Unit) -> "Future[Any]":
        """See `Seat.submit`."""
        future: Future[Any] = self._actor.compute.remote(unit).future()
        return future

    def settle(self, future: "Future[Any]") -> BaseException | None:
        """See `Seat.settle`."""
        error = future.exception()
        if error is None:
            self._job.keep(future.result())
        elif isinstance(error, self._ray.exceptions.RayTaskError):
            return error.cause if isinstance(error.cause, Exception) else error
        else:
            begun = self._up.done() and self._up.exception() is None
            self.close()
            self._start()
            return error if begun else StillbornError(str(error))
        return error

    def close(self) -> None:
        """End the actor, whatever it does."""
        self._ray.kill(self._actor)
