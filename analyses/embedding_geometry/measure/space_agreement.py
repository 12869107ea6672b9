"""Which spaces arrange sentences alike: layers of one stack, encoder against decoder, model against untrained twin?

An item is a sentence: the mean state of its tokens, averaged over the prompts that carry it, so that no two items share a text.
Pairs of spaces are compared by debiased CKA and by RSA (`representation_similarity`), p-values from shuffled sentences. A few
dimensions of very large variance can decide CKA alone; so it is given once more without the 1 % of dimensions of largest
variance (at least one). Intervals come from random halves of the sentences: the spread of an estimate from half of them about
that from all is the spread of the latter about the truth (Politis and Romano 1994).
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Observed
from analyses.core.keys import rows_by_number
from analyses.embedding_geometry.measure.layers import sentence_numbers
from interp.geometry.representation_similarity import Agreement, agreement, gram_arrangement, rank_arrangement
from interp.statistics import Estimate, Interval, controlled, falling_order

FEWEST = 8
"""Fewer different sentences are not compared."""

_MOST = 400
_SHUFFLES = 999
_HALVES = 200


@dataclass(frozen=True, slots=True, eq=False)
class SpaceAgreement:
    """Agreement of all pairs of contextual spaces.

    Attributes:
        spaces: names of the spaces.
        n_sentences: number of sentences compared.
        cka: debiased CKA, beside that of the same pairs inside every untrained twin.
        cka_p: its p-values.
        cka_without_top: debiased CKA without the dimensions of largest variance.
        rsa: Spearman correlation of distances, with p-values.
        across: debiased CKA of a space of the model and a space of a twin, for every twin.
    """

    spaces: tuple[str, ...]
    n_sentences: int
    cka: Estimate
    cka_p: Float[np.ndarray, "space space"]
    cka_without_top: Float[np.ndarray, "space space"]
    rsa: Agreement
    across: Float[np.ndarray, "twin space space"]


def space_agreement(
    spaces: tuple[str, ...], model: Observed, twins: tuple[Observed, ...], seed: int
) -> SpaceAgreement | None:
    """Compare all pairs of spaces; None with fewer than eight different sentences."""
    states = _sentence_states(model)
    n_sentences = states.shape[1]
    if n_sentences < FEWEST:
        return None
    grams = np.stack([gram_arrangement(space) for space in states])
    without = np.stack([gram_arrangement(_without_top(space)) for space in states])
    ranks = np.stack([rank_arrangement(space) for space in states])
    twin_grams = [np.stack([gram_arrangement(space) for space in _sentence_states(twin)]) for twin in twins]
    cka = agreement(grams, grams, seed, _SHUFFLES)
    low, high = _interval(states, cka.correlation, seed)
    return SpaceAgreement(
        spaces=spaces,
        n_sentences=n_sentences,
        cka=controlled(
            Interval(cka.correlation, low, high, np.full(low.shape, n_sentences)),
            [agreement(twin, twin, seed, 0).correlation for twin in twin_grams],
        ),
        cka_p=cka.p_value,
        cka_without_top=agreement(without, without, seed, 0).correlation,
        rsa=agreement(ranks, ranks, seed, _SHUFFLES),
        across=np.stack([agreement(grams, twin, seed, 0).correlation for twin in twin_grams]),
    )


def _sentence_states(observed: Observed) -> Float[np.ndarray, "space sentence d_model"]:
    """Mean states of the sentences that have a value in every space, at most `_MOST`, evenly spread over the prompts."""
    states = observed.prompts["mean_state"]
    defined = np.asarray(~np.isnan(states).any(axis=(1, 2)))
    chosen = [rows for rows in rows_by_number(sentence_numbers(observed)) if defined[rows].all()]
    if len(chosen) > _MOST:
        chosen = [chosen[place] for place in np.linspace(0, len(chosen) - 1, _MOST).round().astype(int)]
    means = [states[rows].astype(np.float64).mean(axis=0) for rows in chosen]
    return np.asarray(means).reshape(-1, *states.shape[1:]).transpose(1, 0, 2)


def _without_top(states: Float[np.ndarray, "sentence d_model"]) -> Float[np.ndarray, "sentence remaining"]:
    """The states without the dimensions of largest variance."""
    removed = max(1, round(states.shape[1] / 100))
    return np.asarray(states[:, np.sort(falling_order(states.var(axis=0))[removed:])])


def _interval(states: np.ndarray, point: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """95 % intervals from random halves of the sentences."""
    generator = np.random.default_rng(seed)
    n_sentences = states.shape[1]
    deviations = []
    for _ in range(_HALVES):
        half = generator.permutation(n_sentences)[: n_sentences // 2]
        grams = np.stack([gram_arrangement(space[half]) for space in states])
        deviations.append(agreement(grams, grams, 0, 0).correlation - point)
    below, above = np.quantile(np.stack(deviations), [0.025, 0.975], axis=0)
    return np.minimum(point - above, point), np.maximum(np.minimum(point - below, 1.0), point)
