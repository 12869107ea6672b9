"""Estimates: one number for every component, with what is needed to believe it.

A component's number is the mean over prompts of its mean over a prompt's decoder rows. Beside it stand the percentile interval
of 10 000 resamples of prompts, the same number of every untrained twin, and how stable its rank is under resampling.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from interp.statistics import Interval, bootstrap_mean, mean_over_prompts, resampled_means

RESAMPLES = 10_000


@dataclass(frozen=True, slots=True, eq=False)
class Estimate:
    """A quantity of the model with its control.

    Attributes:
        interval: mean over prompts, with a 95 % interval.
        twins: the mean over prompts of every untrained twin; NaN for a run without twins.
    """

    interval: Interval
    twins: Float[np.ndarray, "twin ..."]

    @property
    def point(self) -> Float[np.ndarray, "..."]:
        """The mean over prompts."""
        return self.interval.point

    @property
    def twin_mean(self) -> Float[np.ndarray, "..."]:
        """Mean over twins."""
        return np.asarray(self.twins.mean(0))

    @property
    def outside_twins(self) -> Bool[np.ndarray, "..."]:
        """Whether the whole interval lies outside the range of the twins; false without twins."""
        return np.asarray((self.interval.low > self.twins.max(0)) | (self.interval.high < self.twins.min(0)))

    def columns(self, name: str) -> dict[str, np.ndarray]:
        """The estimate as columns of a table: mean, interval, mean and range of the twins."""
        return {
            name: self.point,
            f"{name}: low": self.interval.low,
            f"{name}: high": self.interval.high,
            f"{name}: twins": self.twin_mean,
            f"{name}: twins low": self.twins.min(0),
            f"{name}: twins high": self.twins.max(0),
        }


def estimate(
    model: Float[np.ndarray, "prompt ..."], twins: Sequence[Float[np.ndarray, "prompt ..."]], seed: int
) -> Estimate:
    """Estimate a quantity from its values per prompt, of the model and of every twin."""
    interval = bootstrap_mean(model, seed, RESAMPLES)
    means = [mean_over_prompts(values) for values in twins]
    return Estimate(interval, np.stack(means) if means else np.full((1, *model.shape[1:]), np.nan))


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """Ranks of components by the size of their mean, 1 being the largest.

    Attributes:
        rank: from all prompts.
        low: 2.5 % percentile over resamples of prompts.
        high: 97.5 % percentile.
    """

    rank: Float[np.ndarray, " component"]
    low: Float[np.ndarray, " component"]
    high: Float[np.ndarray, " component"]


def ranks(values: Float[np.ndarray, "prompt component"], seed: int) -> Ranks:
    """Rank components by |mean over prompts|, with the interval that resampling prompts gives."""
    resampled = _rank(np.abs(resampled_means(values, seed, RESAMPLES)))
    low, high = np.quantile(resampled, [0.025, 0.975], axis=0, method="closest_observation")
    return Ranks(_rank(np.abs(values.mean(0, dtype=np.float64))[None])[0], low, high)


def _rank(sizes: Float[np.ndarray, "draw component"]) -> Float[np.ndarray, "draw component"]:
    order = np.argsort(-sizes, axis=1, kind="stable")
    placed = np.empty_like(sizes)
    np.put_along_axis(placed, order, np.arange(1.0, sizes.shape[1] + 1)[None], axis=1)
    return placed
