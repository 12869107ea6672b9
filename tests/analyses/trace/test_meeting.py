"""Languages and stacks meet where states say so, and not where they are random."""

import numpy as np
import pytest

from analyses.trace.meeting import languages_meeting, stacks_meeting

SENTENCES = 8
PREFIXES = ["to German: ", "to French: "] * SENTENCES
NUMBERS = np.repeat(np.arange(SENTENCES), 2)


def drawn(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


def test_sentences_that_differ_by_their_prefix_alone_are_found_in_every_case():
    meaning, mark = drawn(0, SENTENCES, 1, 16), drawn(1, 2, 1, 16)
    states = meaning[NUMBERS] + 10 * mark[np.arange(2 * SENTENCES) % 2]
    found, chance = languages_meeting(states, NUMBERS.tolist(), PREFIXES)
    assert (found == 1.0).all()
    assert chance == pytest.approx(1 / SENTENCES)


def test_random_states_meet_by_chance():
    rates = [languages_meeting(drawn(seed, 16, 3, 16), NUMBERS.tolist(), PREFIXES)[0].mean() for seed in range(60)]
    assert np.mean(rates) == pytest.approx(1 / SENTENCES, abs=0.03)


def test_a_sentence_under_one_prefix_alone_says_nothing():
    found, chance = languages_meeting(drawn(2, 4, 1, 8), [0, 1, 2, 3], ["a: "] * 4)
    assert np.isnan(found).all()
    assert np.isnan(chance)


def test_targets_find_their_own_source_of_those_under_their_prefix():
    sources = drawn(3, 16, 12)
    targets = np.stack([sources + 5.0, drawn(4, 16, 12)], 1)
    found, chance = stacks_meeting(sources, targets, PREFIXES)
    assert (found[:, 0] == 1.0).all()
    assert found[:, 1].mean() < 0.5
    assert chance == pytest.approx(1 / SENTENCES)


def test_states_that_are_all_alike_share_their_place():
    found, chance = languages_meeting(np.ones((16, 1, 4)), NUMBERS.tolist(), PREFIXES)
    assert found.mean() == pytest.approx(chance)
