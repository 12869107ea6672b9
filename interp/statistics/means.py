"""Means over the prompts that have a value."""

import numpy as np
from jaxtyping import Float


def mean_over_prompts(values: Float[np.ndarray, " prompt *cells"]) -> Float[np.ndarray, "*cells"]:
    """Mean over prompts that have a value, in double precision; NaN where none has.

    Args:
        values: NaN where a prompt has no value.
    """
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0.0).sum(0, dtype=np.float64)
    count = defined.sum(0)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
