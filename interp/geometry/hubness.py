"""Are a few points neighbours of very many, and what mends it?

N_k(x) counts in how many lists of k nearest neighbours a point stands. Its mean is always k; in spaces of many dimensions its
distribution grows a long right tail, whose skewness is the usual measure (Radovanović et al. 2010). Hubs distort every
nearest-neighbour score; cross-domain similarity local scaling takes a point's crowd out of it (Conneau et al. 2018,
arXiv:1710.04087):

    CSLS(x, y) = 2 cos(x, y) - r(x) - r(y),   r: mean cosine with the k nearest points of the other side
"""

import numpy as np
import scipy.stats
from jaxtyping import Float, Int

from interp.geometry.isotropy import unit_rows


def occurrences(rows: Int[np.ndarray, "query neighbour"], n_rows: int) -> Int[np.ndarray, " row"]:
    """N_k of every row, given the neighbours of every query; places without a neighbour (-1) do not count."""
    return np.bincount(rows[rows >= 0], minlength=n_rows)


def skewness(counts: Int[np.ndarray, " row"]) -> float:
    """Third standardised moment of N_k; NaN if all counts are equal."""
    return float(scipy.stats.skew(counts)) if np.ptp(counts) > 0 else float("nan")


def cosine_scores(
    queries: Float[np.ndarray, "query feature"], candidates: Float[np.ndarray, "row feature"]
) -> Float[np.ndarray, "query row"]:
    """Cosines of every query with every candidate."""
    scores: np.ndarray = unit_rows(queries) @ unit_rows(candidates).T
    return scores


def csls(scores: Float[np.ndarray, "query row"], k: int = 10) -> Float[np.ndarray, "query row"]:
    """Cosines with the crowd of both sides taken out.

    Args:
        scores: cosines of every query with every candidate.
        k: neighbours that make a crowd; fewer where there are fewer points.
    """

    def crowd(values: np.ndarray) -> np.ndarray:
        nearest = np.sort(values, axis=1)[:, -min(k, values.shape[1]) :]
        mean: np.ndarray = nearest.mean(axis=1)
        return mean

    scaled: np.ndarray = 2 * scores - crowd(scores)[:, None] - crowd(scores.T)[None, :]
    return scaled


def retrieval_hits(
    scores: Float[np.ndarray, "query row"], answers: Int[np.ndarray, " query"]
) -> Float[np.ndarray, " query"]:
    """1 where the right candidate scores best; a tie of n at the top counts 1/n if the right one is among them."""
    best = scores.max(axis=1, keepdims=True)
    tied = scores >= best - 1e-12
    hits: np.ndarray = tied[np.arange(len(scores)), answers] / tied.sum(axis=1)
    return hits
