"""How does a whole table of embeddings lie, and how much of that is frequency?

One row of numbers for every static space, over the pieces of text alone. Frequency is the unigram log probability that the
tokenizer stores, where it does; correlations with it are Spearman's. Removing frequency means taking out of every feature its
linear regression on the log probability.

Hubs are counted in lists of the 10 nearest pieces by cosine, in the input embedding; anisotropy, participation ratio, partition
isotropy and intrinsic dimension are defined in `interp.geometry.isotropy` and `interp.geometry.intrinsic_dimension`.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from interp.geometry.hubness import occurrences, skewness
from interp.geometry.isotropy import (
    eigenvalues,
    iso_score,
    mean_cosine,
    mean_cosine_of,
    mean_row,
    participation_ratio,
    partition_isotropy,
    row_blocks,
    scatter,
    wide_blocks,
)
from interp.geometry.nearest_neighbors import mutual_neighbors
from interp.statistics import spearman
from interp.text.vocabulary import Vocabulary

HUB_NEIGHBORS = 10
_FEW = 30
"""Correlations over fewer pieces are left out."""


class TableGeometry(NamedTuple):
    """Numbers of one table; NaN where something is not defined or was not asked for.

    Attributes:
        pieces: number of pieces of text.
        norm_mean: mean length of their rows.
        norm_deviation: standard deviation of the lengths.
        norm_of_sentinels: mean length of sentinel rows, which enter nothing else.
        norm_of_unused: mean length of rows without a piece, which enter nothing else.
        anisotropy: mean cosine of all pairs.
        participation_ratio: number of directions that share the variance.
        iso_score: the same on the scale of 0 to 1.
        partition_isotropy: Mu and Viswanath's measure on rows of length 1.
        frequency_share: share of the variance that log frequency explains linearly.
        anisotropy_without_frequency: mean cosine after frequency is removed (its mean level is kept).
        participation_without_frequency: participation ratio after frequency is removed.
        norm_and_frequency: correlation of length and log frequency.
        first_axis_and_frequency: correlation of the first principal coordinate and log frequency, without its sign.
        hub_skewness: skewness of the counts of occurrence.
        hub_skewness_centered: the same with the mean row subtracted.
        hubs_and_frequency: correlation of counts and log frequency.
        hubs_and_norm: correlation of counts and length.
        hubs_and_norm_given_frequency: the same, frequency held fixed (partial rank correlation).
        compared_pieces: number of pieces among which hubs were counted.
    """

    pieces: float
    norm_mean: float
    norm_deviation: float
    norm_of_sentinels: float
    norm_of_unused: float
    anisotropy: float
    participation_ratio: float
    iso_score: float
    partition_isotropy: float
    frequency_share: float = np.nan
    anisotropy_without_frequency: float = np.nan
    participation_without_frequency: float = np.nan
    norm_and_frequency: float = np.nan
    first_axis_and_frequency: float = np.nan
    hub_skewness: float = np.nan
    hub_skewness_centered: float = np.nan
    hubs_and_frequency: float = np.nan
    hubs_and_norm: float = np.nan
    hubs_and_norm_given_frequency: float = np.nan
    compared_pieces: float = np.nan


class Hubs(NamedTuple):
    """How often pieces are neighbors.

    Attributes:
        rows: rows of the table that were compared.
        counts: in how many lists of neighbors each stands.
        centered_counts: the same with the mean row subtracted.
    """

    rows: Int[np.ndarray, " compared"]
    counts: Float[np.ndarray, " compared"]
    centered_counts: Float[np.ndarray, " compared"]


def count_hubs(table: Float[np.ndarray, "vocab d_model"], vocabulary: Vocabulary, most: int | None, seed: int) -> Hubs:
    """Occurrences of pieces in the neighbor lists of all pieces, or of a random sample of at most `most`."""
    rows = np.flatnonzero(vocabulary.ordinary)
    if most is not None and len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    pieces = table[rows]
    centered = pieces - pieces.mean(axis=0, dtype=np.float64).astype(np.float32)
    found = [mutual_neighbors(vectors, min(2 * HUB_NEIGHBORS, len(rows) - 1)) for vectors in (pieces, centered)]
    return Hubs(rows, *(occurrences(one, HUB_NEIGHBORS, len(rows)) for one in found))


def table_geometry(
    table: Float[np.ndarray, "vocab d_model"], vocabulary: Vocabulary, hubs: Hubs | None
) -> TableGeometry:
    """The numbers of one table; those of hubs are NaN without `hubs`."""
    rows = np.flatnonzero(vocabulary.ordinary)
    norms = np.concatenate([np.linalg.norm(table[block], axis=1) for block in row_blocks(len(table))])
    spread = scatter(table, rows)
    variances = eigenvalues(spread)
    return TableGeometry(
        pieces=float(len(rows)),
        norm_mean=float(norms[rows].mean()),
        norm_deviation=float(norms[rows].std()),
        norm_of_sentinels=_mean_norm(norms, vocabulary.of_kind("sentinel")),
        norm_of_unused=_mean_norm(norms, vocabulary.of_kind("unused")),
        anisotropy=mean_cosine(table, rows),
        participation_ratio=participation_ratio(variances),
        iso_score=iso_score(variances),
        partition_isotropy=partition_isotropy(table, rows),
        **_frequency(table, rows, norms, vocabulary.log_probabilities, spread),
        **_hub_numbers(hubs, norms, vocabulary),
    )


def _mean_norm(norms: np.ndarray, mask: np.ndarray) -> float:
    return float(norms[mask].mean()) if mask.any() else float("nan")


def _frequency(
    table: np.ndarray, pieces: np.ndarray, norms: np.ndarray, log_probability: np.ndarray, spread: np.ndarray
) -> dict[str, float]:
    """What frequency explains, over the pieces that have one; `spread` is the scatter matrix of all pieces."""
    rows = pieces[~np.isnan(log_probability[pieces])]
    if len(rows) < _FEW:
        return {}
    frequency = log_probability[rows]
    spread = spread if len(rows) == len(pieces) else scatter(table, rows)
    deviation = frequency - frequency.mean()
    power = deviation @ deviation
    # Least squares of every feature on the log probability; deviations sum to 0, so the mean needs no subtraction.
    slopes = np.zeros(table.shape[1])
    if power > 0:
        for block, wide in zip(row_blocks(len(rows)), wide_blocks(table, rows), strict=True):
            slopes += deviation[block] @ wide / power
    without = (
        wide - np.outer(deviation[block], slopes)
        for block, wide in zip(row_blocks(len(rows)), wide_blocks(table, rows), strict=True)
    )
    axis = np.linalg.eigh(spread)[1][:, -1]
    along = np.concatenate([wide @ axis for wide in wide_blocks(table, rows)])
    total = np.trace(spread)
    return {
        "frequency_share": float(power * (slopes @ slopes) / total) if total > 0 else float("nan"),
        "anisotropy_without_frequency": mean_cosine_of(without),
        "participation_without_frequency": participation_ratio(eigenvalues(spread - power * np.outer(slopes, slopes))),
        "norm_and_frequency": spearman(norms[rows].astype(np.float64), frequency).statistic,
        "first_axis_and_frequency": abs(spearman(along - mean_row(table, rows) @ axis, frequency).statistic),
    }


def _hub_numbers(hubs: Hubs | None, norms: np.ndarray, vocabulary: Vocabulary) -> dict[str, float]:
    if hubs is None:
        return {}
    frequency, lengths = vocabulary.log_probabilities[hubs.rows], norms[hubs.rows].astype(np.float64)
    with_frequency = spearman(hubs.counts, frequency).statistic
    with_norm = spearman(hubs.counts, lengths).statistic
    return {
        "hub_skewness": skewness(hubs.counts),
        "hub_skewness_centered": skewness(hubs.centered_counts),
        "hubs_and_frequency": with_frequency,
        "hubs_and_norm": with_norm,
        "hubs_and_norm_given_frequency": _partial(with_norm, with_frequency, spearman(lengths, frequency).statistic),
        "compared_pieces": float(len(hubs.rows)),
    }


def _partial(of_interest: float, first: float, second: float) -> float:
    """Partial correlation, the third variable held fixed, from the three correlations."""
    scale = (1 - first**2) * (1 - second**2)
    return float((of_interest - first * second) / np.sqrt(scale)) if scale > 0 else float("nan")
