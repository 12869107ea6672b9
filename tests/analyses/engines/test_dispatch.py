"""How units are dealt out: never more than there are seats, failures first, and an end after three."""

from collections import Counter
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from analyses.core.observing import no_progress
from analyses.core.shards import packed, unpacked
from analyses.core.work import Job, Unit, UnitError, Workshop
from analyses.engines import LocalEngine, start
from analyses.engines.dispatch import MOST_STILLBORN, StillbornError, dispatch
from analyses.engines.ranks import LOST, TorchrunEngine, _compute
from analyses.runs.run_folder import Staging
from analyses.runs.run_status import Status
from interp.errors import InputError
from tests.support.jobs import job


class Seat:
    """Computes in a thread; units fail as often as they are told to."""

    def __init__(self, pool: ThreadPoolExecutor, failing: dict[Unit, list[Exception]]) -> None:
        self.pool, self.failing = pool, failing
        self.begun: list[Unit] = []
        self.open = 0

    def submit(self, unit: Unit) -> "Future[Any]":
        self.open += 1
        assert self.open == 1
        self.begun.append(unit)
        return self.pool.submit(self.work, unit)

    def work(self, unit: Unit) -> None:
        if self.failing.get(unit):
            raise self.failing[unit].pop()

    def settle(self, future: "Future[Any]") -> BaseException | None:
        self.open -= 1
        return future.exception()


def deal(failing: dict[Unit, list[Exception]]) -> Counter[Unit]:
    with ThreadPoolExecutor(2) as pool:
        seats = [Seat(pool, failing) for _ in range(2)]
        dispatch(seats, job(), job().units(), no_progress)
    return Counter(unit for seat in seats for unit in seat.begun)


def test_the_list_of_units_hangs_on_nothing_but_prompts_analyses_and_twins() -> None:
    names = [str(unit) for unit in job().units()]
    shards = ["00000", "00001", "00002"]
    model = [f"model-{shard}" for shard in shards]
    model += ["model-weights", "model-experiment of cross_attention_focus"]
    first = [f"twin-0-{shard}" for shard in shards]
    first += ["twin-0-weights", "twin-0-experiment of cross_attention_focus"]
    assert names == [*model, *first, *(f"twin-1-{shard}" for shard in shards), "twin-1-weights"]
    assert job().prompts_of(Unit(1, "shard", 2)) == ["p8", "p9"]


def test_every_unit_is_computed_and_those_that_failed_once_more() -> None:
    units = job().units()
    begun = deal({units[2]: [OSError("a"), OSError("b")], units[-1]: [ValueError("c")]})
    assert begun == Counter(units) + Counter({units[2]: 2, units[-1]: 1})


def test_three_failures_stop_with_the_prompts_and_the_last_reason() -> None:
    unit = Unit(0, "shard", 1)
    with pytest.raises(UnitError, match=r"twin-0-00001 failed 3 times.*OSError: no memory \(prompts p4, p5, p6, p7\)"):
        deal({unit: [OSError("no memory")] * 3})


def test_processes_that_never_began_are_not_the_units_fault_unless_none_begins() -> None:
    first, last = job().units()[0], job().units()[-1]
    few: list[Exception] = [StillbornError("killed")] * (MOST_STILLBORN - 1)
    begun = deal({first: [*few], last: [OSError("a"), *few]})
    assert begun[first] == MOST_STILLBORN
    assert begun[last] == MOST_STILLBORN + 1
    with pytest.raises(StillbornError, match="20 processes in a row ended before they began: killed"):
        deal({unit: [StillbornError("killed")] * MOST_STILLBORN for unit in job().units()})


def test_bad_input_is_told_at_once() -> None:
    unit = Unit(None, "weights")
    with pytest.raises(InputError, match="not this model"):
        deal({unit: [InputError("not this model")]})


class Failing(Workshop):
    """Fails as often as it is told to."""

    def __init__(self, own: Job, errors: list[BaseException]) -> None:
        super().__init__(own)
        self.errors = errors

    def compute(self, unit: Unit) -> dict[str, dict[str, np.ndarray]]:
        if self.errors:
            raise self.errors.pop()
        return {place: {"x": np.zeros(2)} for place in self.job.places(unit)}


def test_a_rank_counts_what_was_begun_over_restarts_and_not_what_was_called_off() -> None:
    store: dict[str, Any] = {}
    own, unit = job(store), Unit(None, "shard", 2)
    for _ in range(5):
        with pytest.raises(SystemExit):
            _compute(Failing(own, [SystemExit(LOST)]), unit)
    _compute(Failing(own, [OSError("a"), OSError("b")]), unit)
    assert own.has(unit)
    store.clear()
    store["begun-model-00002-"] = {"begun": np.array(3)}  # killed three times
    with pytest.raises(UnitError, match=r"the death of its process \(prompts p8, p9\)"):
        _compute(Failing(own, []), unit)
    _compute(Failing(own, []), unit)  # the next command tries anew


def test_numbers_and_texts_are_kept_as_they_are(tmp_path: Path) -> None:
    given = {
        "x": np.arange(6.0).reshape(2, 3),
        "flag": np.array(True),
        "texts": np.array([["a\0", ""], ["ü", "▁b"]], dtype=object),
        "none": np.zeros((0, 2), dtype="<U3"),
    }
    store = Staging(tmp_path / "final", tmp_path, b"key", Status(tmp_path))
    store["kept"] = packed(given)
    found = unpacked(store["kept"])
    assert sorted(found) == sorted(given)
    for name, values in given.items():
        assert found[name].dtype == values.dtype
        assert found[name].shape == values.shape
        np.testing.assert_array_equal(found[name], values)


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ((None, 2, None), "--workers and --address are read by an engine"),
        (("local", 2, "auto"), "that of a Ray cluster"),
        (("local", 0, None), "at least 1"),
        (("torchrun", None, None), "not started by torchrun"),
    ],
)
def test_what_does_not_go_together_is_refused(choices: Any, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        start(*choices)


def test_names_stand_for_engines(monkeypatch: pytest.MonkeyPatch) -> None:
    assert start(None) is None
    assert start("local", 3) == LocalEngine(3)
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert start("torchrun") == TorchrunEngine()
    with pytest.raises(InputError, match="started 2 ranks, not 3"):
        start("torchrun", 3)
