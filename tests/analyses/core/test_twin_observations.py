"""Twins in a second process give the very numbers of this one, and what goes wrong there is told here."""

import os
import signal
from pathlib import Path

import numpy as np
import pytest
import torch

from analyses.core import shared_work
from analyses.core.contract import Analysis, Arrays, Pass
from analyses.core.observing import ConfiguredAnalysis, no_progress
from analyses.core.registry import get
from analyses.core.shards import Observations
from analyses.core.twin_observations import begin_twins
from analyses.runs.run_folder import Staging
from analyses.runs.run_status import Status
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report.second_process import second_process

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(second_process() is None, reason="needs two cores; run on a machine that has them"),
]

SEEDS = (1000, 1001, 1002)
FOCUS = ConfiguredAnalysis(get("cross_attention_focus"), get("cross_attention_focus").settings(relevance_prompts=1))


def refuse(run: Pass) -> Arrays:
    raise InputError("this twin cannot be observed")


REFUSING = ConfiguredAnalysis(
    Analysis("refusing", "t", "q?", ("decoder.*.cross_attn.hook_pattern",), refuse, dict, print), FOCUS.settings
)


@pytest.fixture
def always_two(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shared_work, "_WORTH_A_PROCESS", 1)


def observed(model: HookedEncoderDecoder, item: ConfiguredAnalysis, store: object) -> list[Observations]:
    batches = [model.batch(["a b", "c d e"], ["x", "y"]), model.batch(["f"], ["z"])]
    with begin_twins(model, batches, [item], store, SEEDS) as others:  # type: ignore[arg-type, unused-ignore]
        return others.finish("twins", no_progress)


def same(one: list[Observations], two: list[Observations]) -> None:
    assert len(one) == len(two) == len(SEEDS)
    for first, second in zip(one, two, strict=True):
        left, right = first.of(FOCUS.name), second.of(FOCUS.name)
        for kind in ("prompts", "weights", "experiment"):
            arrays, others = getattr(left, kind), getattr(right, kind)
            assert sorted(arrays) == sorted(others)
            for name, values in arrays.items():
                np.testing.assert_array_equal(values, others[name], err_msg=name)


def test_two_processes_give_the_numbers_of_one(
    tiny_byt5: HookedEncoderDecoder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deterministic = torch.are_deterministic_algorithms_enabled()
    alone = observed(tiny_byt5, FOCUS, {})
    monkeypatch.setattr(shared_work, "_WORTH_A_PROCESS", 1)
    same(alone, observed(tiny_byt5, FOCUS, {}))
    (tmp_path / "run").mkdir()
    staging = Staging(tmp_path / "final", tmp_path / "run", b"key", Status(tmp_path / "run"))
    same(alone, observed(tiny_byt5, FOCUS, staging))
    assert len(list((tmp_path / "run").rglob("twin-*"))) >= len(SEEDS)
    assert torch.are_deterministic_algorithms_enabled() == deterministic


@pytest.mark.usefixtures("always_two")
def test_an_error_of_the_other_process_is_this_ones(tiny_byt5: HookedEncoderDecoder) -> None:
    with pytest.raises(InputError, match="cannot be observed"):
        observed(tiny_byt5, REFUSING, {})
    same(observed(tiny_byt5, FOCUS, {}), observed(tiny_byt5, FOCUS, {}))  # a new process is there afterwards


@pytest.mark.usefixtures("always_two")
def test_a_killed_process_costs_time_and_no_number(tiny_byt5: HookedEncoderDecoder) -> None:
    batches = [tiny_byt5.batch(["a b"], ["x"])]
    with begin_twins(tiny_byt5, batches, [FOCUS], {}, SEEDS) as others:
        worker = second_process()
        for process in worker._processes.values():  # type: ignore[union-attr]
            os.kill(process.pid, signal.SIGKILL)
        killed = others.finish("twins", no_progress)
    with begin_twins(tiny_byt5, batches, [FOCUS], {}, SEEDS) as others:
        same(killed, others.finish("twins", no_progress))


def test_few_prompts_large_models_and_accelerators_keep_to_one_process(tiny_byt5: HookedEncoderDecoder) -> None:
    assert shared_work.worker_for(tiny_byt5, 59) is None
    assert shared_work.worker_for(tiny_byt5, 60) is not None
    torch.set_num_threads(2)
    try:
        assert shared_work.worker_for(tiny_byt5, 60) is None
    finally:
        torch.set_num_threads(1)
