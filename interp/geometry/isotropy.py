"""How does a cloud of vectors lie: around its origin, and in how many of its directions?

Rows are items, columns are features; everything is computed in float64. A row of zeros has no direction: its cosine with
anything is 0.

    mean cosine           (‖Σ x̂‖² - N) / (N (N-1)), all pairs without building them          Ethayarajh 2019 (anisotropy)
    participation ratio   PR = (Σλ)² / Σλ², λ the eigenvalues of the covariance
    IsoScore              (PR - 1) / (n - 1) for n features: the same number on another scale  Rudman et al. 2022
    partition isotropy    min Z(c) / max Z(c), Z(c) = Σ exp⟨x̂, c⟩, c = ± eigenvectors of XᵀX     Mu and Viswanath 2018
    all but the top       subtract the mean, then the first D principal components            Mu and Viswanath 2018
    principal map         full SVD of the centered rows, largest |loading| of every axis positive
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from interp.statistics.ties import merge_ties

Vectors = Float[np.ndarray, "item feature"]
Cosines = Float[np.ndarray, "item other"]
Symmetric = Float[np.ndarray, "feature feature"]
Places = Int[np.ndarray, " chosen"]

_BLOCK = 4096
"""How many rows `row_blocks` gives at once."""


def unit_rows(vectors: Float[np.ndarray, "*items feature"]) -> Float[np.ndarray, "*items feature"]:
    """Every row divided by its length, in float64; rows of zeros stay, rows that are not finite are NaN.

    Args:
        vectors: any rows.
    """
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    return np.asarray(np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths != 0))


def cosine_matrix(vectors: Vectors, others: Float[np.ndarray, "other feature"] | None = None) -> Cosines:
    """Cosines of all pairs of a few rows; for a whole vocabulary see `mean_cosine` and `interp.geometry.nearest_neighbors`.

    Args:
        vectors: a few rows.
        others: what they are compared with; by default themselves.
    """
    unit = unit_rows(vectors)
    return np.asarray(np.clip(unit @ (unit if others is None else unit_rows(others)).T, -1.0, 1.0))


def mean_cosine(vectors: Vectors, rows: Places | None = None) -> float:
    """Mean cosine of all pairs of different rows, in closed form; NaN for fewer than two rows (Ethayarajh 2019).

    Args:
        vectors: rows of a whole vocabulary or of a few items.
        rows: which of them; all by default.
    """
    return mean_cosine_of(wide_blocks(vectors, rows))


def mean_cosine_of(blocks: Iterable[Vectors]) -> float:
    """The same of rows that are never all held at once.

    Args:
        blocks: some rows after another.
    """
    total, squares, count = np.zeros(()), 0.0, 0
    for unit in map(unit_rows, blocks):
        total = total + unit.sum(axis=0)
        squares += float(np.square(unit).sum())
        count += len(unit)
    return float((np.square(total).sum() - squares) / (count * (count - 1))) if count > 1 else float("nan")


def mean_row(vectors: Vectors, rows: Places | None = None) -> Float[np.ndarray, " feature"]:
    """The mean of the rows, in float64.

    Args:
        vectors: rows of a whole vocabulary or of a few items.
        rows: which of them; all by default.
    """
    count = len(vectors) if rows is None else len(rows)
    total = sum((block.sum(axis=0) for block in wide_blocks(vectors, rows)), np.zeros(vectors.shape[1]))
    return np.asarray(total / count)


def scatter(vectors: Vectors, rows: Places | None = None) -> Symmetric:
    """Σ (x - mean)(x - mean)ᵀ, the covariance times the number of rows less one.

    Args:
        vectors: rows of a whole vocabulary or of a few items.
        rows: which of them; all by default.
    """
    mean = mean_row(vectors, rows)
    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for block in wide_blocks(vectors, rows):
        block -= mean
        total += block.T @ block
    return total


def eigenvalues(symmetric: Symmetric) -> Float[np.ndarray, " feature"]:
    """Eigenvalues, largest first, none below 0.

    Args:
        symmetric: a matrix such as `scatter`'s.
    """
    return np.clip(np.linalg.eigvalsh(symmetric)[::-1], 0.0, None)


def spectrum(vectors: Vectors) -> Float[np.ndarray, " feature"]:
    """Eigenvalues of the covariance of the rows, largest first, none below 0.

    Args:
        vectors: rows of a whole vocabulary or of a few items.
    """
    return eigenvalues(scatter(vectors)) / max(1, len(vectors) - 1)


def participation_ratio(eigenvalues: Float[np.ndarray, " feature"]) -> float:
    """(Σλ)² / Σλ²: the number of directions that share the variance evenly; NaN without variance.

    Args:
        eigenvalues: of a covariance, on any scale.
    """
    power = np.square(eigenvalues).sum()
    return float(np.square(eigenvalues.sum()) / power) if power > 0 else float("nan")


def iso_score(eigenvalues: Float[np.ndarray, " feature"]) -> float:
    """IsoScore, 0 for one direction and 1 for all directions alike.

    Rudman et al. 2022 define it by several steps of normalization, which come out as (PR - 1) / (n - 1): it is the participation
    ratio on another scale and no second piece of evidence.

    Args:
        eigenvalues: of a covariance, on any scale.
    """
    return (participation_ratio(eigenvalues) - 1.0) / (len(eigenvalues) - 1.0)


def partition_isotropy(vectors: Vectors, rows: Places | None = None) -> float:
    """How evenly the partition function spreads over directions, 1 for a perfectly isotropic cloud (Mu and Viswanath 2018).

    Rows are brought to length 1 first: T5 v1.1 has embeddings of standard deviation 12, whose exponentials overflow. Both signs
    of every eigenvector are tried, since its sign means nothing.

    Args:
        vectors: rows of a whole vocabulary or of a few items.
        rows: which of them; all by default.
    """
    _, directions = np.linalg.eigh(sum(unit.T @ unit for unit in map(unit_rows, wide_blocks(vectors, rows))))
    sums = np.zeros((2, vectors.shape[1]))
    for unit in map(unit_rows, wide_blocks(vectors, rows)):
        weights = np.exp(unit @ directions)
        sums += weights.sum(axis=0), (1.0 / weights).sum(axis=0)
    return float(sums.min() / sums.max())


def top_directions(vectors: Vectors, n_directions: int) -> Float[np.ndarray, "direction feature"]:
    """The first principal axes of the centered rows, as orthonormal rows.

    Args:
        vectors: rows of a whole vocabulary or of a few items.
        n_directions: how many.
    """
    _, axes = np.linalg.eigh(scatter(vectors))
    return axes.T[::-1][:n_directions]


def without_directions(vectors: Vectors, directions: Float[np.ndarray, "direction feature"]) -> Vectors:
    """Rows with their part along some directions taken out (Mu and Viswanath 2018).

    Args:
        vectors: any rows.
        directions: orthonormal rows.
    """
    return np.asarray(vectors - (vectors @ directions.T) @ directions)


def row_blocks(count: int) -> Iterator[slice]:
    """Places of rows that are turned into float64 and computed with at once, so that never a whole vocabulary is.

    Args:
        count: of all rows.
    """
    for start in range(0, count, _BLOCK):
        yield slice(start, start + _BLOCK)


def wide_blocks(vectors: Vectors, rows: Places | None = None) -> Iterator[Float[np.ndarray, "some feature"]]:
    """Some rows after another, in float64.

    Args:
        vectors: rows of a whole vocabulary or of a few items.
        rows: which of them; all by default.
    """
    for block in row_blocks(len(vectors) if rows is None else len(rows)):
        yield vectors[block if rows is None else rows[block]].astype(np.float64)


@dataclass(frozen=True, slots=True, eq=False)
class PrincipalMap:
    """Principal components of a few items.

    Attributes:
        coordinates: the items on every axis.
        explained: share of the variance of every axis, in falling order.
        ratio: participation ratio of the spectrum.
        axes: the axes, orthonormal rows.
        center: the mean of the items.
    """

    coordinates: Float[np.ndarray, "item component"]
    explained: Float[np.ndarray, " component"]
    ratio: float
    axes: Float[np.ndarray, "component feature"]
    center: Float[np.ndarray, " feature"]

    def place(self, vectors: Float[np.ndarray, "other feature"]) -> Float[np.ndarray, "other component"]:
        """Coordinates of other items on the same axes.

        Args:
            vectors: of the items.
        """
        return np.asarray((vectors - self.center) @ self.axes.T)


def principal_map(vectors: Vectors) -> PrincipalMap:
    """Principal components by a full singular value decomposition of the centered rows; shares are NaN if all rows are equal.

    The sign of an axis is arbitrary; here the entry of largest magnitude of every axis (the first of several) is positive, so
    that maps can be compared.

    Args:
        vectors: two or more rows.

    Raises:
        ValueError: for fewer than two rows.
    """
    if len(vectors) < 2:
        raise ValueError(f"A map of principal components needs at least two items; got {len(vectors)}.")
    center = vectors.mean(axis=0, dtype=np.float64)
    left, singular, axes = np.linalg.svd(vectors - center, full_matrices=False)
    largest = axes[np.arange(len(axes)), merge_ties(np.abs(axes)).argmax(axis=1)]
    power = np.square(singular)
    total = power.sum()
    explained = power / total if total > 0 else np.full_like(power, np.nan)
    signs = np.where(largest < 0, -1.0, 1.0)
    return PrincipalMap(left * singular * signs, explained, participation_ratio(power), axes * signs[:, None], center)
