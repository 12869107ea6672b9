"""How does a whole table of embeddings lie, and how much of that is frequency?

One row of numbers for every static space, over the pieces of text alone. Frequency is the unigram log probability that the
tokenizer stores, where it does; correlations with it are Spearman's. Removing frequency means taking out of every feature its
linear regression on the log probability.

Hubs are counted in lists of the 10 nearest pieces by cosine, in the input embedding; anisotropy, participation ratio, partition
isotropy and intrinsic dimension are defined in `interp.geometry.isotropy` and `interp.geometry.intrinsic_dimension`.
"""

from dataclasses import dataclass, fields

import numpy as np
from jaxtyping import Float, Int

from interp.geometry.hubness import occurrences, skewness
from interp.geometry.intrinsic_dimension import two_nn_at_sizes
from interp.geometry.isotropy import eigenvalues, mean_cosine, participation_ratio, partition_isotropy, scatter
from interp.geometry.nearest_neighbors import mutual_neighbours
from interp.statistics import spearman
from interp.text.vocabulary import Vocabulary

HUB_NEIGHBOURS = 10
_FREQUENCY = (
    "frequency_share",
    "anisotropy_without_frequency",
    "participation_without_frequency",
    "norm_and_frequency",
    "first_axis_and_frequency",
)
_FEW = 30
"""Correlations over fewer pieces are left out."""


@dataclass(frozen=True, slots=True)
class TableGeometry:
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
        hub_skewness_centred: the same with the mean row subtracted.
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
    frequency_share: float
    anisotropy_without_frequency: float
    participation_without_frequency: float
    norm_and_frequency: float
    first_axis_and_frequency: float
    hub_skewness: float
    hub_skewness_centred: float
    hubs_and_frequency: float
    hubs_and_norm: float
    hubs_and_norm_given_frequency: float
    compared_pieces: float


STATISTICS = tuple(field.name for field in fields(TableGeometry))


@dataclass(frozen=True, slots=True, eq=False)
class Hubs:
    """How often pieces are neighbours.

    Attributes:
        rows: rows of the table that were compared.
        counts: in how many lists of neighbours each stands.
        centred_counts: the same with the mean row subtracted.
    """

    rows: Int[np.ndarray, " compared"]
    counts: Int[np.ndarray, " compared"]
    centred_counts: Int[np.ndarray, " compared"]


def count_hubs(table: Float[np.ndarray, "vocab d_model"], vocabulary: Vocabulary, most: int | None, seed: int) -> Hubs:
    """Occurrences of pieces in the neighbour lists of all pieces, or of a random sample of at most `most`."""
    rows = np.flatnonzero(vocabulary.ordinary)
    if most is not None and len(rows) > most:
        rows = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False))
    k = min(HUB_NEIGHBOURS, len(rows) - 1)
    pieces = table[rows]
    centred = pieces - pieces.mean(axis=0, dtype=np.float64).astype(np.float32)
    counts = [occurrences(mutual_neighbours(vectors, k).rows, len(rows)) for vectors in (pieces, centred)]
    return Hubs(rows, counts[0], counts[1])


def table_geometry(
    table: Float[np.ndarray, "vocab d_model"], vocabulary: Vocabulary, hubs: Hubs | None
) -> TableGeometry:
    """The numbers of one table; those of hubs are NaN without `hubs`."""
    rows = np.flatnonzero(vocabulary.ordinary)
    pieces = table[rows]
    norms = np.linalg.norm(table, axis=1)
    spread = scatter(pieces)
    ratio = participation_ratio(eigenvalues(spread))
    return TableGeometry(
        pieces=float(len(rows)),
        norm_mean=float(norms[rows].mean()),
        norm_deviation=float(norms[rows].std()),
        norm_of_sentinels=_mean_norm(norms, vocabulary.of_kind("sentinel")),
        norm_of_unused=_mean_norm(norms, vocabulary.of_kind("unused")),
        anisotropy=mean_cosine(pieces),
        participation_ratio=ratio,
        iso_score=(ratio - 1) / (table.shape[1] - 1),
        partition_isotropy=partition_isotropy(pieces),
        **_frequency(pieces, norms[rows], vocabulary.log_probabilities[rows], spread),
        **_hub_numbers(hubs, norms, vocabulary),
    )


def dimensions(
    table: Float[np.ndarray, "vocab d_model"], vocabulary: Vocabulary, sizes: tuple[int, ...], seed: int
) -> Float[np.ndarray, " size"]:
    """Intrinsic dimension of the pieces at several sample sizes."""
    return two_nn_at_sizes(table[vocabulary.ordinary], sizes, seed)


def _mean_norm(norms: np.ndarray, mask: np.ndarray) -> float:
    return float(norms[mask].mean()) if mask.any() else float("nan")


def _frequency(
    pieces: np.ndarray, norms: np.ndarray, log_probability: np.ndarray, spread: np.ndarray
) -> dict[str, float]:
    """What frequency explains, over the pieces that have one; `spread` is the scatter matrix of all pieces."""
    known = ~np.isnan(log_probability)
    if known.sum() < _FEW:
        return dict.fromkeys(_FREQUENCY, float("nan"))
    rows, frequency = (pieces, log_probability) if known.all() else (pieces[known], log_probability[known])
    spread = spread if known.all() else scatter(rows)
    deviation = frequency - frequency.mean()
    mean = rows.mean(axis=0, dtype=np.float64)
    power = deviation @ deviation
    # Least squares of every feature on the log probability; deviations sum to 0, so the mean needs no subtraction.
    slopes = (deviation @ rows) / power if power > 0 else np.zeros(rows.shape[1])
    without = (rows - np.outer(deviation, slopes)).astype(np.float32)
    axis = np.linalg.eigh(spread)[1][:, -1]
    total = np.trace(spread)
    return {
        "frequency_share": float(power * (slopes @ slopes) / total) if total > 0 else float("nan"),
        "anisotropy_without_frequency": mean_cosine(without),
        "participation_without_frequency": participation_ratio(eigenvalues(spread - power * np.outer(slopes, slopes))),
        "norm_and_frequency": spearman(norms[known].astype(np.float64), frequency).statistic,
        "first_axis_and_frequency": abs(spearman(rows @ axis - mean @ axis, frequency).statistic),
    }


def _hub_numbers(hubs: Hubs | None, norms: np.ndarray, vocabulary: Vocabulary) -> dict[str, float]:
    if hubs is None:
        names = ("hub_skewness", "hub_skewness_centred", "hubs_and_frequency", "hubs_and_norm")
        return dict.fromkeys((*names, "hubs_and_norm_given_frequency", "compared_pieces"), float("nan"))
    frequency = vocabulary.log_probabilities[hubs.rows]
    counts, lengths = hubs.counts.astype(np.float64), norms[hubs.rows].astype(np.float64)
    with_frequency = spearman(counts, frequency).statistic
    with_norm = spearman(counts, lengths).statistic
    return {
        "hub_skewness": skewness(hubs.counts),
        "hub_skewness_centred": skewness(hubs.centred_counts),
        "hubs_and_frequency": with_frequency,
        "hubs_and_norm": with_norm,
        "hubs_and_norm_given_frequency": _partial(with_norm, with_frequency, spearman(lengths, frequency).statistic),
        "compared_pieces": float(len(hubs.rows)),
    }


def _partial(of_interest: float, first: float, second: float) -> float:
    """Partial correlation, the third variable held fixed, from the three correlations."""
    scale = (1 - first**2) * (1 - second**2)
    return float((of_interest - first * second) / np.sqrt(scale)) if scale > 0 else float("nan")
