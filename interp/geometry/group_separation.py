"""Do items of one group lie nearer to each other than to items of other groups, beyond chance?

All four statistics are functions of the cosine matrix of a few items and of their groups:

    effect          mean cosine of pairs within groups - mean cosine of pairs between groups
    Cohen's d       effect / pooled standard deviation of the pair cosines                        Cohen 1988
    silhouette      mean over items of (b - a) / max(a, b), a and b mean cosine distances         Rousseeuw 1987
    leave one out   share of items whose nearest other item is of their own group

Chance is the permutation of labels over items, p = (1 + #{null ≥ observed}) / (1 + R). Intervals resample items within
groups; two copies of one item are no pair, because their cosine of 1 says nothing about the group.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int

from interp.statistics.ties import shares_of_largest

_BLOCK = 2**20
"""Numbers held at once per array of labelings or resamples."""

# Equal labelings must count as equal in spite of another order of summation, and in spite of near-ties that are shared out a
# little otherwise: hits are all but whole numbers.
_EQUAL = 1e-12
_EQUAL_HITS = 0.01


class Separation(NamedTuple):
    """How far groups lie apart.

    Attributes:
        within: mean cosine of pairs of one group.
        between: mean cosine of pairs of different groups.
        effect: their difference.
        cohens_d: the difference in pooled standard deviations of pair cosines; pairs that share an item are not independent, so
            this is a size and no test.
        silhouette: mean silhouette width with cosine distance; items alone in their group count 0, as in scikit-learn.
        leave_one_out: share of items whose nearest other item is of their group; near-ties count in part.
    """

    within: float
    between: float
    effect: float
    cohens_d: float
    silhouette: float
    leave_one_out: float


class SeparationTest(NamedTuple):
    """A separation with its uncertainty.

    Attributes:
        observed: the statistics.
        low: lower bounds of their bootstrap intervals; NaN without resamples.
        high: upper bounds.
        p_values: statistic -> one-sided p-value under permuted labels, of effect, silhouette and leave-one-out accuracy.
        chance: leave-one-out accuracy of random labels, on average.
        permutations: number of random labelings.
    """

    observed: Separation
    low: Separation
    high: Separation
    p_values: dict[str, float]
    chance: float
    permutations: int


def separation(cosines: Float[np.ndarray, "item item"], groups: Int[np.ndarray, " item"]) -> Separation:
    """The statistics of one labeling (Cohen 1988; Rousseeuw 1987).

    Args:
        cosines: cosine matrix of the items.
        groups: group of every item, numbered from 0.

    Raises:
        ValueError: unless there are at least two groups, one of them with two items.
    """
    sizes = np.bincount(groups)
    if (sizes > 0).sum() < 2 or sizes.max() < 2:
        raise ValueError(
            f"Comparing groups needs at least two groups, one of them with two items; got sizes {sizes.tolist()}."
        )
    everyone = np.ones((1, len(groups)))
    return Separation(*_statistics(cosines, groups[None], everyone, _nearest(cosines, everyone))[0].tolist())


def separation_test(
    cosines: Float[np.ndarray, "item item"],
    groups: Int[np.ndarray, " item"],
    seed: int,
    permutations: int = 10_000,
    resamples: int = 2_000,
    level: float = 0.95,
) -> SeparationTest:
    """The statistics of one labeling with permutation p-values and bootstrap intervals.

    Args:
        cosines: cosine matrix of the items.
        groups: group of every item, numbered from 0.
        seed: of permutations and resamples.
        permutations: random labelings.
        resamples: bootstrap resamples of the items, drawn within every group.
        level: of the percentile intervals.

    Raises:
        ValueError: unless there are at least two groups, one of them with two items.
    """
    observed = separation(cosines, groups)
    generator = np.random.default_rng(seed)
    exceeding = _exceeding(cosines, groups, observed, permutations, generator)
    low, high = _interval(cosines, groups, resamples, level, generator)
    p_values = dict(zip(Separation._fields, ((1 + exceeding) / (1 + permutations)).tolist(), strict=True))
    sizes = np.bincount(groups)
    return SeparationTest(
        observed=observed,
        low=low,
        high=high,
        p_values={name: p_values[name] for name in ("effect", "silhouette", "leave_one_out")},
        chance=float((sizes * (sizes - 1)).sum() / (len(groups) * (len(groups) - 1))),
        permutations=permutations,
    )


def _exceeding(
    cosines: np.ndarray, groups: np.ndarray, observed: Separation, permutations: int, generator: np.random.Generator
) -> np.ndarray:
    """How many random labelings reach the observed statistics [field]."""
    everyone = np.ones((1, len(groups)))
    nearest = _nearest(cosines, everyone)
    exceeding = np.zeros(len(observed), dtype=np.int64)
    bar = np.array(observed) - [*[_EQUAL] * (len(observed) - 1), _EQUAL_HITS / len(groups)]
    for size in _blocks(permutations, len(groups)):
        shuffled = generator.permuted(np.tile(groups, (size, 1)), axis=1)
        exceeding += (_statistics(cosines, shuffled, everyone, nearest) >= bar).sum(axis=0)
    return exceeding


def _interval(
    cosines: np.ndarray, groups: np.ndarray, resamples: int, level: float, generator: np.random.Generator
) -> tuple[Separation, Separation]:
    """Percentile bounds over resamples of the items."""
    draws = [np.full((1, len(Separation._fields)), np.nan)]
    for size in _blocks(resamples, len(groups)):
        counts = _resample(groups, size, generator)
        draws.append(_statistics(cosines, np.tile(groups, (size, 1)), counts, _nearest(cosines, counts)))
    tails = [(1 - level) / 2, (1 + level) / 2]
    bounds = np.nanquantile(np.concatenate(draws), tails, axis=0) if resamples else draws[0][[0, 0]]
    return Separation(*bounds[0].tolist()), Separation(*bounds[1].tolist())


def _blocks(total: int, n_items: int) -> list[int]:
    size = max(1, _BLOCK // n_items**2)
    return [min(size, total - start) for start in range(0, total, size)]


def _resample(groups: np.ndarray, size: int, generator: np.random.Generator) -> np.ndarray:
    """How often every item is drawn [draw item], as many draws in a group as it has items."""
    counts = np.zeros((size, len(groups)))
    for group in np.unique(groups):
        members = np.flatnonzero(groups == group)
        counts[:, members] = generator.multinomial(len(members), np.full(len(members), 1 / len(members)), size=size)
    return counts


def _nearest(cosines: np.ndarray, counts: np.ndarray) -> np.ndarray:
    """Weight 1 on the nearest other item among those drawn, shared between near-ties: [draw item item]."""
    others = (counts[:, None, :] > 0) & ~np.eye(len(cosines), dtype=bool)
    return shares_of_largest(np.where(others, cosines, -np.inf), 1)


def _statistics(cosines: np.ndarray, labels: np.ndarray, counts: np.ndarray, nearest: np.ndarray) -> np.ndarray:
    """Statistics [draw field] of labelings [draw item], item counts [draw item] and nearest items."""
    member = (labels[:, :, None] == np.arange(labels.max() + 1)).astype(np.float64)  # draw item group
    own = member * counts[:, :, None]
    off_diagonal = cosines - np.diag(np.diag(cosines))
    sums, squares = off_diagonal @ own, np.square(off_diagonal) @ own
    # An item is no pair with its own copies, so they leave the sizes it is compared with.
    sizes = own.sum(axis=1, keepdims=True) - own
    within, within_squares, n_within = _pairs(own, sums, squares, sizes)
    between, between_squares, n_between = _pairs(counts[:, :, None] - own, sums, squares, sizes)
    hits = ((nearest @ member) * own).sum(axis=(1, 2)) / counts.sum(axis=1)
    # Every pair is counted from both ends; the degrees of freedom are those of distinct pairs.
    freedom = np.maximum((n_within + n_between) / 2 - 2, 1)
    with np.errstate(invalid="ignore", divide="ignore"):
        # Of cosines that are all alike the spread is rounding, and so is the difference.
        spread = np.maximum(np.sqrt((within_squares + between_squares) / 2 / freedom), _EQUAL)
        cohens_d = (within - between) / spread
    silhouette = _silhouette(member, counts, sums, sizes)
    return np.stack([within, between, within - between, cohens_d, silhouette, hits], axis=1)


def _pairs(
    weights: np.ndarray, sums: np.ndarray, squares: np.ndarray, sizes: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Mean, sum of squared deviations and number of the pairs that an item [item] makes with a group [group]: [draw]."""
    number = (weights * sizes).sum(axis=(1, 2))
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = (weights * sums).sum(axis=(1, 2)) / number
    deviations = (weights * squares).sum(axis=(1, 2)) - number * np.square(mean)
    return mean, np.maximum(deviations, 0.0), number


def _silhouette(member: np.ndarray, counts: np.ndarray, sums: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Mean silhouette width [draw]; distances are 1 - cosine."""
    with np.errstate(invalid="ignore", divide="ignore"):
        distance = 1.0 - sums / sizes
    alone = (member * sizes).sum(axis=2) == 0
    near = np.where(member > 0, distance, 0.0).sum(axis=2)
    far = np.where((member > 0) | (sizes == 0), np.inf, distance).min(axis=2)
    with np.errstate(invalid="ignore", divide="ignore"):
        width = (far - near) / np.maximum(near, far)
    width = np.where(alone | ~np.isfinite(width), 0.0, width)
    means: np.ndarray = (width * counts).sum(axis=1) / counts.sum(axis=1)
    return means
