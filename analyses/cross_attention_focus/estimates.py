"""A mean over prompts, how sure it is, and what untrained models give on the same prompts.

Every number of this analysis is one of these: the mean over prompts of a number per prompt, its percentile interval over
resampled prompts, and the same mean for every untrained twin (Adebayo et al. 2018).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Evidence
from interp.statistics import bootstrap_mean, mean_over_prompts


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """Means over prompts, their 95 % intervals, and the range of the untrained twins' means.

    Attributes:
        point: mean over the prompts that have a value; NaN without any.
        low: lower end of the interval.
        high: upper end of the interval.
        twins: the twins' means, one for each seed.
    """

    point: Float[np.ndarray, "*cells"]
    low: Float[np.ndarray, "*cells"]
    high: Float[np.ndarray, "*cells"]
    twins: Float[np.ndarray, " twin *cells"]

    @property
    def twin_mean(self) -> Float[np.ndarray, "*cells"]:
        """Mean over twins."""
        return np.asarray(self.twins.mean(0))

    @property
    def twin_low(self) -> Float[np.ndarray, "*cells"]:
        """The lowest twin."""
        return np.asarray(self.twins.min(0))

    @property
    def twin_high(self) -> Float[np.ndarray, "*cells"]:
        """The highest twin."""
        return np.asarray(self.twins.max(0))

    def at(self, *index: int | slice) -> "Estimate":
        """Some of the cells, indexed as `point` is."""
        return Estimate(
            np.asarray(self.point[index]),
            np.asarray(self.low[index]),
            np.asarray(self.high[index]),
            np.asarray(self.twins[(slice(None), *index)]),
        )


def estimate(
    values: Float[np.ndarray, " prompt *cells"], twins: Sequence[Float[np.ndarray, " prompt *cells"]], seed: int
) -> Estimate:
    """The estimate behind numbers per prompt of the model and of its twins; NaN is "no value" and left out."""
    interval = bootstrap_mean(values, seed)
    means = np.stack([mean_over_prompts(twin) for twin in twins])
    return Estimate(interval.point, interval.low, interval.high, means)


def observed_estimate(evidence: Evidence, name: str) -> Estimate:
    """The estimate of one observed array."""
    twins = [twin.prompts[name] for twin in evidence.twins]
    return estimate(evidence.model.prompts[name], twins, evidence.seed)


def lift(
    mass: Float[np.ndarray, "prompt *cells category"], base_rate: Float[np.ndarray, "prompt category"]
) -> np.ndarray:
    """Mass over base rate of every prompt [prompt *cells category]: 1 is what an even spread gives; NaN without tokens."""
    between = (slice(None), *(None,) * (mass.ndim - 2), slice(None))
    rates = base_rate[between]
    ratio: np.ndarray = np.divide(mass, rates, out=np.full_like(mass, np.nan), where=rates > 0)
    return ratio
