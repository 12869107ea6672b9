"""Which rows lie nearest to a row, without ever building the matrix of all pairs?

Cosine similarity throughout; on rows of length 1 the nearest by cosine is the nearest by Euclidean distance. Blocks of rows are
compared with blocks of rows, and only the best k of every row are kept, so memory grows with rows times k. The size of the blocks
cannot change who is a neighbor, only the last bit of a similarity. (scikit-learn's brute force finds the same rows in eight times
the time: it meets every pair twice, in float64.)
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float, Int

from interp.geometry.isotropy import row_blocks, unit_rows
from interp.report.framed import Framed
from interp.statistics.ties import falling_order

if TYPE_CHECKING:
    import pandas as pd


_ROW_BITS, _COLUMN_BITS = 11, 21
"""Of the 64 bits by which `mutual_neighbors` sorts: of a row in its block and of one in the vocabulary; 32 are the cosine's."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Neighbors(Framed):
    """The nearest candidates of every query, nearest first.

    Attributes:
        rows: index among the candidates; -1 where there are fewer than k.
        cosines: cosine with the query; NaN where there is none.
    """

    rows: Int[np.ndarray, "query neighbor"]
    cosines: Float[np.ndarray, "query neighbor"]

    def to_frame(self) -> "pd.DataFrame":
        """One row a query and neighbor, ranks from 1."""
        import pandas as pd

        queries, places = np.indices(self.rows.shape).reshape(2, -1)
        return pd.DataFrame({
            "query": queries,
            "rank": places + 1,
            "neighbor": self.rows.ravel(),
            "cosine": self.cosines.ravel(),
        })


