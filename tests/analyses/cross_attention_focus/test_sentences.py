"""The unit of evidence: prompts that share a sentence count once."""

import dataclasses

import numpy as np
import pytest

from analyses.core.contract import Evidence, Observed
from analyses.core.sentence_means import by_sentence
from analyses.cross_attention_focus import summarize
from analyses.cross_attention_focus.arrays import ARRAYS
from tests.support.cross_focus import class_batch, evidence, planted

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def claimed() -> Evidence:
    model = planted(["prefix", None, "content"])
    return evidence(model, class_batch(model))


def test_prompts_of_one_sentence_are_one_piece_of_evidence(claimed: Evidence) -> None:
    def twice(observed: Observed) -> Observed:
        """Every prompt again, further down, as another language of its sentence would be; one number is missing there."""
        prompts = {name: np.concatenate([values, values]) for name, values in observed.prompts.items()}
        prompts["alti.decline"][12:] = np.nan
        return dataclasses.replace(observed, prompts=prompts)

    doubled = dataclasses.replace(
        claimed,
        prompt_ids=claimed.prompt_ids + tuple(f"{name}-again" for name in claimed.prompt_ids),
        model=twice(claimed.model),
        twins=tuple(twice(twin) for twin in claimed.twins),
        texts=dataclasses.replace(claimed.texts, sentence_of=claimed.texts.sentence_of * 2),
    )
    once, again = summarize(claimed), summarize(doubled)
    assert (once.n_prompts, once.n_sentences, again.n_prompts, again.n_sentences) == (12, 12, 24, 12)
    for one, other in zip(once.trends, again.trends, strict=True):
        assert other.change.low == pytest.approx(one.change.low, abs=1e-6, nan_ok=True)
        assert other.change.high == pytest.approx(one.change.high, abs=1e-6, nan_ok=True)
        assert other.p_value == pytest.approx(one.p_value, nan_ok=True)
    assert again.flow["alti.decline"].low == pytest.approx(once.flow["alti.decline"].low, rel=1e-5)
    assert by_sentence(doubled, ARRAYS).prompt_ids == claimed.prompt_ids
    gaps = claimed.model.prompts["raw.head.center"].copy()
    assert np.isnan(gaps).any()  # layer 0 reads nothing of the span
    np.testing.assert_allclose(by_sentence(doubled, ARRAYS).model.prompts["raw.head.center"], gaps, rtol=1e-6)
