"""How does the cloud of tokens change from layer to layer: does it narrow, and do the tokens of a sentence draw together?

    anisotropy        mean cosine of a token of one prompt and a token of a prompt with another sentence, in closed form from the
                      mean directions m of the prompts: (‖Σ m‖² - Σ m_p·m_q over equal sentences) / number of such pairs
    intra-sentence    mean cosine of a token and the mean of its sentence
    adjusted          intra-sentence similarity - anisotropy; what a sentence adds to the narrowness of the whole space

all after Ethayarajh 2019 (D19-1006), who samples pairs where we sum them all. Intervals resample sentences, each with all prompts
that carry it (two languages of one sentence are no two pieces of evidence), the same ones for the three quantities.
"""

from dataclasses import dataclass

import numpy as np
import scipy.sparse
from jaxtyping import Float, Int

from analyses.core.contract import Observed
from interp.statistics import Estimate, Interval, controlled

QUANTITIES = ("anisotropy", "intra-sentence similarity", "adjusted intra-sentence similarity")


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


def layer_curves(
    spaces: tuple[str, ...], model: Observed, twins: tuple[Observed, ...], seed: int, resamples: int
) -> LayerCurves:
    """Point values and intervals of the model, point values of its twins."""
    sentences = sentence_numbers(model)
    n_sentences = int(sentences.max()) + 1
    everyone = np.ones((1, len(sentences)))
    counts = np.random.default_rng(seed).multinomial(n_sentences, np.full(n_sentences, 1 / n_sentences), size=resamples)
    draws = _quantities(model, counts[:, sentences].astype(np.float64))
    low, high = _bounds(draws if n_sentences > 1 else np.full_like(draws, np.nan))
    point, *controls = (_quantities(one, everyone)[0] for one in (model, *twins))
    count = (~np.isnan(model.prompts["intra_similarity"])).sum(axis=0)
    curves = Interval(point, low, high, np.broadcast_to(count, point.shape))
    return LayerCurves(spaces, controlled(curves, controls), n_sentences)


def _bounds(draws: Float[np.ndarray, "draw quantity space"]) -> Float[np.ndarray, "bound quantity space"]:
    """95 % percentile bounds; NaN where no draw has a value."""
    defined = ~np.isnan(draws).all(axis=0)
    bounds = np.full((2, *draws.shape[1:]), np.nan)
    bounds[:, defined] = np.nanquantile(draws[:, defined], [0.025, 0.975], axis=0)
    return bounds


def _quantities(observed: Observed, counts: Float[np.ndarray, "draw prompt"]) -> np.ndarray:
    """The three quantities for prompts counted so many times [draw quantity space]."""
    directions, similarity = observed.prompts["mean_direction"], observed.prompts["intra_similarity"].astype(np.float64)
    sentences = sentence_numbers(observed)
    columns = []
    for space in range(similarity.shape[1]):
        present = ~np.isnan(similarity[:, space])
        drawn = counts[:, present]
        anisotropy = cross_cosine(directions[present, space].astype(np.float64), sentences[present], drawn)
        with np.errstate(invalid="ignore"):
            intra = drawn @ similarity[present, space] / drawn.sum(axis=1)
        columns.append(np.stack([anisotropy, intra, intra - anisotropy], axis=1))
    return np.stack(columns, axis=2)


def sentence_numbers(observed: Observed) -> Int[np.ndarray, " prompt"]:
    """The sentence of every prompt, numbered from 0."""
    return np.unique(observed.prompts["sentence"], axis=0, return_inverse=True)[1].astype(np.int64)


def cross_cosine(
    directions: Float[np.ndarray, "prompt d_model"],
    sentences: Int[np.ndarray, " prompt"],
    counts: Float[np.ndarray, "draw prompt"],
) -> Float[np.ndarray, " draw"]:
    """Mean product of the mean directions of two prompts with different sentences; NaN where there are no such prompts.

    Args:
        directions: mean over a prompt's tokens of their unit vectors.
        sentences: equal for prompts with the same sentence.
        counts: how often every prompt is counted.
    """
    same = _same_sentence(sentences)
    products = same.tocoo(copy=True)
    products.data = np.einsum("p d, p d -> p", directions[products.row], directions[products.col])
    total = np.square(counts @ directions).sum(axis=1)
    pairs = np.square(counts.sum(axis=1))
    excluded = [(counts * (matrix @ counts.T).T).sum(axis=1) for matrix in (products.tocsr(), same)]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.asarray((total - excluded[0]) / np.where(pairs - excluded[1] > 0.5, pairs - excluded[1], np.nan))


def _same_sentence(sentences: np.ndarray) -> scipy.sparse.csr_array:
    """1 at pairs of prompts with the same sentence, a prompt with itself included: [prompt prompt]."""
    shape = (len(sentences), int(sentences.max(initial=-1)) + 1)
    member = scipy.sparse.csr_array((np.ones(len(sentences)), (np.arange(len(sentences)), sentences)), shape=shape)
    return (member @ member.T).tocsr()
