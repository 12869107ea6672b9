"""The parts of the analysis: whole tables, words in sentences, agreement of spaces, the interactive map."""

from dataclasses import replace

import numpy as np
import pytest

from analyses.core.contract import Observed
from analyses.embedding_geometry.measure.contexts import context_curves, sense_split
from analyses.embedding_geometry.measure.space_agreement import space_agreement
from analyses.embedding_geometry.measure.static_words import word_vectors
from analyses.embedding_geometry.measure.whole_table import count_hubs, table_geometry
from analyses.embedding_geometry.measure.word_lists import GROUPS, MIXED, TRANSLATIONS, USAGES
from analyses.embedding_geometry.measure.word_states import word_states
from analyses.embedding_geometry.present.layer_findings import senses_sentence
from analyses.embedding_geometry.settings import GeometrySettings
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.vocabulary import KINDS, Vocabulary, spell
from interp.text.words import Words

PREFIX = "translate English to German: "


def _vocabulary(n_pieces: int, n_sentinels: int, n_unused: int, seed: int = 0) -> Vocabulary:
    frequency = -np.random.default_rng(seed).uniform(3, 12, size=n_pieces)
    kinds = np.repeat(
        [KINDS.index(kind) for kind in ("piece", "sentinel", "unused")], [n_pieces, n_sentinels, n_unused]
    )
    rest = n_sentinels + n_unused
    return Vocabulary(
        (*(f"▁p{i}" for i in range(n_pieces)), *[""] * rest), kinds, np.concatenate([frequency, np.full(rest, np.nan)])
    )


def _cloud(n_rows: int, n_features: int = 20) -> np.ndarray:
    return np.random.default_rng(1).normal(size=(n_rows, n_features)).astype(np.float32)


def test_sentinels_and_unused_rows_enter_no_statistic_of_the_pieces() -> None:
    vocabulary, table = _vocabulary(400, 10, 5), _cloud(415)
    changed = table.copy()
    changed[400:] = 1e4
    first, second = (table_geometry(one, vocabulary, count_hubs(one, vocabulary, None, 0)) for one in (table, changed))
    assert first.norm_of_sentinels < 10 < second.norm_of_sentinels
    assert first.norm_of_unused < 10 < second.norm_of_unused
    apart = ("norm_of_sentinels", "norm_of_unused")
    assert [getattr(first, name) for name in first.__slots__ if name not in apart] == [
        getattr(second, name) for name in second.__slots__ if name not in apart
    ]


def test_a_planted_frequency_direction_is_found_and_removed() -> None:
    vocabulary, table = _vocabulary(600, 0, 0), _cloud(600)
    plain = table_geometry(table, vocabulary, None)
    assert abs(plain.norm_and_frequency) < 0.15
    assert plain.frequency_share < 0.01
    frequency = vocabulary.log_probabilities
    planted = table + np.outer(frequency - frequency.mean(), np.eye(20)[0]).astype(np.float32) * 3
    found = table_geometry(planted, vocabulary, None)
    assert found.frequency_share > 0.6
    assert found.first_axis_and_frequency > 0.9
    assert found.participation_ratio < 4
    assert found.participation_without_frequency == pytest.approx(plain.participation_ratio, rel=0.05)


def test_a_planted_hub_is_counted() -> None:
    vocabulary = _vocabulary(500, 0, 0)
    table = _cloud(500, 60) + 0.8
    table[7] = table.mean(axis=0)
    hubs = count_hubs(table, vocabulary, None, 0)
    assert hubs.rows[hubs.counts.argmax()] == 7
    assert hubs.counts.sum() == pytest.approx(5000)
    assert hubs.centered_counts.sum() == pytest.approx(5000)
    numbers = table_geometry(table, vocabulary, hubs)
    assert numbers.hub_skewness > 3
    assert numbers.hub_skewness_centered < numbers.hub_skewness
    assert count_hubs(table, vocabulary, 120, 0).rows.shape == (120,)


