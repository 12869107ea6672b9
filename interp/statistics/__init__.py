"""How sure are we of a mean over prompts, and which of many heads stand out from chance?

The prompt is the unit of evidence: tokens of one prompt are not independent, so every function takes one value per
prompt (leading axis) and cell (head, layer, whatever follows), and resamples or flips whole prompts. One draw of
prompts serves all cells, which keeps cells paired. NaN means that a prompt has no value for a cell: it is left out
there and counted. Infinite values are refused. The seed alone decides a result, to the bit (see `exact`).
"""

from interp.statistics.intervals import (
    LEAST,
    Interval,
    bootstrap_difference,
    bootstrap_mean,
    bootstrap_ratio,
    resampled_means,
)
from interp.statistics.means import mean_over_prompts
from interp.statistics.multiplicity import false_discovery, family_wise_p_values
from interp.statistics.ranks import RankTest, page_trend_test, spearman
from interp.statistics.sign_flips import Alternative, SignFlipTest, max_statistic_test, sign_flip_test

__all__ = [
    "LEAST",
    "Alternative",
    "Interval",
    "RankTest",
    "SignFlipTest",
    "bootstrap_difference",
    "bootstrap_mean",
    "bootstrap_ratio",
    "false_discovery",
    "family_wise_p_values",
    "max_statistic_test",
    "mean_over_prompts",
    "page_trend_test",
    "resampled_means",
    "sign_flip_test",
    "spearman",
]
