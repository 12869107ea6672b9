"""Batches that are kept small and made again are the same, token by token, and a run on them has the same digest."""

from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch

from analyses.core import observing
from analyses.core.kept_batches import KeptBatches, Regrouped, Rows, Texts
from analyses.core.keys import rows_by_number
from analyses.core.observing import make_batches, no_progress
from analyses.runs.config import make_config
from analyses.runs.read_prompts import ReadPrompts
from analyses.runs.runner import run
from analyses.runs.verify import read_manifest
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt
from interp.text.batch import Batch

PAIRS = [(f"a{'b' * number} ü c", f"x {number}") for number in range(7)]
GIVEN = [Prompt(str(number), source, target) for number, (source, target) in enumerate(PAIRS)]


@pytest.fixture
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(observing, "MOST_WHOLE", 2)
    yield
    torch.use_deterministic_algorithms(False)


def same(one: Batch, two: Batch) -> None:
    for place in fields(Batch):
        left, right = getattr(one, place.name), getattr(two, place.name)
        if isinstance(left, torch.Tensor):
            assert left.dtype == right.dtype
            assert torch.equal(left, right), place.name
        else:
            assert left == right, place.name


@pytest.mark.parametrize("given", [True, False])
def test_batches_come_back_as_they_were(
    tiny_byt5: HookedEncoderDecoder, given: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = GIVEN if given else [Prompt(prompt.id, prompt.source) for prompt in GIVEN]
    whole = make_batches(tiny_byt5, prompts, 3, no_progress)
    monkeypatch.setattr(observing, "MOST_WHOLE", 2)
    kept = make_batches(tiny_byt5, prompts, 3, no_progress)
    assert isinstance(whole, list)
    assert isinstance(kept, KeptBatches)
    assert len(kept) == 3
    for one, two in zip(whole, kept, strict=True):
        same(one, two)
    same(whole[-1], kept[-1])
    assert [len(batch) for batch in kept[1:]] == [3, 1]
    rows, others = Rows(whole), Rows(kept)
    assert len(rows) == len(others) == 7
    for (batch, row), (other, at) in zip(rows, others, strict=True):
        assert batch.source_texts[row] == other.source_texts[at]
    groups = observing.experiment_batches(tiny_byt5, kept)
    assert isinstance(groups, Regrouped)
    assert len(groups) == 1
    with pytest.raises(IndexError):
        groups[1]
    monkeypatch.undo()
    same(observing.experiment_batches(tiny_byt5, whole)[0], groups[0])
    assert list(Texts(kept, "source_texts")) == [text for batch in whole for text in batch.source_texts]


def test_prompts_are_told_of_in_the_order_of_their_file(tiny_byt5: HookedEncoderDecoder) -> None:
    order = (3, 0, 6, 1, 2, 5, 4)
    batches = make_batches(tiny_byt5, [GIVEN[place] for place in order], 3, no_progress)
    told = ReadPrompts.of(batches, order)
    assert list(told.sources) == [source for source, _ in PAIRS]
    assert list(told.targets) == [target for _, target in PAIRS]
    assert told.source_lengths.tolist() == [len(source.encode()) + 1 for source, _ in PAIRS]
    assert told.origin == "given"
    assert told.unfinished == ()
    assert told.shares.sum() == pytest.approx(1)


def test_rows_are_grouped_by_number() -> None:
    numbers = np.random.default_rng(0).integers(9, size=50)
    expected = [np.flatnonzero(numbers == number) for number in np.unique(numbers)]
    found = rows_by_number(numbers)
    assert len(found) == len(expected)
    for one, two in zip(found, expected, strict=True):
        np.testing.assert_array_equal(one, two)


@pytest.mark.slow
def test_a_run_over_kept_batches_has_the_same_digest(
    tmp_path: Path, few_are_many: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = make_config(
        limit=5, twins=2, batch_size=2, pages=1, analyses=("cross_attention_focus", "embedding_geometry")
    )
    kept = run(config, tmp_path / "kept", overwrite=False, progress=no_progress).parent
    monkeypatch.setattr(observing, "MOST_WHOLE", 2048)
    whole = run(config, tmp_path / "whole", overwrite=False, progress=no_progress).parent
    assert read_manifest(kept).digest == read_manifest(whole).digest