def test_a_tokenizer_without_frequencies_gives_no_frequency_numbers() -> None:
    vocabulary = _vocabulary(300, 0, 0)
    silent = Vocabulary(vocabulary.pieces, vocabulary.kinds, np.full(300, np.nan))
    numbers = table_geometry(_cloud(300), silent, count_hubs(_cloud(300), silent, None, 0))
    assert np.isnan([numbers.frequency_share, numbers.norm_and_frequency, numbers.hubs_and_frequency]).all()
    assert numbers.hub_skewness == numbers.hub_skewness


def test_a_word_of_several_pieces_is_the_mean_of_their_rows(bundled: HookedEncoderDecoder) -> None:
    table = _cloud(bundled.cfg.d_vocab)
    shelf = spell("shelf", bundled.tokenizer)
    expected = (table[shelf.ids[0]].astype(np.float64) + table[shelf.ids[1]]) / 2
    np.testing.assert_allclose(word_vectors(table, [shelf])[0], expected)


def test_word_states_begin_as_rows_of_the_table_and_do_not_depend_on_company(bundled: HookedEncoderDecoder) -> None:
    sentences = ["The shelf is old.", "A chair.", "She told me about the shelf that filled the whole garden yesterday."]
    words = ["shelf", "chair", "shelf"]
    states, directions = word_states(bundled, PREFIX, sentences, words)
    table = bundled.hf.get_input_embeddings().weight.numpy()
    for word, state in zip(words, states, strict=True):
        np.testing.assert_allclose(
            state[0], word_vectors(table, [spell(word, bundled.tokenizer)])[0], rtol=1e-5, atol=1e-5
        )
    for index in range(3):
        alone = word_states(bundled, PREFIX, [sentences[index]], [words[index]])
        np.testing.assert_allclose(states[index], alone[0][0], rtol=1e-3, atol=1e-3)
        np.testing.assert_allclose(directions[index], alone[1][0], atol=1e-4)


def test_a_word_of_the_prefix_is_not_taken_for_one_of_the_sentence(bundled: HookedEncoderDecoder) -> None:
    states, _ = word_states(
        bundled, PREFIX, ["They speak English to him.", "They speak English to me."], ["English"] * 2
    )
    same, _ = word_states(bundled, PREFIX, ["English"], ["English"])
    np.testing.assert_allclose(states[0, 0], same[0, 0], atol=1e-5)
    assert np.abs(states[0, 2] - same[0, 2]).max() > 0.1
    with pytest.raises(InputError, match="does not contain the word 'translate'"):
        word_states(bundled, PREFIX, ["A dog."], ["translate"])


def test_every_sense_has_four_sentences_with_its_word_and_no_word_is_in_two_lists() -> None:
    senses = {(usage.word, usage.sense) for usage in USAGES}
    assert len(senses) == 20
    assert all(sum((u.word, u.sense) == sense for u in USAGES) == 4 for sense in senses)
    assert all(usage.word in Words.of(usage.sentence).texts for usage in USAGES)
    assert len({usage.sentence for usage in USAGES}) == len(USAGES)
    chosen = [word for words in GROUPS.values() for word in words]
    assert not set(chosen) & set(MIXED)
    assert len(set(MIXED)) == len(MIXED)
    assert all(len(words) >= 15 for words in GROUPS.values())
    assert [len(set(column)) for column in TRANSLATIONS.values()] == [50, 50, 50]


def _usages(distance: float, seed: int, n_spaces: int = 3) -> Observed:
    """States of the usages: noise, and in the last space `distance` along one axis for the second sense of a word."""
    generator = np.random.default_rng(seed)
    states = generator.normal(size=(len(USAGES), n_spaces, 16)) + 1
    states[:, 0] = 1.0
    first = {usage.word: usage.sense for usage in reversed(USAGES)}
    second = np.array([usage.sense != first[usage.word] for usage in USAGES])
    states[second, -1, 0] += distance
    return Observed({}, {"usage_states": states, "usage_directions": generator.normal(size=states.shape) * 0.1})


