"""How does a cloud of vectors lie: around its origin, and in how many of its directions?

Rows are items, columns are features; everything is computed in float64. A row of zeros has no direction: its cosine with
anything is 0.

    mean cosine           (‖Σ x̂‖² - N) / (N (N-1)), all pairs without building them          Ethayarajh 2019 (anisotropy)
    participation ratio   PR = (Σλ)² / Σλ², λ the eigenvalues of the covariance
    IsoScore              (PR - 1) / (n - 1) for n features: the same number on another scale  Rudman et al. 2022
    partition isotropy    min Z(c) / max Z(c), Z(c) = Σ exp⟨x̂, c⟩, c = ± eigenvectors of XᵀX     Mu and Viswanath 2018
    all but the top       subtract the mean, then the first D principal components            Mu and Viswanath 2018
    principal map         full SVD of the centred rows, largest |loading| of every axis positive
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

Vectors = Float[np.ndarray, "item feature"]

_BLOCK = 4096
"""Rows of a vocabulary that are turned into float64 at once."""


def unit_rows(vectors: Float[np.ndarray, "*items feature"]) -> Float[np.ndarray, "*items feature"]:
    """Every row divided by its length; rows of zeros stay."""
    wide = vectors.astype(np.float64)
    lengths = np.linalg.norm(wide, axis=-1, keepdims=True)
    unit: np.ndarray = np.divide(wide, lengths, out=np.zeros_like(wide), where=lengths > 0)
    return unit


def cosine_matrix(vectors: Vectors) -> Float[np.ndarray, "item item"]:
    """Cosines of all pairs of a few rows; for a whole vocabulary see `mean_cosine` and `interp.geometry.nearest_neighbors`."""
    unit = unit_rows(vectors)
    cosines: np.ndarray = np.clip(unit @ unit.T, -1.0, 1.0)
    return cosines


def mean_cosine(vectors: Vectors) -> float:
    """Mean cosine of all pairs of different rows, in closed form; NaN for fewer than two rows."""
    if len(vectors) < 2:
        return float("nan")
    total, squares = np.zeros(vectors.shape[1]), 0.0
    for block in _blocks(vectors):
        unit = unit_rows(block)
        total += unit.sum(axis=0)
        squares += float(np.square(unit).sum())
    return float((total @ total - squares) / (len(vectors) * (len(vectors) - 1)))


def scatter(vectors: Vectors) -> Float[np.ndarray, "feature feature"]:
    """Σ (x - mean)(x - mean)ᵀ, the covariance times the number of rows less one."""
    mean = vectors.mean(axis=0, dtype=np.float64)
    total = np.zeros((vectors.shape[1], vectors.shape[1]))
    for block in _blocks(vectors):
        centred = block - mean
        total += centred.T @ centred
    return total


def eigenvalues(symmetric: Float[np.ndarray, "feature feature"]) -> Float[np.ndarray, " feature"]:
    """Eigenvalues of a matrix such as `scatter`'s, largest first, none below 0."""
    return np.clip(np.linalg.eigvalsh(symmetric)[::-1], 0.0, None)


def spectrum(vectors: Vectors) -> Float[np.ndarray, " feature"]:
    """Eigenvalues of the covariance of the rows, largest first, none below 0."""
    return eigenvalues(scatter(vectors)) / max(1, len(vectors) - 1)


def participation_ratio(eigenvalues: Float[np.ndarray, " feature"]) -> float:
    """(Σλ)² / Σλ²: the number of directions that share the variance evenly; NaN without variance."""
    power = np.square(eigenvalues).sum()
    return float(np.square(eigenvalues.sum()) / power) if power > 0 else float("nan")


def iso_score(eigenvalues: Float[np.ndarray, " feature"]) -> float:
    """IsoScore, 0 for one direction and 1 for all directions alike.

    Rudman et al. 2022 define it by several steps of normalisation, which come out as (PR - 1) / (n - 1): it is the
    participation ratio on another scale and no second piece of evidence.
    """
    return (participation_ratio(eigenvalues) - 1.0) / (len(eigenvalues) - 1.0)


def partition_isotropy(vectors: Vectors) -> float:
    """How evenly the partition function spreads over directions, 1 for a perfectly isotropic cloud.

    Rows are brought to length 1 first: T5 v1.1 has embeddings of standard deviation 12, whose exponentials overflow. Both
    signs of every eigenvector are tried, since its sign means nothing.
    """
    moment = sum(unit.T @ unit for unit in map(unit_rows, _blocks(vectors)))
    _, directions = np.linalg.eigh(moment)
    sums = np.zeros((2, vectors.shape[1]))
    for block in _blocks(vectors):
        weights = np.exp(unit_rows(block) @ directions)
        sums += weights.sum(axis=0), (1.0 / weights).sum(axis=0)
    return float(sums.min() / sums.max())


def top_directions(vectors: Vectors, n_directions: int) -> Float[np.ndarray, "direction feature"]:
    """The first principal axes of centred rows, as orthonormal rows."""
    _, axes = np.linalg.eigh(scatter(vectors))
    return axes.T[::-1][:n_directions]


def _blocks(vectors: Vectors) -> Iterator[Float[np.ndarray, "some feature"]]:
    for start in range(0, len(vectors), _BLOCK):
        yield vectors[start : start + _BLOCK].astype(np.float64)


def without_directions(vectors: Vectors, directions: Float[np.ndarray, "direction feature"]) -> Vectors:
    """Rows with their part along some orthonormal directions taken out."""
    remaining: np.ndarray = vectors - (vectors @ directions.T) @ directions
    return remaining


@dataclass(frozen=True, slots=True, eq=False)
class PrincipalMap:
    """Principal components of a few items.

    Attributes:
        coordinates: the items on every axis.
        explained: share of the variance of every axis, in falling order.
        ratio: participation ratio of the spectrum.
        axes: the axes, orthonormal rows.
        centre: the mean of the items.
    """

    coordinates: Float[np.ndarray, "item component"]
    explained: Float[np.ndarray, " component"]
    ratio: float
    axes: Float[np.ndarray, "component feature"]
    centre: Float[np.ndarray, " feature"]

    def place(self, vectors: Float[np.ndarray, "other feature"]) -> Float[np.ndarray, "other component"]:
        """Coordinates of other items on the same axes."""
        coordinates: np.ndarray = (vectors - self.centre) @ self.axes.T
        return coordinates


def principal_map(vectors: Vectors) -> PrincipalMap:
    """Principal components by a full singular value decomposition of the centred rows.

    The sign of an axis is arbitrary; here the entry of largest magnitude of every axis is positive, so that maps can be
    compared. With two or more rows; shares are NaN if all rows are equal.

    Raises:
        ValueError: for fewer than two rows.
    """
    if len(vectors) < 2:
        raise ValueError(f"A map of principal components needs at least two items; got {len(vectors)}.")
    centre = vectors.mean(axis=0, dtype=np.float64)
    left, singular, axes = np.linalg.svd(vectors - centre, full_matrices=False)
    largest = axes[np.arange(len(axes)), np.abs(axes).argmax(axis=1)]
    power = np.square(singular)
    total = power.sum()
    explained = power / total if total > 0 else np.full_like(power, np.nan)
    signs = np.where(largest < 0, -1.0, 1.0)
    return PrincipalMap(left * singular * signs, explained, participation_ratio(power), axes * signs[:, None], centre)
