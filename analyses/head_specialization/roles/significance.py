"""Could a score over prompts be above its null by chance, among so many heads and roles?

One-sided t-tests over prompts for every head and criterion, adjusted together by Benjamini and Hochberg 1995; and for the
claim that some head scores above its null at all, sign flips of prompts with the largest statistic over heads.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float

from analyses.head_specialization.criterion import Criterion
from interp.statistics import false_discovery, skewness_corrected_p_values, skewness_corrected_test

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
    own = skewness_corrected_p_values(_excess(criterion), "greater")
    return own if criterion.p_values is None else np.maximum(own, criterion.p_values)


def _excess(criterion: Criterion) -> Float[np.ndarray, "prompt layer head"]:
    """Score - null, without the rounding of float32, which has the same sign in every prompt and would pass for an effect."""
    excess = np.asarray(np.round(criterion.score.astype(np.float64) - criterion.null, _DECIMALS))
    return excess if criterion.eligible is None else np.where(criterion.eligible, excess, np.nan)


def existence_p_value(criterion: Criterion, seed: int) -> float:
    """The family-wise p of the claim that some head's score is above its null: sign flips of prompts, largest statistic.

    The largest statistic over heads respects their correlation (Westfall and Young 1993). NaN if no score is defined or fewer
    than `FEWEST_TESTED` texts have one.
    """
    difference = _excess(criterion)
    if np.isnan(difference).all():
        return float("nan")
    p_values = skewness_corrected_test(difference, seed, _FLIPS, alternative="greater").p_value
    return float(np.nanmin(p_values)) if not np.isnan(p_values).all() else float("nan")
