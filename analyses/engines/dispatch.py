"""Dealing units out to seats, each of which computes one at a time: what is given out never outruns what is taken in."""

from collections import Counter, deque
from collections.abc import Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from typing import Any, Protocol, runtime_checkable

from analyses.core.observing import Progress
from analyses.core.work import MOST_FAILURES, Job, Unit, UnitError
from interp.errors import InputError

MOST_STILLBORN = 20
"""Processes in a row that end before they begin a unit; then there is no use in starting more."""


class StillbornError(RuntimeError):
    """A process ended before it began its unit, which is not that unit's fault."""


@runtime_checkable
class Seat(Protocol):
    """A process that computes one unit at a time."""

    def submit(self, unit: Unit) -> "Future[Any]":
        """Begin a unit; a process that died while it was idle is replaced first."""

    def settle(self, future: "Future[Any]") -> BaseException | None:
        """Keep what a unit gave, or say why it failed; a process that died is replaced.

        The error is a `StillbornError` if the process had not begun the unit.
        """


def dispatch(seats: Sequence[Seat], job: Job, units: Sequence[Unit], progress: Progress) -> None:
    """Have every unit computed.

    A unit whose process died, or that failed there, is dealt out again before all others.

    Args:
        seats: who computes.
        job: what the units belong to.
        units: the units.
        progress: told of the progress.

    Raises:
        InputError: of the first unit that raised one: it would raise it everywhere.
        UnitError: if a unit failed `MOST_FAILURES` times.
        StillbornError: of the last of `MOST_STILLBORN` processes in a row.
    """
    stillborn = 0
    waiting, idle = deque(units), list(seats)
    failures: Counter[Unit] = Counter()
    running: dict[Future[Any], tuple[Seat, Unit]] = {}
    what = f"computing shards in {len(seats)} {'process' if len(seats) == 1 else 'processes'}"
    progress(what, 0, len(units))
    while waiting or running:
        while idle and waiting:
            seat, unit = idle.pop(), waiting.popleft()
            running[seat.submit(unit)] = seat, unit
        for future in wait(running, return_when=FIRST_COMPLETED).done:
            seat, unit = running.pop(future)
            idle.append(seat)
            error = seat.settle(future)
            if isinstance(error, InputError):
                raise error
            stillborn = stillborn + 1 if isinstance(error, StillbornError) else 0
            if stillborn == MOST_STILLBORN:
                raise StillbornError(f"{stillborn} processes in a row ended before they began: {error}") from error
            if error is not None:
                failures[unit] += not stillborn
                if failures[unit] == MOST_FAILURES:
                    raise UnitError.of(unit, job, f"{type(error).__name__}: {error}") from error
                waiting.appendleft(unit)
        progress(what, len(units) - len(waiting) - len(running), len(units))
