"""Do two spaces arrange the same items alike, whatever their axes and widths?

A space of n items becomes a symmetric n x n matrix with an empty diagonal; two spaces are compared by the correlation of their
matrices, <A, B> / sqrt(<A, A> <B, B>), and chance is a shuffling of the items of one of them (Mantel 1967):

    debiased CKA   A = the U-centered Gram matrix: its products are unbiased for few items     Song et al. 2012
    RSA            A = centered ranks of the cosine distances of the centered items: Spearman's ρ  Kriegeskorte et al. 2008

Both ignore rotation and scale. Linear CKA without debiasing (Kornblith et al. 2019) is near 1 even for unrelated spaces if there
are fewer items than features, so it is not offered.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import scipy.stats
from jaxtyping import Float

from interp.geometry.isotropy import cosine_matrix
from interp.statistics.ties import merge_ties

Vectors = Float[np.ndarray, "item feature"]
Arrangement = Float[np.ndarray, "item item"]

# There are many pairs, so their distances lie close together: equal are those that differ in the last bits of float64.
_EQUAL = 1e-10


def gram_arrangement(vectors: Vectors) -> Arrangement:
    """The U-centered Gram matrix of the items, for debiased CKA (Székely and Rizzo 2014; Song et al. 2012).

    Args:
        vectors: the items in one space.

    Raises:
        ValueError: for fewer than four items.
    """
    n_items = len(vectors)
    if n_items < 4:
        raise ValueError(f"Debiased CKA needs at least four items; got {n_items}.")
    # A common shift changes nothing in exact arithmetic; taking it out first keeps the digits.
    wide = vectors - vectors.mean(axis=0, dtype=np.float64)
    gram = wide @ wide.T
    np.fill_diagonal(gram, 0.0)
    rows = gram.sum(axis=0) / (n_items - 2)
    centered = gram - rows[:, None] - rows[None, :] + gram.sum() / ((n_items - 1) * (n_items - 2))
    np.fill_diagonal(centered, 0.0)
    return np.asarray(centered)


def rank_arrangement(vectors: Vectors) -> Arrangement:
    """Centered ranks of the cosine distances of all pairs of items, items centered first, for RSA (Kriegeskorte et al. 2008).

    Args:
        vectors: the items in one space.

    Raises:
        ValueError: for fewer than three items.
    """
    n_items = len(vectors)
    if n_items < 3:
        raise ValueError(f"Comparing arrangements needs at least three items; got {n_items}.")
    distances = 1.0 - cosine_matrix(vectors - vectors.mean(axis=0, dtype=np.float64))
    upper = np.triu_indices(n_items, 1)
    ranks = scipy.stats.rankdata(merge_ties(distances[upper], _EQUAL))
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
    """Correlation of arrangements, and how often shuffled items agree as well (Mantel 1967).

    Args:
        first: arrangements of the items in some spaces.
        second: arrangements of the same items in others.
        seed: of the shufflings, which all pairs of spaces share.
        permutations: number of shufflings; 0 gives no p-values.
    """
    scale = _norms(first)[:, None] * _norms(second)[None, :]
    observed = _correlation(_rows(first) @ _rows(second).T, scale)
    exceeding = np.zeros(observed.shape, dtype=np.int64)
    if permutations:
        for products in _shuffled_products(first, second, np.random.default_rng(seed), permutations):
            exceeding += _correlation(products, scale) >= observed - _EQUAL
    p_value = np.where(np.isnan(observed) | (permutations == 0), np.nan, (1 + exceeding) / (1 + permutations))
    return Agreement(observed, p_value)


def _rows(arrangements: np.ndarray) -> np.ndarray:
    """One row a space."""
    return arrangements.reshape(len(arrangements), -1)


def _norms(arrangements: np.ndarray) -> Float[np.ndarray, " space"]:
    """Shuffling items does not change them."""
    return np.asarray(np.linalg.norm(_rows(arrangements), axis=1))


def _correlation(
    products: Float[np.ndarray, "first second"], scale: Float[np.ndarray, "first second"]
) -> Float[np.ndarray, "first second"]:
    ratio = np.divide(products, scale, out=np.full(scale.shape, np.nan), where=scale > 0)
    return np.asarray(np.clip(ratio, -1.0, 1.0))


def _shuffled_products(
    first: np.ndarray, second: np.ndarray, generator: np.random.Generator, permutations: int
) -> Iterator[Float[np.ndarray, "first second"]]:
    """Products of the arrangements with the items of the second shuffled, one table for every shuffling.

    Arrangements are symmetric with an empty diagonal, so the pairs above it are enough. The spaces come last in memory, because
    then one look-up fetches a pair of items of all spaces at once: looking up, not multiplying, is what takes the time.
    """
    n_items = second.shape[1]
    above, right = np.triu_indices(n_items, 1)
    fixed = np.ascontiguousarray(first[:, above, right])
    pairs = np.ascontiguousarray(_rows(second).T)
    shuffled = np.empty((len(above), len(second)))
    for _ in range(permutations):
        order = generator.permutation(n_items)
        # `clip` writes into `out` without a copy; every place is in range.
        np.take(pairs, order[above] * n_items + order[right], axis=0, out=shuffled, mode="clip")
        yield 2 * (fixed @ shuffled)
