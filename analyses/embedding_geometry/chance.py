"""What does shuffling give, when every space is looked at?

Each space's statistic is standardised by its own null, so that a space with a wide null does not set the bar for all, and
compared with the largest of all spaces in every shuffling (Westfall and Young 1993): looking at every layer is paid for.
"""

import numpy as np
from jaxtyping import Float

from interp.statistics import family_wise_p_values


def p_values_over_spaces(
    observed: Float[np.ndarray, " space"], null: Float[np.ndarray, "draw space"]
) -> Float[np.ndarray, " space"]:
    """Family-wise p-values against "larger"; NaN for a space without spread in its null."""
    spread = null.std(axis=0)
    scale = np.divide(1.0, spread, out=np.zeros_like(spread), where=spread > 1e-9)
    maxima = ((null - null.mean(axis=0)) * scale).max(axis=1)
    scores = np.where(scale > 0, (observed - null.mean(axis=0)) * scale, np.nan)
    return family_wise_p_values(scores, maxima)
