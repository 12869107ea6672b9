"""The benchmark itself: it runs, its reference is the reference, and its promises hold where they do not depend on timing."""

import importlib
from collections.abc import Callable
from io import StringIO

import pytest
import torch
from rich.console import Console

from benchmarks.forward import INPUTS, REFERENCE, SHAPES, Plan, Times, Work, cases, column, measure, ratio, table
from benchmarks.run_memory import sentences
from tests.support.models import random_batch, tiny, tiny_hf
from tests.support.paths import ROOT


@pytest.fixture
def work() -> Work:
    model = tiny("t5")
    return Work(tiny_hf("t5"), model, dict(random_batch(model)))


def test_every_case_runs_and_the_reference_comes_first(work: Work) -> None:
    timed = cases(work)
    assert next(iter(timed)) == REFERENCE
    times = measure(timed, Plan(rounds=2, in_a_row=1, only=()), "cpu")
    assert set(times) == set(timed)
    assert all(len(own.wall) == 2 and min(own.wall) > 0 for own in times.values())


def test_cases_are_chosen_and_repeated() -> None:
    called = {REFERENCE: 0, "full cache": 0, "full cache, buffers": 0, "patterns": 0}

    def case(name: str) -> Callable[[], None]:
        return lambda: called.update({name: called[name] + 1})

    times = measure({name: case(name) for name in called}, Plan(rounds=3, in_a_row=4, only=("full",)), "cpu")
    assert set(times) == {REFERENCE, "full cache", "full cache, buffers"}
    # Two rounds warm up, three count.
    assert called == {REFERENCE: 20, "full cache": 20, "full cache, buffers": 20, "patterns": 0}


def test_the_reference_really_returns_attentions_and_states_and_ours_keeps_at_least_as_much(work: Work) -> None:
    with torch.no_grad():
        host = cases(work)[REFERENCE]()
        _, cache = cases(work)["full cache"]()
    assert len(host.cross_attentions) == 3
    assert len(host.encoder_hidden_states) == 3
    assert len(cache) > len(host.decoder_attentions) + len(host.decoder_hidden_states)
    torch.testing.assert_close(cache["unembed.hook_out"], host.logits)


def test_the_ratio_is_taken_round_by_round() -> None:
    own, base = Times([2.0, 6.0, 40.0]), Times([1.0, 4.0, 20.0])
    assert ratio(own.wall, base.wall) == 2.0


def test_ablating_all_heads_really_does(work: Work) -> None:
    with torch.no_grad():
        ablated = cases(work)["all heads ablated"]()
        _, cache = work.model.run_with_cache(work.inputs)
    assert not torch.allclose(ablated, cache["unembed.hook_out"])


def test_the_memory_benchmark_has_different_sentences_enough() -> None:
    made = sentences(1000)
    assert len(set(made)) == 1000
    assert made[:100] == sentences(100)
    with pytest.raises(ValueError, match="different sentences"):
        sentences(10**6)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["t5", "switch_transformers"])
def test_a_column_measures_every_case_and_the_table_shows_it(kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"d_model": 20, "d_kv": 6, "d_ff": 28, "num_layers": 3, "num_decoder_layers": 3, "num_heads": 5}
    monkeypatch.setitem(SHAPES, "tiny", (kind, sizes))
    monkeypatch.setitem(INPUTS, "tiny", (2, 14, 12))
    one = column("tiny", "tiny", "cpu", Plan(rounds=2, in_a_row=1, only=()))
    assert one.ratios[REFERENCE] == 1.0
    assert min(one.ratios.values()) > 0
    assert one.title == "tiny\n2 x (14 + 12)\ncpu"
    console = Console(width=100, file=StringIO(), record=True)
    console.print(table([one, one]))
    text = console.export_text()
    assert all(name in text for name in one.ratios)
    assert f"{one.peak:.2f}" in text


@pytest.mark.parametrize("name", sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py")))
def test_every_benchmark_finds_what_it_measures(name: str) -> None:
    importlib.import_module(f"benchmarks.{name}")
