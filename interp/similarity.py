"""Do two spaces arrange the same items alike, whatever their axes and widths?

A space of n items becomes a symmetric n x n matrix with an empty diagonal; two spaces are compared by the correlation of their
matrices, <A, B> / sqrt(<A, A> <B, B>), and chance is a shuffling of the items of one of them (Mantel 1967):

    debiased CKA   A = the U-centred Gram matrix: its products are unbiased for few items     Song et al. 2012
    RSA            A = centred ranks of the cosine distances of the centred items: Spearman's ρ  Kriegeskorte et al. 2008

Linear CKA itself (Kornblith et al. 2019, arXiv:1905.00414) is ‖YᵀX‖² / (‖XᵀX‖ ‖YᵀY‖) of centred columns; with fewer items than
features it is near 1 for unrelated spaces, so it serves as a check only. All three ignore rotation and scale.
"""

from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Float

from interp.geometry import cosine_matrix

Vectors = Float[np.ndarray, "item feature"]
Arrangement = Float[np.ndarray, "item item"]


def linear_cka(first: Float[np.ndarray, "item one_feature"], second: Float[np.ndarray, "item other_feature"]) -> float:
    """Linear centred kernel alignment, biased upwards for few items; NaN if a space has no variance."""
    x, y = (vectors - vectors.mean(axis=0) for vectors in (first.astype(np.float64), second.astype(np.float64)))
    scale = np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)
    return float(np.square(y.T @ x).sum() / scale) if scale > 0 else float("nan")


def gram_arrangement(vectors: Vectors) -> Arrangement:
    """The U-centred Gram matrix of the items (Székely and Rizzo 2014), for debiased CKA.

    Raises:
        ValueError: for fewer than four items.
    """
    n_items = len(vectors)
    if n_items < 4:
        raise ValueError(f"Debiased CKA needs at least four items; got {n_items}.")
    wide = vectors.astype(np.float64)
    # A common shift changes nothing in exact arithmetic; taking it out first keeps the digits.
    wide = wide - wide.mean(axis=0)
    gram = wide @ wide.T
    np.fill_diagonal(gram, 0.0)
    rows = gram.sum(axis=0) / (n_items - 2)
    centred = gram - rows[:, None] - rows[None, :] + gram.sum() / ((n_items - 1) * (n_items - 2))
    arrangement: np.ndarray = centred - np.diag(np.diag(centred))
    return arrangement


def rank_arrangement(vectors: Vectors) -> Arrangement:
    """Centred ranks of the cosine distances of all pairs of items, items centred first, for RSA.

    Raises:
        ValueError: for fewer than three items.
    """
    n_items = len(vectors)
    if n_items < 3:
        raise ValueError(f"Comparing arrangements needs at least three items; got {n_items}.")
    distances = 1.0 - cosine_matrix(vectors - vectors.mean(axis=0, dtype=np.float64))
    upper = np.triu_indices(n_items, 1)
    # Distances that differ in the last bits only are equal.
    ranks = scipy.stats.rankdata(np.round(distances[upper], 12))
    matrix = np.zeros((n_items, n_items))
    matrix[upper] = ranks - ranks.mean()
    return matrix + matrix.T


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Correlation of arrangements of the same items, every one of some spaces with every one of others.

    Attributes:
        correlation: from -1 to 1; NaN where a space has no variance.
        p_value: (1 + shufflings at least as high) / (1 + shufflings), one-sided; NaN without shufflings.
    """

    correlation: Float[np.ndarray, "first second"]
    p_value: Float[np.ndarray, "first second"]


def agreement(
    first: Float[np.ndarray, "first item item"],
    second: Float[np.ndarray, "second item item"],
    seed: int,
    permutations: int = 999,
) -> Agreement:
    """Compare spaces, and say how often shuffled items agree as well.

    Args:
        first: arrangements of the items in some spaces.
        second: arrangements of the same items in others.
        seed: of the shufflings, which all pairs of spaces share.
        permutations: number of shufflings; 0 gives no p-values.
    """
    observed = _correlation(first, second)
    generator = np.random.default_rng(seed)
    exceeding = np.zeros(observed.shape, dtype=np.int64)
    for _ in range(permutations):
        order = generator.permutation(second.shape[1])
        exceeding += _correlation(first, second[:, order][:, :, order]) >= observed - 1e-12
    p_value = np.where(np.isnan(observed) | (permutations == 0), np.nan, (1 + exceeding) / (1 + permutations))
    return Agreement(observed, p_value)


def _correlation(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    one, other = first.reshape(len(first), -1), second.reshape(len(second), -1)
    scale = np.linalg.norm(one, axis=1)[:, None] * np.linalg.norm(other, axis=1)[None, :]
    ratio = np.divide(one @ other.T, scale, out=np.full(scale.shape, np.nan), where=scale > 0)
    correlation: np.ndarray = np.clip(ratio, -1.0, 1.0)
    return correlation
