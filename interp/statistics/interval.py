"""An estimate's confidence bounds, and the values that a quantity can have."""

from dataclasses import dataclass
from types import EllipsisType
from typing import SupportsIndex

import numpy as np
from jaxtyping import Float, Int

Place = SupportsIndex | slice | EllipsisType
Index = Place | tuple[Place, ...]

Support = tuple[float, float]
"""The smallest and the largest value that a quantity can have."""

SHARE, CORRELATION, AMOUNT, REAL = (0.0, 1.0), (-1.0, 1.0), (0.0, np.inf), (-np.inf, np.inf)

LEAST = 6
"""Values below which an interval is the range of the values."""


@dataclass(frozen=True)
class Interval:
    """Point estimates with confidence bounds.

    Attributes:
        point: Estimate from all prompts; NaN without any.
        low: Lower bound, or the smallest value where there are fewer than `LEAST`; NaN for fewer than two.
        high: Upper bound, or the largest value; NaN for fewer than two.
        count: Prompts that have a value.
    """

    point: Float[np.ndarray, "*cells"]
    low: Float[np.ndarray, "*cells"]
    high: Float[np.ndarray, "*cells"]
    count: Int[np.ndarray, "*cells"]

    def __getitem__(self, index: Index) -> "Interval":
        """Some of the cells, indexed as `point` is."""
        return Interval(*(np.asarray(part[index]) for part in (self.point, self.low, self.high, self.count)))

    def within(self, support: Support) -> "Interval":
        """The same with bounds that the quantity can have; a studentized one may lie beyond, and it covers no less without that.

        Args:
            support: the smallest and the largest value; a point that rounding put beyond keeps its bound.
        """
        least, most = (np.asarray(end, dtype=self.point.dtype) for end in support)
        low = np.asarray(np.maximum(self.low, np.minimum(least, self.point)))
        high = np.asarray(np.minimum(self.high, np.maximum(most, self.point)))
        return Interval(self.point, low, high, self.count)
