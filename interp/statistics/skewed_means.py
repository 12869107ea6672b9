"""Could a mean over few, skewed values differ from 0 by chance alone?

Flipping signs assumes that v is as likely as -v. On skewed values it rejects far too often: of 50 cells with exponential values
and a mean of 0 some cell passes the 5 % level in half of all experiments with 20 prompts. So a second p-value has to agree: the
larger one of Student's and of Student's corrected for skewness (Hall 1992), each cell's own, adjusted over cells by Holm 1979.
Below `FEWEST_TESTED` values neither holds its level and there is no p-value. `python -m benchmarks.coverage` prints the levels.
"""

from dataclasses import replace

import numpy as np
import scipy.stats
from jaxtyping import Float

from interp.statistics.means import mean_over_prompts
from interp.statistics.sign_flips import Alternative, SignFlipTest, max_statistic_test

FEWEST_TESTED = 20
"""Fewest values of which a test of their mean is made."""


def skewness_corrected_p_values(
    values: Float[np.ndarray, " prompt *cells"], alternative: Alternative = "two-sided"
) -> Float[np.ndarray, "*cells"]:
    """P-values of the mean of every cell by itself: the larger one of Student's and one corrected for skewness (Hall 1992).

    Args:
        values: a number for every prompt and cell, baseline or other condition subtracted; NaN where a prompt has none. A cell
            with the same positive number in every prompt has p = 0 for `greater`.
        alternative: which deviations from 0 count.

    Returns:
        p; NaN below two values.
    """
    if alternative == "two-sided":
        sides = (skewness_corrected_p_values(values, "greater"), skewness_corrected_p_values(values, "less"))
        return np.asarray(np.minimum(1.0, 2 * np.minimum(*sides)))
    values = -values if alternative == "less" else values
    count = (~np.isnan(values)).sum(0)
    mean = mean_over_prompts(values)
    spread = np.sqrt(mean_over_prompts((values - mean) ** 2) * count / np.maximum(count - 1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = mean / spread
        skewness = mean_over_prompts(((values - mean) / spread) ** 3)
        hall = ratio + skewness * ratio**2 / 3 + skewness**2 * ratio**3 / 27 + skewness / (6 * count)
        statistic = np.minimum(ratio, hall) * np.sqrt(count)
        statistic = np.where(spread > 1e-12, statistic, np.sign(np.round(mean, 12)) * np.inf)
    p = scipy.stats.t.sf(np.nan_to_num(statistic, nan=0.0), np.maximum(count - 1, 1))
    return np.where(count >= 2, np.where(np.isnan(statistic), 1.0, p), np.nan)


def skewness_corrected_test(
    values: Float[np.ndarray, " prompt *cells"],
    seed: int,
    permutations: int = 10_000,
    alternative: Alternative = "two-sided",
) -> SignFlipTest:
    """Standardized sums and family-wise p-values of all cells, which sign flips and a correction for skewness agree on.

    Args:
        values: as for `max_statistic_test`.
        seed: of random sign patterns.
        permutations: how many patterns.
        alternative: which deviations from 0 count.

    Returns:
        p: the larger one of the largest statistic's under sign flips (Westfall and Young 1993) and of Holm's adjustment of
        `skewness_corrected_p_values`; NaN in cells of fewer than `FEWEST_TESTED` values.

    Raises:
        ValueError: as for `max_statistic_test`.
    """
    flipped = max_statistic_test(values, seed, permutations, alternative)
    corrected = _holm(skewness_corrected_p_values(values, alternative))
    agreed = np.where(flipped.count >= FEWEST_TESTED, np.maximum(flipped.p_value, corrected), np.nan)
    return replace(flipped, p_value=agreed)


def _holm(p_values: Float[np.ndarray, "*cells"]) -> Float[np.ndarray, "*cells"]:
    """Family-wise p-values (Holm 1979); NaN is no test."""
    flat = p_values.ravel()
    order = np.argsort(flat)  # NaN comes last
    order = order[: (~np.isnan(flat)).sum()]
    adjusted = np.full(flat.shape, np.nan)
    adjusted[order] = np.minimum(1.0, np.maximum.accumulate(flat[order] * np.arange(len(order), 0, -1)))
    return adjusted.reshape(p_values.shape)
