"""Workers of the local engine that are killed as they start, which is before they have read what they are told."""

import os
import secrets
import time
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from threading import Thread
from types import SimpleNamespace
from typing import Any

import pytest
from loky.backend import popen_loky_posix, reduction

from analyses.core.observing import no_progress
from analyses.core.work import Job, Unit, Workshop
from analyses.engines import LocalEngine
from analyses.runs.run_folder import Staging
from analyses.runs.run_status import Status
from tests.support.jobs import job
from tests.support.processes import computing, kill

pytestmark = pytest.mark.slow

UNITS = [Unit(None, "shard", 0), Unit(0, "shard", 2), Unit(1, "weights")]


def large_job(place: Path) -> Job:
    """A job that no pipe holds, its shards in a folder that other processes reach."""
    store = Staging(place / "run", place, secrets.token_bytes(32), Status(place))
    return replace(job(store), ids=[f"{number}{'p' * 20_000}" for number in range(10)])


class Midwife(Thread):
    """Kills the first processes of an engine, each so many seconds after it appeared."""

    def __init__(self, *delays: float) -> None:
        super().__init__(daemon=True)
        self.waiting, self.seen = list(delays), set(computing(os.getpid()))

    def run(self) -> None:
        while self.waiting:
            born = [process for process in computing(os.getpid()) if process not in self.seen]
            if born:
                time.sleep(self.waiting[0])
                kill(born[0])
                self.seen.add(born[0])
                self.waiting.pop(0)
            time.sleep(0.001)


def test_workers_that_are_killed_as_they_start_are_replaced_and_no_number_changes(tmp_path: Path) -> None:
    own, midwife = large_job(tmp_path), Midwife(0, 0.005, 0.02, 0.05, 0.1)
    midwife.start()
    LocalEngine(1).make(own, UNITS, no_progress)
    assert midwife.waiting == []
    undisturbed = job({})
    workshop = Workshop(undisturbed)
    for unit in UNITS:
        undisturbed.keep(workshop.compute(unit))
        for place in own.places(unit):
            found, wanted = own.store[place], undisturbed.store[place]
            assert sorted(found) == sorted(wanted)
            assert all(found[name].tobytes() == wanted[name].tobytes() for name in wanted)


def test_what_a_starting_worker_is_told_goes_into_a_pipe_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Or loky waits for ever for a process that died before it read; a pipe holds 64 KiB, of a busy user 4."""
    written: list[int] = []

    def dump(what: Any, file: Any) -> None:
        reduction.dump(what, file)
        written.append(file.tell())

    import_module("joblib.externals.loky")  # whose context takes the name of loky's
    monkeypatch.setattr(popen_loky_posix, "reduction", SimpleNamespace(**vars(reduction) | {"dump": dump}))
    own = large_job(tmp_path)
    LocalEngine(1).make(own, UNITS[-1:], no_progress)
    assert own.has(UNITS[-1])
    assert len(written) == 2  # what every process is told, and its own
    assert max(written) < 2**12
    assert len(own.store["job"]["job"]) > 2**16
