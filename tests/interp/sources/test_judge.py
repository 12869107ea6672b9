"""The judge: its areas by hand, its controls, and who names the true words of compiled programs."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
import torch

from interp.compiled import PROGRAMS, find_program, true_words
from interp.compiled.program import Example
from interp.errors import InputError
from interp.sources import Question, ask, hits, judge_methods, true_word_cases, true_word_programs, without
from interp.sources.judge import RANDOM
from interp.sources.recovery import recovery
from tests.support.compiled import compiled_model, planned
from tests.support.models import random_batch, tiny

FAST = ("contributions", "attention", "norms", "alti", "chefer", "attnlrp-held")


def copied(count: int = 6) -> list[Question]:
    """Single rows of the program that copies, over lists of four words."""
    model = compiled_model("copy")
    texts = [one.target for one in find_program("copy").examples() if len(one.target.split()) == 4][::17][:count]
    batches = [model.batch([f"copy: {text}"], [text]) for text in texts]
    return [ask(model, batch, torch.tensor([place % 4])) for place, batch in enumerate(batches)]


def test_areas_are_those_of_the_tokens_taken_out_in_order() -> None:
    model, questions = compiled_model("copy"), copied()
    found = judge_methods(model, questions, ["contributions"], draws=3, twin=False).model["contributions"]
    for question in questions:
        # Only two tokens matter: the word itself, which is named first, and the word before, which says where it is.
        row = int(question.rows)
        kept = torch.ones(7, 6, dtype=torch.bool)
        order = [row + 1, *(place for place in range(6) if place != row + 1)]
        for step in range(1, 7):
            kept[step:, order[step - 1]] = False
        values = without(model, question, kept)[:, 0]
        assert float(values[1]) < 0.5 * float(values[0])
    assert float(found.deletion.point) < 0.3
    assert float(found.insertion.point) > 0.4
    assert found.answered == 1.0
    np.testing.assert_allclose(found.curves[:, [0, -1]], [[1, 0], [0, 1]], atol=1e-6)


def test_the_area_of_one_prompt_is_the_trapezoid() -> None:
    model = tiny("t5")
    question = ask(model, random_batch(model, (5,), (4,)), torch.tensor([2]))
    found = judge_methods(model, [question], ["occlusion"], draws=2, twin=False).model["occlusion"]
    kept = torch.ones(1, 5, dtype=torch.bool)
    losses = [float(without(model, question, kept)[0, 0])]
    single = []
    for place in range(5):
        less = kept.clone()
        less[0, place] = False
        single.append(losses[0] - float(without(model, question, less)[0, 0]))
    for place in np.argsort(single)[::-1]:
        kept[0, place] = False
        losses.append(float(without(model, question, kept)[0, 0]))
    area = np.mean([(first + second) / 2 for first, second in pairwise(losses)])
    assert float(found.deletion.point) == pytest.approx((area - losses[-1]) / (losses[0] - losses[-1]), rel=1e-4)
    assert float(found.agreement.point) == pytest.approx(1.0)


def test_methods_that_know_the_program_beat_random_orders_and_the_twin() -> None:
    judged = judge_methods(compiled_model("copy"), copied(), FAST, draws=10)
    random = judged.model[RANDOM]
    for name in FAST:
        assert float(judged.model[name].deletion.point) < float(random.deletion.point) - 0.1, name
        assert float(judged.model[name].insertion.point) > float(random.insertion.point) + 0.05, name
    assert abs(float(judged.twin["contributions"].agreement.point)) < 0.7
    frame = judged.to_frame()
    assert list(frame["method"]) == [*FAST, RANDOM, *(f"{name}, untrained twin" for name in FAST)]
    assert list(frame.columns)[:4] == ["method", "deletion", "deletion low", "deletion high"]
    curves = judged.curves()
    assert set(curves["curve"]) == {"deletion", "insertion"}
    assert len(curves) == (2 * len(FAST) + 1) * 2 * 11


def test_what_cannot_be_judged() -> None:
    model = tiny("t5")
    with pytest.raises(InputError, match="one row and at least three source tokens"):
        judge_methods(model, [ask(model, random_batch(model, (9,), (6,)))])
    with pytest.raises(InputError, match="one row"):
        judge_methods(model, [])


def test_true_words_are_where_the_program_reads() -> None:
    assert true_words(planned("copy"), Example("copy: cat ant", "cat ant")) == {0: {1}, 1: {2}, 2: {3}}
    assert true_words(planned("reverse"), Example("reverse: cat ant", "ant cat")) == {0: {2}, 1: {1}, 2: {0}}
    assert true_words(planned("duplicate"), Example("duplicate: cat ant cat", "cat"))[0] == {1, 3}
    assert set(true_word_programs()) == set(PROGRAMS) - {"continue", "count"}
    with pytest.raises(InputError, match="'count' computes its answers"):
        true_words(planned("count"), Example("count: apple", "one"))


@pytest.mark.slow
@pytest.mark.parametrize("name", true_word_programs())
def test_source_attribution_names_the_true_word(name: str) -> None:
    """At least 99 of 100 rows; an untrained twin's, which cannot know, stay far below."""
    model = compiled_model(name)
    cases = true_word_cases(model, name, 8)
    assert sum(len(truth) for _, truth in cases) >= 16
    assert hits(model, cases, "contributions").mean() >= 0.99


def test_recovery_counts_ties_as_drawn_by_lot() -> None:
    """Chefer's rules find the word and the word before it equally relevant in `copy`: it is right half of the time."""
    frame = recovery(["contributions", "chefer"], ["copy"], examples=2)
    assert isinstance(frame, pd.DataFrame)
    found = frame.set_index("method")["copy"]
    assert found["contributions"] == 1.0
    assert found["chefer"] == pytest.approx(0.5)
    assert found["contributions, untrained twin"] < 0.9
    assert 0.1 < found[RANDOM] < 0.4
    assert found["rows"] >= 4
