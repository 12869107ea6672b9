"""Which rows lie nearest to a row, without ever building the matrix of all pairs?

Cosine similarity throughout; on rows of length 1 the nearest by cosine is the nearest by Euclidean distance. Blocks of rows are
compared with blocks of rows, and only the best k of every row are kept, so memory grows with rows times k. The size of the
blocks cannot change who is a neighbour, only the last bit of a similarity.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.geometry import unit_rows


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The nearest candidates of every query, nearest first.

    Attributes:
        rows: index among the candidates; -1 where there are fewer than k.
        cosines: cosine with the query; NaN where there is none.
    """

    rows: Int[np.ndarray, "query neighbour"]
    cosines: Float[np.ndarray, "query neighbour"]


def nearest(
    queries: Float[np.ndarray, "query feature"],
    candidates: Float[np.ndarray, "row feature"],
    k: int,
    excluded: Bool[np.ndarray, "query row"] | None = None,
    variants: Int[np.ndarray, " row"] | None = None,
) -> Neighbours:
    """The nearest rows of a few queries.

    Args:
        queries: a few vectors.
        candidates: many vectors.
        k: neighbours of every query.
        excluded: candidates that are no neighbour of a query, such as the query itself.
        variants: number of the group of every candidate; of one group only the nearest is kept, so that spellings of one
            word do not fill the list.
    """
    unit_queries, unit_candidates = unit_rows(queries), unit_rows(candidates)
    rows = np.full((len(queries), k), -1)
    cosines = np.full((len(queries), k), np.nan)
    for query, vector in enumerate(unit_queries):
        similarity = unit_candidates @ vector
        if excluded is not None:
            similarity[excluded[query]] = -np.inf
        chosen = _best(similarity, k, variants)
        rows[query, : len(chosen)] = chosen
        cosines[query, : len(chosen)] = similarity[chosen]
    return Neighbours(rows, cosines)


def _best(similarity: np.ndarray, k: int, variants: np.ndarray | None) -> np.ndarray:
    """Up to k finite entries, largest first, the earlier row first on a tie, one for every group of variants."""
    looked_at = min(len(similarity), 4 * k + 32)
    while True:
        floor = -np.partition(-similarity, looked_at - 1)[looked_at - 1]
        rows = np.flatnonzero((similarity >= floor) & np.isfinite(similarity))
        rows = rows[np.argsort(-similarity[rows], kind="stable")]
        if variants is not None:
            _, first = np.unique(variants[rows], return_index=True)
            rows = rows[np.sort(first)]
        if len(rows) >= k or looked_at == len(similarity):
            return rows[:k]
        looked_at = min(len(similarity), 4 * looked_at)