def test_planted_senses_split_where_they_were_planted() -> None:
    twins = tuple(_usages(0.0, seed) for seed in (1, 2, 3))
    curves = context_curves(("a", "b", "c"), _usages(6.0, 0), twins, seed=0, resamples=199)
    assert curves.first_split == 2
    assert curves.split_p[2] == pytest.approx(0.001)
    assert curves.split_p[1] > 0.05
    assert np.isnan(curves.split_p[0])
    assert curves.curves.point[2, 0] == pytest.approx(0, abs=1e-12)
    assert curves.curves.point[1, 0] == pytest.approx(0, abs=1e-12)
    np.testing.assert_allclose(curves.per_word.mean(axis=0), curves.curves.point)


@pytest.mark.slow
def test_senses_that_were_not_planted_do_not_split() -> None:
    found = [
        context_curves(("a", "b"), _usages(0.0, s, 2), (_usages(0.0, 99, 2),), s, 99).first_split for s in range(8)
    ]
    assert sum(place is not None for place in found) <= 1


@pytest.mark.parametrize("n_spaces", [1, 3])
def test_a_space_in_which_nothing_can_split_is_no_largest_split(n_spaces: int) -> None:
    """With every other split below zero the constant space would be the largest, without a p-value."""
    curves = context_curves(("a", "b", "c")[:n_spaces], _usages(0.0, 0, n_spaces), (_usages(0.0, 9, n_spaces),), 0, 99)
    point = curves.curves.point.copy()
    point[2, 1:] = -0.1
    interval = replace(curves.curves.interval, point=point)
    below = replace(curves, curves=replace(curves.curves, interval=interval), first_split=None)
    sentence = senses_sentence(below)
    assert "undefined" not in sentence
    assert ("no senses can split" in sentence) == (n_spaces == 1)
    assert (" in a " in sentence) is False


def test_sense_split_is_the_difference_of_mean_cosines() -> None:
    cosines = np.random.default_rng(0).uniform(size=(1, 4, 4))
    cosines = (cosines + cosines.transpose(0, 2, 1)) / 2
    within, between = [cosines[0, 0, 1], cosines[0, 2, 3]], [cosines[0, i, j] for i in (0, 1) for j in (2, 3)]
    split = sense_split(cosines, np.array(["x", "x", "y", "y"]))
    assert split[0] == pytest.approx(np.mean(within) - np.mean(between))


def _prompts(states: np.ndarray, sentences: np.ndarray) -> Observed:
    pairs = np.stack([sentences, sentences], axis=1).astype(np.float32)
    return Observed({"mean_state": states.astype(np.float32), "sentence": pairs}, {})


def test_spaces_that_are_rotations_agree_and_unrelated_ones_do_not() -> None:
    generator = np.random.default_rng(0)
    sentences = np.arange(40) // 2  # every sentence twice, as with two task prefixes
    items = np.repeat(generator.normal(size=(20, 6)), 2, axis=0)
    rotation = np.linalg.qr(generator.normal(size=(6, 6)))[0]
    other = np.repeat(generator.normal(size=(20, 6)), 2, axis=0)
    model = _prompts(np.stack([items, items @ rotation * 3, other], axis=1), sentences)
    twin = _prompts(np.repeat(generator.normal(size=(20, 3, 6)), 2, axis=0), sentences)
    found = space_agreement(("a", "b", "c"), model, (twin,), seed=0)
    assert found is not None
    assert found.n_sentences == 20
    assert found.cka.point[0, 1] == pytest.approx(1, abs=1e-5)
    assert found.rsa.correlation[0, 1] == pytest.approx(1, abs=1e-3)
    assert found.cka_p[0, 1] == pytest.approx(0.001)
    assert found.cka_p[0, 2] > 0.05
    assert abs(found.across).max() < 0.5
    assert (found.cka.low <= found.cka.point + 1e-9).all()
    assert (found.cka.point <= found.cka.high + 1e-9).all()


def test_few_sentences_are_not_compared() -> None:
    states = np.random.default_rng(0).normal(size=(20, 2, 5))
    assert space_agreement(("a", "b"), _prompts(states, np.arange(20) % 7), (), seed=0) is None


def test_the_default_groups_are_those_of_the_lexicon_and_cannot_be_changed_from_outside() -> None:
    settings = GeometrySettings()
    assert settings.groups == GROUPS
    settings.groups["furniture"] = ()
    assert GeometrySettings().groups == GROUPS
