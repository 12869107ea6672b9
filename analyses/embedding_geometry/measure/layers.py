"""How does the cloud of tokens change from layer to layer: does it narrow, and do the tokens of a sentence draw together?

    anisotropy        mean cosine of a token of one prompt and a token of a prompt with another sentence, in closed form from the
                      mean directions of the prompts, M their sum over a sentence: (‖Σ M‖² - Σ ‖M‖²) / number of such pairs
    intra-sentence    mean cosine of a token and the mean of its sentence
    adjusted          intra-sentence similarity - anisotropy; what a sentence adds to the narrowness of the whole space

all after Ethayarajh 2019 (D19-1006), who samples pairs where we sum them all. Intervals resample sentences, each with all prompts
that carry it (two languages of one sentence are no two pieces of evidence), the same ones for the three quantities.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from analyses.core.contract import Observed
from interp.statistics import Estimate, Interval, controlled

QUANTITIES = ("anisotropy", "intra-sentence similarity", "adjusted intra-sentence similarity")

_FEWEST = np.array([[3], [2], [3]])
"""Sentences that an interval of each quantity needs: all draws of two have one and the same pair of sentences, or none."""

_BLOCK = 2**18
"""Numbers of draws times sentences that are held at once."""


@dataclass(frozen=True, slots=True, eq=False)
class LayerCurves:
    """Three quantities in every contextual space.

    Attributes:
        spaces: names of the spaces.
        curves: the quantities of `QUANTITIES`, [quantity space].
        n_sentences: number of distinct sentences.
    """

    spaces: tuple[str, ...]
    curves: Estimate
    n_sentences: int


@dataclass(frozen=True, slots=True, eq=False)
class _Sums:
    """Sums over the prompts of every sentence that have a value in a space.

    Attributes:
        directions: of their mean directions.
        similarity: of their intra-sentence similarities.
        members: how many they are.
    """

    directions: Float[np.ndarray, "space sentence d_model"]
    similarity: Float[np.ndarray, "sentence space"]
    members: Float[np.ndarray, "sentence space"]

    @classmethod
    def of(cls, observed: Observed, sentences: Int[np.ndarray, " prompt"]) -> "_Sums":
        directions, similarity = observed.prompts["mean_direction"], observed.prompts["intra_similarity"]
        order = np.argsort(sentences, kind="stable")
        starts = np.flatnonzero(np.diff(sentences[order], prepend=-1))
        present = ~np.isnan(similarity)

        def summed(values: np.ndarray, where: np.ndarray) -> np.ndarray:
            return np.add.reduceat(np.where(where, values, 0.0)[order], starts, axis=0, dtype=np.float64)

        return cls(
            np.stack([summed(directions[:, space], present[:, space, None]) for space in range(similarity.shape[1])]),
            summed(similarity, present),
            summed(np.ones_like(similarity), present),
        )

    def under(self, counts: Float[np.ndarray, "draw sentence"]) -> Float[np.ndarray, "draw quantity space"]:
        """The three quantities for sentences counted so many times."""
        found = zip(self.directions, self.members.T, strict=True)
        anisotropy = np.stack([cross_cosine(directions, members, counts) for directions, members in found], axis=1)
        with np.errstate(invalid="ignore"):
            intra = counts @ self.similarity / (counts @ self.members)
        return np.stack([anisotropy, intra, intra - anisotropy], axis=1)


def layer_curves(
    spaces: tuple[str, ...], model: Observed, twins: tuple[Observed, ...], seed: int, resamples: int
) -> LayerCurves:
    """Point values and intervals of the model, point values of its twins."""
    sentences = sentence_numbers(model)
    n_sentences = int(sentences.max()) + 1
    sums = _Sums.of(model, sentences)
    draws = np.concatenate([sums.under(counts) for counts in _draws(n_sentences, seed, resamples)])
    low, high = np.where((sums.members > 0).sum(0) >= _FEWEST, _bounds(draws), np.nan)
    everyone = np.ones((1, n_sentences))
    point, *controls = (_Sums.of(one, sentences).under(everyone)[0] for one in (model, *twins))
    count = (~np.isnan(model.prompts["intra_similarity"])).sum(axis=0)
    curves = Interval(point, low, high, np.broadcast_to(count, point.shape))
    return LayerCurves(spaces, controlled(curves, controls), n_sentences)


def _draws(n_sentences: int, seed: int, resamples: int) -> Iterator[Float[np.ndarray, "draw sentence"]]:
    """How often every sentence is drawn, some draws at a time: all of them at once would grow with the sentences."""
    generator, rows = np.random.default_rng(seed), max(1, _BLOCK // n_sentences)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        yield generator.multinomial(n_sentences, np.full(n_sentences, 1 / n_sentences), size=size).astype(np.float64)


def _bounds(draws: Float[np.ndarray, "draw quantity space"]) -> Float[np.ndarray, "bound quantity space"]:
    """95 % percentile bounds; NaN where no draw has a value."""
    defined = ~np.isnan(draws).all(axis=0)
    bounds = np.full((2, *draws.shape[1:]), np.nan)
    bounds[:, defined] = np.nanquantile(draws[:, defined], [0.025, 0.975], axis=0)
    return bounds


def sentence_numbers(observed: Observed) -> Int[np.ndarray, " prompt"]:
    """The sentence of every prompt, numbered from 0."""
    return np.unique(observed.prompts["sentence"], axis=0, return_inverse=True)[1].ravel().astype(np.int64)


def cross_cosine(
    directions: Float[np.ndarray, "sentence d_model"],
    members: Float[np.ndarray, " sentence"],
    counts: Float[np.ndarray, "draw sentence"],
) -> Float[np.ndarray, " draw"]:
    """Mean product of the mean directions of two prompts with different sentences; NaN where there are no such prompts.

    Args:
        directions: sum over a sentence's prompts of the mean over their tokens of unit vectors.
        members: how many prompts a sentence has.
        counts: how often every sentence is counted.
    """
    squares = np.square(counts)
    total = np.square(counts @ directions).sum(axis=1) - squares @ np.square(directions).sum(axis=1)
    pairs = np.square(counts @ members) - squares @ np.square(members)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray(total / np.where(pairs > 0.5, pairs, np.nan))
