"""What does the encoder make of one word in different sentences?

All over words that stand in eight sentences of our own, four for each of two senses (`senses`), in every encoder space:

    self-similarity   mean cosine of a word's occurrences, minus the anisotropy of the tokens of all these sentences:
                      1 - that for a word that context does not touch                              Ethayarajh 2019
    drift             1 - cosine of an occurrence and the same occurrence in encoder 0, mean over occurrences; that is the word's
                      static vector, or where positions are absolute the vector of the word at its place
    sense split       mean cosine of occurrences of one sense - mean cosine of occurrences of two senses

Intervals resample words. Chance for the sense split shuffles the senses of every word's sentences; the p-value compares with the
largest split over all spaces, so that looking at every layer is paid for.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Observed
from analyses.embedding_geometry.measure.layers import cross_cosine
from analyses.embedding_geometry.measure.word_lists import USAGES
from interp.geometry.isotropy import unit_rows
from interp.statistics import Estimate, estimate_mean, max_statistic_p_values

CONTEXT_QUANTITIES = ("adjusted self-similarity", "drift", "sense split")

_SHUFFLES = 999
_WORDS = tuple(dict.fromkeys(usage.word for usage in USAGES))


@dataclass(frozen=True, slots=True, eq=False)
class ContextCurves:
    """Three quantities of words in sentences, in every encoder space.

    Attributes:
        spaces: names of the spaces.
        words: the words.
        per_word: the quantities of `CONTEXT_QUANTITIES` of every word.
        curves: their mean over words, [quantity space].
        split_p: family-wise p-value of the sense split.
        first_split: place of the first space whose split has p of at most 0.05 and exceeds what one more twin may have, or None.
    """

    spaces: tuple[str, ...]
    words: tuple[str, ...]
    per_word: Float[np.ndarray, "word quantity space"]
    curves: Estimate
    split_p: Float[np.ndarray, " space"]
    first_split: int | None


def context_curves(
    spaces: tuple[str, ...], model: Observed, twins: tuple[Observed, ...], seed: int, resamples: int
) -> ContextCurves:
    """The quantities of the model with intervals and p-values, and of its twins."""
    per_word = _per_word(model)
    curves = estimate_mean(per_word, [_per_word(twin) for twin in twins], seed, resamples)
    p_values = _split_p_values(model.weights["usage_states"], seed)
    beyond = (p_values <= 0.05) & curves.above_controls[2]
    first = int(beyond.argmax()) if beyond.any() else None
    return ContextCurves(spaces, _WORDS, per_word, curves, p_values, first)


def _per_word(observed: Observed) -> Float[np.ndarray, "word quantity space"]:
    states, directions = observed.weights["usage_states"], observed.weights["usage_directions"]
    once = np.ones(len(USAGES))
    baseline = np.array([
        cross_cosine(directions[:, space], once, once[None])[0] for space in range(directions.shape[1])
    ])
    rows = []
    for word in _WORDS:
        own = np.array([usage.word == word for usage in USAGES])
        senses = np.array([usage.sense for usage in USAGES if usage.word == word])
        cosines = _cosines(states[own])
        pairs = ~np.eye(len(senses), dtype=bool)
        drift = 1 - (unit_rows(states[own]) * unit_rows(states[own][:, :1])).sum(axis=2).mean(axis=0)
        rows.append(np.stack([cosines[:, pairs].mean(axis=1) - baseline, drift, sense_split(cosines, senses)]))
    # The first space is where drift starts; its own drift is 0, not the last bit of a sum.
    return np.round(np.stack(rows), 12) + 0.0


def _cosines(states: Float[np.ndarray, "usage space d_model"]) -> Float[np.ndarray, "space usage usage"]:
    unit = unit_rows(states)
    return np.asarray(np.einsum("u s d, v s d -> s u v", unit, unit))


def sense_split(cosines: Float[np.ndarray, "space usage usage"], senses: np.ndarray) -> Float[np.ndarray, " space"]:
    """Mean cosine of pairs of one sense minus that of pairs of two senses."""
    same = senses[:, None] == senses[None, :]
    pairs = ~np.eye(len(senses), dtype=bool)
    return np.asarray(cosines[:, same & pairs].mean(axis=1) - cosines[:, ~same].mean(axis=1))


def _split_p_values(states: Float[np.ndarray, "usage space d_model"], seed: int) -> Float[np.ndarray, " space"]:
    """Family-wise p-values of the mean split, senses shuffled within words."""
    generator = np.random.default_rng(seed)
    words = [
        (_cosines(states[own]), np.array([usage.sense for usage in USAGES if usage.word == word]))
        for word in _WORDS
        for own in [np.array([usage.word == word for usage in USAGES])]
    ]
    observed = np.mean([sense_split(cosines, senses) for cosines, senses in words], axis=0)
    null = np.array([
        np.mean([sense_split(cosines, generator.permutation(senses)) for cosines, senses in words], axis=0)
        for _ in range(_SHUFFLES)
    ])
    return max_statistic_p_values(observed, null)
