"""Do two lists agree in order, and does a quantity rise from layer to layer within prompts?

Rank tests of scipy.stats, with missing values dropped and counted, with NaN, not a warning, where undefined, and with values
that differ by rounding alone taken as tied (`interp.statistics.ties`).
"""

import warnings
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.stats
from jaxtyping import Float

from interp.statistics.interval import Interval
from interp.statistics.intervals import resampled_means
from interp.statistics.means import mean_over_prompts
from interp.statistics.ties import merge_ties


@dataclass(frozen=True)
class RankTest:
    """Statistic and p-value of a rank test, with the observations used and those dropped because of a NaN."""

    statistic: float
    p_value: float
    used: int
    dropped: int


def bootstrap_ranks(values: Float[np.ndarray, "prompt item"], seed: int, resamples: int = 10_000) -> Interval:
    """Rank of every item by the size of its mean over prompts, 1 being the largest, with the 95 % interval of its rank.

    Args:
        values: a number for every prompt and item.
        seed: of the resamples.
        resamples: of the prompts (Efron and Tibshirani 1993).

    Raises:
        ValueError: No prompts, an infinite value, or fewer than one resample.
    """

    def ranks(means: Float[np.ndarray, "draw item"]) -> Float[np.ndarray, "draw item"]:
        order = np.argsort(-merge_ties(np.abs(means)), axis=1, kind="stable")
        placed = np.empty_like(means)
        np.put_along_axis(placed, order, np.arange(1.0, means.shape[1] + 1)[None], axis=1)
        return np.where(np.isnan(means), np.nan, placed)

    draws = ranks(resampled_means(values, seed, resamples))
    with warnings.catch_warnings(
        action="ignore", category=RuntimeWarning
    ):  # of items without any draw, whose bounds are NaN
        low, high = np.nanquantile(draws, [0.025, 0.975], axis=0, method="closest_observation")
    return Interval(ranks(mean_over_prompts(values)[None])[0], low, high, (~np.isnan(values)).sum(axis=0))


def page_trend_test(
    values: Float[np.ndarray, "prompt level"], direction: Literal["increasing", "decreasing"] = "increasing"
) -> RankTest:
    """Page's L and its one-sided p-value: do values rise (or fall) from level to level within prompts (Page 1963)?

    L = Σ level · (sum of the level's within-prompt ranks). Statistic and p-value are NaN for fewer than three levels or fewer
    than two prompts.

    Args:
        values: of every prompt at every level, a layer, say; prompts with a NaN are dropped.
        direction: what is tested.
    """
    complete = merge_ties(values[~np.isnan(values).any(axis=1)])
    used, dropped = len(complete), len(values) - len(complete)
    if used < 2 or values.shape[1] < 3:
        return RankTest(np.nan, np.nan, used, dropped)
    result = scipy.stats.page_trend_test(complete if direction == "increasing" else complete[:, ::-1])
    return RankTest(float(result.statistic), float(result.pvalue), used, dropped)


def spearman(first: Float[np.ndarray, " item"], second: Float[np.ndarray, " item"]) -> RankTest:
    """Spearman's rank correlation of two lists, with the p-value of Student's t for independent items (Spearman 1904).

    Statistic and p-value are NaN for fewer than three pairs or a constant list.

    Args:
        first: one number an item.
        second: another of the same items; pairs with a NaN are dropped.
    """
    paired = ~np.isnan(first) & ~np.isnan(second)
    left, right = merge_ties(first[paired]), merge_ties(second[paired])
    used, dropped = len(left), len(first) - len(left)
    if used < 3 or (left == left[0]).all() or (right == right[0]).all():
        return RankTest(np.nan, np.nan, used, dropped)
    result = scipy.stats.spearmanr(left, right)
    return RankTest(float(result.statistic), float(result.pvalue), used, dropped)
