"""How many numbers does it take to say where a point of the cloud lies, nearby?

TwoNN (Facco et al. 2017): with r1 and r2 the distances to the nearest and second nearest other point, μ = r2 / r1 follows a
Pareto law with exponent d if density is even over that reach:

    likelihood   d = (N - 1) / Σ ln μ
    regression   slope through the origin of -ln(1 - F(μ)) on ln μ, the largest tenth of μ left out

Distances are Euclidean. The estimate falls with noise and rises with sample size where the cloud is curved or has many
dimensions: a uniform cube of 10 dimensions comes out near 8 at 2,000 points. So look at several sample sizes.
"""

from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from sklearn.neighbors import NearestNeighbors

from interp.statistics.ties import TOLERANCE

Method = Literal["likelihood", "regression"]

_KEPT = 0.9


def two_nn(vectors: Float[np.ndarray, "item feature"], method: Method = "likelihood") -> float:
    """Intrinsic dimension by the two nearest neighbors; NaN for fewer than three different points (Facco et al. 2017).

    Args:
        vectors: points; copies of a point, equal but for rounding, are taken once, since their μ is not defined.
        method: see the module.
    """
    points = np.unique(vectors.astype(np.float64), axis=0)
    if len(points) < 3:
        return float("nan")
    distances, others = NearestNeighbors(n_neighbors=2, algorithm="brute").fit(points).kneighbors()
    reach = TOLERANCE * np.sqrt(points.var(axis=0).sum())
    copies = ((distances <= reach) & (others < np.arange(len(points))[:, None])).any(axis=1)
    if copies.any():
        return two_nn(points[~copies], method)
    log_ratio = np.sort(np.log(distances[:, 1] / distances[:, 0]))
    if method == "likelihood":
        return float((len(log_ratio) - 1) / log_ratio.sum()) if log_ratio.sum() > 0 else float("nan")
    kept = log_ratio[: int(_KEPT * len(log_ratio))]
    survival = -np.log1p(-np.arange(1, len(kept) + 1) / len(log_ratio))
    return float(survival @ kept / (kept @ kept)) if (kept > 0).any() else float("nan")


def two_nn_at_sizes(
    vectors: Float[np.ndarray, "item feature"],
    sizes: tuple[int, ...],
    seed: int,
    method: Method = "likelihood",
    rows: Int[np.ndarray, " chosen"] | None = None,
) -> Float[np.ndarray, " size"]:
    """The estimate on random samples of several sizes; NaN where there are fewer points than the size (Facco et al. 2017).

    A smaller sample is the beginning of a larger one, so that sizes differ by their points alone.

    Args:
        vectors: points.
        sizes: of the samples.
        seed: of the order in which points are drawn.
        method: see the module.
        rows: which of the points; all by default.
    """
    order = np.random.default_rng(seed).permutation(len(vectors) if rows is None else len(rows))
    places = order if rows is None else rows[order]
    return np.array([two_nn(vectors[places[:size]], method) if size <= len(places) else np.nan for size in sizes])
