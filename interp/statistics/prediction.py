"""Where would one more untrained model lie? A model that learnt nothing is one more draw of what its controls are draws of.

To lie outside the range of k controls is no evidence: a further control does so with a probability of 2 / (k + 1), a third if
there are five.
"""

from typing import Any

import numpy as np
import scipy.stats
from jaxtyping import Float


def prediction_interval(
    controls: Float[np.ndarray, " control *cells"], level: float = 0.95
) -> tuple[Float[np.ndarray, "*cells"], Float[np.ndarray, "*cells"]]:
    """Lower and upper end of the interval that holds one more control: mean -/+ t sd sqrt(1 + 1/k) (Hahn and Meeker 1991).

    Endless for fewer than two controls; NaN where one of several is NaN.

    Args:
        controls: the quantity of every control.
        level: share of further controls that the interval holds, if they are normal.
    """
    n = len(controls)
    mean = np.asarray(controls, dtype=np.float64).mean(0)
    if n < 2:
        return np.full(mean.shape, -np.inf), np.full(mean.shape, np.inf)
    reach: Any = scipy.stats.t.ppf((1 + level) / 2, n - 1) * controls.std(0, ddof=1) * np.sqrt(1 + 1 / n)
    return np.asarray(mean - reach), np.asarray(mean + reach)