def nearest(
    queries: Float[np.ndarray, "query feature"],
    candidates: Float[np.ndarray, "row feature"],
    k: int,
    excluded: Bool[np.ndarray, "query row"] | None = None,
    variants: Int[np.ndarray, " row"] | None = None,
    corrected: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Neighbors:
    """The nearest rows of a few queries; rows as near as each other stand in their own order.

    Args:
        queries: a few vectors.
        candidates: many vectors.
        k: neighbors of every query.
        excluded: candidates that are no neighbor of a query, such as the query itself.
        variants: group of every candidate, of which only the nearest is kept, so that spellings of one word do not fill the list.
        corrected: what is done with some candidates before they are compared, so that never all of them are held corrected.
    """
    rows = np.full((len(queries), k), -1)
    cosines = np.full((len(queries), k), np.nan)
    for query, similarity in enumerate(_similarities(queries, candidates, corrected)):
        if excluded is not None:
            similarity[excluded[query]] = -np.inf
        chosen = _best(similarity, k, variants)
        rows[query, : len(chosen)] = chosen
        cosines[query, : len(chosen)] = similarity[chosen]
    return Neighbors(rows, cosines)


def _similarities(
    queries: np.ndarray, candidates: np.ndarray, corrected: Callable[[np.ndarray], np.ndarray]
) -> Float[np.ndarray, "query row"]:
    """Cosines of queries with candidates, of which few are ever held in float64."""
    unit_queries = unit_rows(queries)
    found = np.empty((len(queries), len(candidates)))
    for block in row_blocks(len(candidates)):
        unit = unit_rows(corrected(candidates[block]))
        for query, vector in enumerate(unit_queries):
            found[query, block] = unit @ vector
    return found


def _best(similarity: np.ndarray, k: int, variants: np.ndarray | None) -> np.ndarray:
    """Up to k finite entries, largest first, one for every group of variants."""
    considered = min(len(similarity), 4 * k + 32)
    while True:
        floor = np.partition(similarity, -considered)[-considered]
        rows = np.flatnonzero((similarity >= floor) & np.isfinite(similarity))
        rows = np.asarray(rows[falling_order(similarity[rows])])
        if variants is not None:
            _, first = np.unique(variants[rows], return_index=True)
            rows = rows[np.sort(first)]
        if len(rows) >= k or considered == len(similarity):
            return np.asarray(rows[:k])
        considered = min(len(similarity), 4 * considered)


def mutual_neighbors(vectors: Float[np.ndarray, "row feature"], k: int, block: int = 2048) -> Neighbors:
    """The k nearest other rows of every row of a whole vocabulary.

    Every block of rows meets every other block once, and serves both sides: a similarity is kept only if it beats the k-th best
    that its row (or its column) has so far. Products are taken in float32.

    Args:
        vectors: all rows, fewer than two million.
        k: neighbors of every row, fewer than there are rows.
        block: rows at once, at most 2,048; the largest array has block x block numbers.

    Raises:
        ValueError: if k is not between 1 and the number of rows - 1, or there are too many rows.
    """
    n_rows, block = len(vectors), min(block, 2**_ROW_BITS)
    if n_rows >= 2**_COLUMN_BITS - 1:
        raise ValueError(f"{n_rows} rows are compared; at most {2**_COLUMN_BITS - 2} can be.")
    if not 1 <= k < n_rows:
        raise ValueError(f"A row of {n_rows} has at most {n_rows - 1} neighbors and at least 1 is needed; got k = {k}.")
    blocks = [slice(start, min(start + block, n_rows)) for start in range(0, n_rows, block)]
    unit = np.concatenate([unit_rows(vectors[rows]).astype(np.float32) for rows in blocks])
    best = _Best(np.full((n_rows, k), -1), np.full((n_rows, k), -np.inf, dtype=np.float32))
    for own in blocks:
        similarity = unit[own] @ unit[own].T
        np.fill_diagonal(similarity, -np.inf)
        best.meet(similarity, own, own)
    for index, first in enumerate(blocks):
        for second in blocks[index + 1 :]:
            similarity = unit[first] @ unit[second].T
            best.meet(similarity, first, second)
            best.meet(similarity.T, second, first)
    return Neighbors(best.rows, np.clip(best.cosines, -1.0, 1.0).astype(np.float64))


@dataclass(frozen=True, slots=True, eq=False)
class _Best:
    """The best k seen so far of every row, best first; filled in place."""

    rows: Int[np.ndarray, "row neighbor"]
    cosines: Float[np.ndarray, "row neighbor"]

    def meet(self, similarity: np.ndarray, mine: slice, theirs: slice) -> None:
        """Take from a block of similarities [mine theirs] what beats the worst that is kept."""
        rows, cosines = self.rows[mine], self.cosines[mine]
        n_rows, k = rows.shape
        bar = cosines[:, -1:]
        if np.isneginf(bar).any():
            # Nothing is known yet, and everything would pass: just below the block's own k-th best is the bar.
            known = min(k, similarity.shape[1])
            bar = np.nextafter(np.partition(similarity, -known, axis=1)[:, -known, None], np.float32(-np.inf))
        row, column = _where_above(similarity, bar)
        all_rows = np.concatenate([np.repeat(np.arange(n_rows), k), row])
        all_columns = np.concatenate([rows.ravel(), column + theirs.start])
        all_cosines = np.concatenate([cosines.ravel(), similarity[row, column]])
        ordered = _packed(all_rows, all_cosines, all_columns)
        ordered.sort()
        starts = np.searchsorted(ordered, np.arange(n_rows, dtype=np.uint64) << np.uint64(64 - _ROW_BITS))
        rows[:], cosines[:] = _unpacked(ordered[starts[:, None] + np.arange(k)])


def _packed(rows: np.ndarray, cosines: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """One whole number for each that sorts by row, falling cosine and column; numbers sort ten times faster than three keys."""
    bits = (cosines + np.float32(0.0)).view(np.uint32)  # a zero has no sign
    falling = np.where(bits >> 31, bits, ~bits & np.uint32(0x7FFFFFFF)).astype(np.uint64)
    place = (columns + 1).astype(np.uint64)  # that of none is -1
    return np.asarray(
        (rows.astype(np.uint64) << np.uint64(64 - _ROW_BITS)) | (falling << np.uint64(_COLUMN_BITS)) | place
    )


def _unpacked(packed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Columns and cosines of what `_packed` gave."""
    falling = (packed >> np.uint64(_COLUMN_BITS)).astype(np.uint32)
    cosines = np.where(falling >> 31, falling, ~falling & np.uint32(0x7FFFFFFF)).view(np.float32)
    return (packed & np.uint64(2**_COLUMN_BITS - 1)).astype(np.int64) - 1, cosines


def _where_above(similarity: np.ndarray, bar: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Rows and columns of entries above their row's bar; a flat search along memory is several times faster."""
    if similarity.flags.c_contiguous:
        row, column = np.divmod(np.flatnonzero(similarity > bar), similarity.shape[1])
    else:
        column, row = np.divmod(np.flatnonzero(similarity.T > bar.T), similarity.shape[0])
    return row, column
