"""Where in the encoder do translations meet, if they do?

Two kinds of evidence, both read behind the task prefix (if the model knows one) in English, German and French:

    aligned words    words of the parallel prompts in their sentences, aligned by hand (`parallel`)
    words alone      a list of nouns with one usual translation each, every word a text of its own (`lexicon`)

In every encoder space an English word is given the nearest of all German (or French) words of the same kind; counted is how
often that one translates it, by cosine and by CSLS, which takes out hubs (Conneau et al. 2018). A word translates another if the
two are linked anywhere, also through a third (woman, Frau, wife). Pairs that are spelled alike say nothing and are left out.
Encoder 0 is the static embedding, with positions where these are absolute.

Chance: the same counts with the translations shuffled among the groups of linked words, p-values family-wise over the spaces; and
untrained twins, which tell what shared pieces of spelling and equal places in the sentence bring. Intervals resample sentences.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int
from scipy.sparse.csgraph import connected_components

from analyses.core.contract import Observed
from analyses.embedding_geometry.measure.word_lists import LANGUAGES, TRANSLATIONS, WORD_PAIRS
from interp.geometry.hubness import csls
from interp.geometry.isotropy import cosine_matrix
from interp.statistics import (
    SHARE,
    Estimate,
    Interval,
    bootstrap_ratio,
    controlled,
    max_statistic_p_values,
    shares_of_largest,
    stack_estimates,
)

SCORES = ("cosine", "CSLS")
ALIGNED, ALONE = "aligned words", "words alone"

_SHUFFLES = 999
_SIGNIFICANT = 0.05


@dataclass(frozen=True, slots=True, eq=False)
class TranslationRetrieval:
    """Share of English words whose nearest word is a translation.

    Attributes:
        evidence: `ALIGNED` or `ALONE`.
        languages: those whose words are compared with the English ones.
        spaces: names of the encoder's spaces.
        n_words: word pairs of every language.
        n_sentences: sentences they come from.
        chance: share that an arbitrary word of the other language would give, [language].
        accuracy: [language score space], scores in the order of `SCORES`.
        p_values: family-wise over spaces, [language score space].
    """

    evidence: str
    languages: tuple[str, ...]
    spaces: tuple[str, ...]
    n_words: tuple[int, ...]
    n_sentences: tuple[int, ...]
    chance: Float[np.ndarray, " language"]
    accuracy: Estimate
    p_values: Float[np.ndarray, "language score space"]

    def meeting(self, language: int, score: int = SCORES.index("CSLS")) -> int | None:
        """The first space with p of at most 0.05 and more hits than one more twin may have; None if there is none."""
        found = self.accuracy[language, score]
        beyond = (self.p_values[language, score] <= _SIGNIFICANT) & found.above_controls
        return int(beyond.argmax()) if beyond.any() else None


@dataclass(frozen=True, slots=True, eq=False)
class _Pairs:
    """The word pairs of one language.

    Attributes:
        name: of the observed array.
        kept: pairs that are not spelled alike.
        groups: number of the group of linked words of every kept pair.
        sentences: sentence of every kept pair, numbered from 0.
    """

    name: str
    kept: Int[np.ndarray, " pair"]
    groups: Int[np.ndarray, " pair"]
    sentences: Int[np.ndarray, " pair"]


def translation_retrieval(
    evidence: str,
    spaces: tuple[str, ...],
    model: Observed,
    twins: Sequence[Observed],
    seed: int,
    resamples: int,
    languages: tuple[str, ...] = LANGUAGES,
) -> TranslationRetrieval:
    """Retrieval in every encoder space by one kind of evidence."""
    words = [_pairs(evidence, language) for language in languages]
    found = [_found(model, pairs) for pairs in words]
    accuracy = [
        controlled(
            _interval(one, pairs, seed, resamples), [_hits(_found(twin, pairs), pairs).mean(axis=0) for twin in twins]
        )
        for one, pairs in zip(found, words, strict=True)
    ]
    return TranslationRetrieval(
        evidence=evidence,
        languages=languages,
        spaces=spaces,
        n_words=tuple(len(pairs.kept) for pairs in words),
        n_sentences=tuple(int(pairs.sentences.max()) + 1 for pairs in words),
        chance=np.array([(pairs.groups[:, None] == pairs.groups).mean() for pairs in words]),
        accuracy=stack_estimates(accuracy),
        p_values=np.stack([_p_values(one, pairs.groups, seed) for one, pairs in zip(found, words, strict=True)]),
    )


def _pairs(evidence: str, language: str) -> _Pairs:
    if evidence == ALIGNED:
        words = [(pair.english, pair.foreign, pair.sentence) for pair in WORD_PAIRS[language]]
    else:
        english, foreign = TRANSLATIONS["English"], TRANSLATIONS[language]
        words = [(one, other, place) for place, (one, other) in enumerate(zip(english, foreign, strict=True))]
    kept = [place for place, (one, other, _) in enumerate(words) if one.casefold() != other.casefold()]
    return _Pairs(
        name=f"translation_{language}" if evidence == ALIGNED else f"translation_alone_{language}",
        kept=np.array(kept),
        groups=linked_groups([words[place][:2] for place in kept]),
        sentences=np.unique([words[place][2] for place in kept], return_inverse=True)[1],
    )


def linked_groups(pairs: Sequence[tuple[str, str]]) -> Int[np.ndarray, " pair"]:
    """For every pair of an English and another word, the number of the group of words that links connect."""
    words: Mapping[tuple[int, str], int] = {
        word: number
        for number, word in enumerate(
            dict.fromkeys((side, pair[side].casefold()) for pair in pairs for side in range(2))
        )
    }
    rows, columns = ([words[side, pair[side].casefold()] for pair in pairs] for side in range(2))
    graph = scipy.sparse.coo_array((np.ones(len(pairs)), (rows, columns)), shape=(len(words), len(words)))
    _, group = connected_components(graph, directed=False)
    return np.unique(group[rows], return_inverse=True)[1].astype(np.int64)


def _found(observed: Observed, pairs: _Pairs) -> Float[np.ndarray, "pair score space group"]:
    """How much of an English word's nearest word belongs to each group; near-ties at the top are shared out."""
    english, other = observed.weights[pairs.name][:, pairs.kept].astype(np.float64)
    members = np.eye(int(pairs.groups.max()) + 1)[pairs.groups]
    found = np.empty((len(english), len(SCORES), english.shape[1], members.shape[1]))
    for space in range(english.shape[1]):
        cosines = cosine_matrix(english[:, space], other[:, space])
        for place, scores in enumerate((cosines, csls(cosines))):
            found[:, place, space] = shares_of_largest(scores, 1) @ members
    return found


