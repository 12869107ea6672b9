"""Many heads were looked at: which of them still stand out?

For the claim that some head exists, the family-wise p-value from the largest statistic of a draw; for a list of heads,
the false discovery rate. The family is every head and every role in one table.
"""

from typing import Literal

import numpy as np
import scipy.stats
from jaxtyping import Float

_EQUAL = 1e-9


def family_wise_p_values(
    observed: Float[np.ndarray, "*cells"], maxima: Float[np.ndarray, " permutation"]
) -> Float[np.ndarray, "*cells"]:
    """Family-wise p = (1 + #{maxima ≥ observed}) / (1 + R) (Westfall and Young 1993).

    Args:
        observed: statistics of which large ones are extreme, all on one scale; NaN stays NaN.
        maxima: the largest statistic of each of R draws from a null; what differs by rounding alone is equal.

    Raises:
        ValueError: There are no draws, or one of them is NaN.
    """
    if len(maxima) == 0 or np.isnan(maxima).any():
        raise ValueError(
            f"The null has {len(maxima)} draws, {int(np.isnan(maxima).sum())} of them NaN; give at least one, none NaN."
        )
    below = np.searchsorted(np.sort(maxima), observed - _EQUAL * np.maximum(1.0, np.abs(observed)), side="left")
    return np.where(np.isnan(observed), np.nan, (1 + len(maxima) - below) / (1 + len(maxima)))


def max_statistic_p_values(
    observed: Float[np.ndarray, " cell"], null: Float[np.ndarray, "draw cell"]
) -> Float[np.ndarray, " cell"]:
    """Family-wise p-values of statistics that have unequal nulls (Westfall and Young 1993).

    Each cell is standardized by its own null, so that one with a wide null does not set the bar for all.

    Args:
        observed: statistics of which large ones are extreme.
        null: the same of every draw; a cell without spread has no p-value (NaN).

    Raises:
        ValueError: There are no draws.
    """
    spread = null.std(axis=0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > _EQUAL)
    maxima = ((null - null.mean(axis=0)) * scale).max(axis=1)
    return family_wise_p_values(np.where(scale > 0, (observed - null.mean(axis=0)) * scale, np.nan), maxima)


def false_discovery(
    p_values: Float[np.ndarray, "*cells"], method: Literal["bh", "by"] = "bh"
) -> Float[np.ndarray, "*cells"]:
    """Adjusted p-values: those at most q form a list with an expected share of at most q false discoveries.

    "bh" is Benjamini and Hochberg 1995, for independent or positively dependent tests; "by" is Benjamini and Yekutieli
    2001, for any dependence.

    Args:
        p_values: of every cell; NaN stays NaN and does not count as a test.
        method: how dependence is treated.

    Raises:
        ValueError: A p-value lies outside [0, 1].
    """
    adjusted = np.full(p_values.shape, np.nan)
    tested = ~np.isnan(p_values)
    if not tested.any():
        return adjusted
    lowest, highest = p_values[tested].min(), p_values[tested].max()
    if lowest < 0 or highest > 1:
        raise ValueError(f"p-values run from {lowest:g} to {highest:g}; they must lie between 0 and 1.")
    adjusted[tested] = scipy.stats.false_discovery_control(p_values[tested], method=method)
    return adjusted
