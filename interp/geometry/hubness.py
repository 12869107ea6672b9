"""Are a few points neighbors of very many, and what mends it?

N_k(x) counts in how many lists of k nearest neighbors a point stands. Its mean is always k; in spaces of many dimensions its
distribution grows a long right tail, whose skewness is the usual measure (Radovanović et al. 2010). Hubs distort every
nearest-neighbor score; cross-domain similarity local scaling takes a point's crowd out of it (Conneau et al. 2018):

    CSLS(x, y) = 2 cos(x, y) - r(x) - r(y),   r: mean cosine with the k nearest points of the other side
"""

import numpy as np
import scipy.stats
from jaxtyping import Float

from interp.geometry.nearest_neighbors import Neighbors
from interp.statistics.ties import merge_ties, shares_of_largest


def occurrences(neighbors: Neighbors, k: int, n_rows: int) -> Float[np.ndarray, " row"]:
    """N_k of every row; who is nearly tied for the last place of a list counts in part (Radovanović et al. 2010).

    Args:
        neighbors: of every query; more than k of each, so that those who tie with the k-th are among them.
        k: places of a list.
        n_rows: number of rows that could be neighbors.
    """
    shares, listed = shares_of_largest(neighbors.cosines, k), neighbors.rows >= 0
    return np.bincount(neighbors.rows[listed], weights=shares[listed], minlength=n_rows)


def skewness(counts: Float[np.ndarray, " row"]) -> float:
    """Third standardized moment of N_k; NaN if all counts are equal (Radovanović et al. 2010).

    Args:
        counts: in how many lists every row stands.
    """
    return float(scipy.stats.skew(counts)) if np.ptp(merge_ties(counts)) > 0 else float("nan")


def csls(scores: Float[np.ndarray, "query row"], k: int = 10) -> Float[np.ndarray, "query row"]:
    """Cosines with the crowd of both sides taken out (Conneau et al. 2018).

    Args:
        scores: cosines of every query with every candidate.
        k: neighbors that make a crowd; fewer where there are fewer points.
    """

    def crowd(values: np.ndarray) -> np.ndarray:
        return np.asarray(np.sort(values, axis=1)[:, -min(k, values.shape[1]) :].mean(axis=1))

    return np.asarray(2 * scores - crowd(scores)[:, None] - crowd(scores.T)[None, :])