def _hits(found: Float[np.ndarray, "pair score space group"], pairs: _Pairs) -> Float[np.ndarray, "pair score space"]:
    """1 where a word's nearest word is in its own group."""
    return np.asarray(found[np.arange(len(pairs.groups)), :, :, pairs.groups])


def _interval(found: np.ndarray, pairs: _Pairs, seed: int, resamples: int) -> Interval:
    """Share of hits; whole sentences are resampled, because their words share a context."""
    by_sentence = np.eye(int(pairs.sentences.max()) + 1)[pairs.sentences].T
    sums = np.einsum("s p, p k l -> s k l", by_sentence, _hits(found, pairs))
    counts = np.broadcast_to(by_sentence.sum(1)[:, None, None], sums.shape)
    return bootstrap_ratio(sums, counts, seed, resamples).within(SHARE)


def _p_values(found: np.ndarray, groups: np.ndarray, seed: int) -> Float[np.ndarray, "score space"]:
    """Family-wise over spaces: translations shuffled among the groups."""
    generator = np.random.default_rng(seed)
    by_group = np.einsum("g p, p k l h -> g h k l", np.eye(int(groups.max()) + 1)[groups].T, found)
    everyone = np.arange(len(by_group))
    observed = by_group[everyone, everyone].sum(0) / len(groups)
    draws = [by_group[everyone, generator.permutation(everyone)].sum(0) for _ in range(_SHUFFLES)]
    null = np.array(draws) / len(groups)
    return np.stack([max_statistic_p_values(observed[score], null[:, score]) for score in range(len(SCORES))])
