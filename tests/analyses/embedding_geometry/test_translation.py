"""Translations: planted and not planted, against plain loops, and the aligned words themselves."""

from collections.abc import Sequence

import numpy as np
import pytest

from analyses.core.contract import Observed
from analyses.embedding_geometry.measure.translation import ALIGNED, ALONE, linked_groups, translation_retrieval
from analyses.embedding_geometry.measure.word_lists import TRANSLATIONS, WORD_PAIRS
from analyses.embedding_geometry.measure.word_states import word_states
from analyses.embedding_geometry.present.glance import _translation
from analyses.embedding_geometry.present.translation_blocks import translation_findings
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import bundled as bundled_prompts
from interp.text.words import Words

pytestmark = pytest.mark.slow

PREFIX = "translate English to German: "


def _languages(shared: float, seed: int = 0) -> Observed:
    """Words of three languages in two spaces; in the second, translations share a meaning of some weight."""
    generator = np.random.default_rng((seed, int(shared * 10)))
    meaning = {}

    def states(kind: str, words: Sequence[tuple[str, str]]) -> np.ndarray:
        groups = linked_groups(words)
        shape = (2, len(words), 2, 30)
        own: np.ndarray = generator.normal(size=shape)
        meaning[kind] = generator.normal(size=(groups.max() + 1, 30))
        own[:, :, 1] += shared * meaning[kind][groups]
        return own

    arrays = {}
    for language in ("German", "French"):
        aligned = [(pair.english, pair.foreign) for pair in WORD_PAIRS[language]]
        arrays[f"translation_{language}"] = states("aligned", aligned)
        alone = list(zip(TRANSLATIONS["English"], TRANSLATIONS[language], strict=True))
        arrays[f"translation_alone_{language}"] = states("alone", alone)
    return Observed({}, arrays)


@pytest.mark.parametrize(
    ("evidence", "n_words", "n_sentences"), [(ALIGNED, (253, 240), (61, 61)), (ALONE, (48, 49), (48, 49))]
)
def test_translations_are_found_where_meaning_was_planted_and_not_elsewhere(
    evidence: str, n_words: tuple[int, int], n_sentences: tuple[int, int]
) -> None:
    twins = [_languages(0.0, seed) for seed in range(3)]
    found = translation_retrieval(evidence, ("a", "b"), _languages(3.0), twins, seed=0, resamples=199)
    assert found.accuracy.point[:, :, 0].max() < 0.15
    assert found.accuracy.point[:, :, 1].min() > 0.9
    assert found.accuracy.controls.max() < 0.15
    assert (found.accuracy.low <= found.accuracy.point).all()
    assert (found.p_values[:, :, 1] <= 0.002).all()
    assert (found.p_values[:, :, 0] > 0.01).all()
    assert [found.meeting(language) for language in (0, 1)] == [1, 1]
    # Pairs spelled alike are out: "ball" and "Ball"; "table", "couple" and "piano" in French; "hand" and "Hand" of the list.
    assert found.n_words == n_words
    assert found.n_sentences == n_sentences
    assert translation_findings(found)[0].startswith("English and German meet in the encoder: of ")
    assert "and beyond chance from " in translation_findings(found)[1]
    assert _translation((found,)).sentence.startswith("Where they meet best, the nearest ")


def test_languages_that_share_nothing_are_said_not_to_meet() -> None:
    met = 0
    for seed in range(10):
        twins = [_languages(0.0, 97 + twin) for twin in range(3)]
        found = translation_retrieval(ALIGNED, ("a", "b"), _languages(0.0, seed), twins, seed, 99)
        met += found.meeting(0) is not None
    assert met <= 2
    quiet = translation_retrieval(
        ALIGNED, ("a", "b"), _languages(0.0), [_languages(0.0, 98), _languages(0.0, 99)], 0, 99
    )
    assert translation_findings(quiet)[0].startswith("English and German do not meet in the encoder")
    assert _translation((quiet,)).sentence.startswith("Languages do not meet beyond chance: at best the nearest ")


def test_retrieval_agrees_with_plain_loops_and_shares_ties_out() -> None:
    model = _languages(1.0)
    words = [(pair.english.casefold(), pair.foreign.casefold()) for pair in WORD_PAIRS["German"]]
    kept = [place for place, (one, other) in enumerate(words) if one != other]
    english, german = model.weights["translation_German"]
    german[kept[5]] = german[kept[3]]  # a tie between two words
    found = translation_retrieval(ALIGNED, ("a", "b"), model, [model], seed=0, resamples=99)
    groups = linked_groups([words[place] for place in kept])
    hits = []
    for i in kept:
        cosines = [
            english[i, 1] @ german[j, 1] / np.linalg.norm(english[i, 1]) / np.linalg.norm(german[j, 1]) for j in kept
        ]
        best = [place for place, cosine in enumerate(cosines) if cosine > max(cosines) - 1e-9]
        hits.append(np.mean([groups[place] == groups[kept.index(i)] for place in best]))
    assert found.accuracy.point[0, 0, 1] == pytest.approx(np.mean(hits))
    assert found.chance[0] == pytest.approx(np.mean([[a == b for b in groups] for a in groups]))


def test_words_are_translations_if_links_connect_them() -> None:
    pairs = [("woman", "Frau"), ("wife", "Frau"), ("man", "Mann"), ("Woman", "Dame"), ("Mann", "man")]
    assert linked_groups(pairs).tolist() == [0, 0, 1, 0, 2]


def test_aligned_words_stand_once_in_their_sentences_which_are_those_of_the_prompts() -> None:
    prompts, references = bundled_prompts("translation").prompts, bundled_prompts("references").prompts
    given = {(prompt.source.split(": ", 1)[1], prompt.fields["language"]): prompt.target for prompt in references}
    for language, pairs in WORD_PAIRS.items():
        for pair in pairs:
            for word, sentence in ((pair.english, pair.english_sentence), (pair.foreign, pair.foreign_sentence)):
                assert Words.of(sentence).texts.count(word) == 1, (word, sentence)
            reference = given.get((pair.english_sentence, language), pair.foreign_sentence)
            assert pair.foreign_sentence == reference
        sentences = {pair.english_sentence for pair in pairs}
        assert sentences >= {prompt.source.split(": ", 1)[1] for prompt in prompts}
        assert len(sentences) >= 60


def test_a_sentence_with_several_words_is_read_once_and_gives_the_same_states(bundled: HookedEncoderDecoder) -> None:
    sentence = "The old man sits in the garden."
    both, _ = word_states(bundled, PREFIX, [sentence, sentence], ["man", "garden"])
    for state, word in zip(both, ("man", "garden"), strict=True):
        np.testing.assert_array_equal(state, word_states(bundled, PREFIX, [sentence], [word])[0][0])
