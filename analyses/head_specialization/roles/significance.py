"""Could a score over prompts be above its null by chance, among so many heads and roles?

One-sided t-tests over prompts for every head and criterion, adjusted together by Benjamini and Hochberg 1995; and for the
claim that some head scores above its null at all, sign flips of prompts with the largest statistic over heads.
"""

from collections.abc import Sequence

import numpy as np
import scipy.stats
from jaxtyping import Float

from analyses.head_specialization.criterion import Criterion
from interp.statistics import false_discovery, max_statistic_test, mean_over_prompts

_FLIPS = 2000
_DECIMALS = 5


def adjusted_p_values(criteria: Sequence[Criterion]) -> list[Float[np.ndarray, "layer head"]]:
    """One-sided t-tests of score - null over prompts, adjusted over all heads and criteria (Benjamini and Hochberg 1995).

    A head whose difference is the same positive number in every prompt has p = 0; prompts without a value are left out.
    """
    raw = [np.minimum(_joint(criterion) * criterion.n_candidates, 1.0) for criterion in criteria]
    flat = false_discovery(np.concatenate([values.ravel() for values in raw]))
    sizes = np.cumsum([values.size for values in raw])[:-1]
    return [part.reshape(values.shape) for part, values in zip(np.split(flat, sizes), raw, strict=True)]


def _joint(criterion: Criterion) -> Float[np.ndarray, "layer head"]:
    """The p of the claim about the score, or of both claims: the larger one (intersection-union test)."""
    own = _p_values(_excess(criterion))
    return own if criterion.p_values is None else np.maximum(own, criterion.p_values)


def _excess(criterion: Criterion) -> Float[np.ndarray, "prompt layer head"]:
    """Score - null, without the rounding of float32, which has the same sign in every prompt and would pass for an effect."""
    excess = np.asarray(np.round(criterion.score.astype(np.float64) - criterion.null, _DECIMALS))
    return excess if criterion.eligible is None else np.where(criterion.eligible, excess, np.nan)


def existence_p_value(criterion: Criterion, seed: int) -> float:
    """The family-wise p of the claim that some head's score is above its null: sign flips of prompts, largest statistic.

    The largest statistic over heads respects their correlation (Westfall and Young 1993). NaN if no score is defined.
    """
    difference = _excess(criterion)
    if np.isnan(difference).all():
        return float("nan")
    tested = max_statistic_test(difference, seed, _FLIPS, alternative="greater")
    return float(np.nanmin(tested.p_value))


def _p_values(difference: Float[np.ndarray, "prompt layer head"]) -> Float[np.ndarray, "layer head"]:
    """One-sided p of mean > 0, the larger of Student's and one corrected for skewness (Hall 1992); NaN below two values."""
    count = (~np.isnan(difference)).sum(0)
    mean = mean_over_prompts(difference)
    spread = np.sqrt(mean_over_prompts((difference - mean) ** 2) * count / np.maximum(count - 1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio = mean / spread
        skewness = mean_over_prompts(((difference - mean) / spread) ** 3)
        hall = ratio + skewness * ratio**2 / 3 + skewness**2 * ratio**3 / 27 + skewness / (6 * count)
        statistic = np.minimum(ratio, hall) * np.sqrt(count)
        statistic = np.where(spread > 1e-12, statistic, np.sign(np.round(mean, 12)) * np.inf)
    p = scipy.stats.t.sf(np.nan_to_num(statistic, nan=0.0), np.maximum(count - 1, 1))
    return np.where(count >= 2, np.where(np.isnan(statistic), 1.0, p), np.nan)
