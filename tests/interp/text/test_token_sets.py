"""Token sets of a batch."""

import pytest
import torch

from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch
from interp.text.token_sets import answer, classes, every, first, last, of_category, of_word
from tests.support.models import random_batch, tiny


@pytest.fixture(scope="module")
def batch() -> Batch:
    return random_batch(tiny("t5"), source_lengths=(6, 3), target_lengths=(1, 4))


def where(mask: torch.Tensor) -> list[list[int]]:
    return [row.nonzero().flatten().tolist() for row in mask]


def test_ends_and_answers(batch: Batch) -> None:
    assert where(every(batch, "source")) == [[0, 1, 2, 3, 4, 5], [0, 1, 2]]
    assert where(first(batch, "target")) == [[0], [0]]
    assert where(last(batch, "source")) == [[5], [2]]
    assert where(last(batch, "target")) == [[0], [3]]
    assert where(answer(batch)) == [[], [0, 1, 2]]


def test_categories(batch: Batch) -> None:
    assert where(of_category(batch, "prefix")) == [[0, 1], [0, 1]]
    assert where(of_category(batch, "content", "eos")) == [[2, 3, 5], [2]]
    assert where(of_category(batch, "pad")) == [[], []]
    with pytest.raises(InputError, match="No token category is called 'verb'; there are prefix, content"):
        of_category(batch, "verb")


def test_classes(batch: Batch) -> None:
    assert classes(batch, "source").tolist() == [[0, 1, 1, 1, 1, 2], [0, 1, 2, -1, -1, -1]]
    assert classes(batch, "target").tolist() == [[0, -1, -1, -1], [0, 1, 1, 2]]


def test_words(bundled: HookedEncoderDecoder) -> None:
    batch = bundled.batch(["The dog's dog.", "A big cat."], ["Ein Hund.", "Eine Katze."])
    pieces = batch.source_texts[0].pieces
    assert ["".join(pieces[i] for i in row) for row in where(of_word(batch, "source", "dog's"))[:1]] == ["▁dog's"]
    assert where(of_word(batch, "source", "cat"))[0] == []
    with pytest.raises(InputError, match="No target text of this batch has the word 'hund'"):
        of_word(batch, "target", "hund")
