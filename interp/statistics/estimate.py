"""One quantity with what is needed to believe it: its mean over prompts, an interval, and what controls give.

The controls are models that cannot have learned anything, untrained twins (Adebayo et al. 2018), on the same prompts. Whatever
else an estimate should carry (another interval, controls of another kind) belongs here.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float

from interp.report.framed import Framed
from interp.statistics.interval import REAL, Index, Interval, Support
from interp.statistics.intervals import bootstrap_mean
from interp.statistics.means import mean_over_prompts
from interp.statistics.prediction import prediction_interval

if TYPE_CHECKING:
    import pandas as pd

TITLES = ("low", "high", "twins mean", "twins low", "twins high")
"""What columns of a table call the interval and the controls; see `Estimate.columns`."""


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Estimate(Framed):
    """A quantity of a model in every cell (layer, head, whatever follows), with its control.

    Attributes:
        interval: the quantity, with a 95 % interval.
        controls: the same quantity of every control; NaN in a run without any.
    """

    interval: Interval
    controls: Float[np.ndarray, " control *cells"]

    @property
    def point(self) -> Float[np.ndarray, "*cells"]:
        """The quantity itself."""
        return self.interval.point

    @property
    def low(self) -> Float[np.ndarray, "*cells"]:
        """Lower end of the interval."""
        return self.interval.low

    @property
    def high(self) -> Float[np.ndarray, "*cells"]:
        """Upper end of the interval."""
        return self.interval.high

    @property
    def control_mean(self) -> Float[np.ndarray, "*cells"]:
        """Mean over controls."""
        return np.asarray(self.controls.mean(0))

    @property
    def control_low(self) -> Float[np.ndarray, "*cells"]:
        """The lowest control."""
        return np.asarray(self.controls.min(0))

    @property
    def control_high(self) -> Float[np.ndarray, "*cells"]:
        """The highest control."""
        return np.asarray(self.controls.max(0))

    @property
    def control_bounds(self) -> tuple[Float[np.ndarray, "*cells"], Float[np.ndarray, "*cells"]]:
        """Lowest and highest value that one more control may have: the range of the controls and their prediction interval.

        Endless for a single control, NaN without any (Hahn and Meeker 1991).
        """
        low, high = prediction_interval(self.controls)
        return np.asarray(np.minimum(low, self.control_low)), np.asarray(np.maximum(high, self.control_high))

    @property
    def above_controls(self) -> Bool[np.ndarray, "*cells"]:
        """Whether the point lies above whatever one more control may have; false for fewer than two controls."""
        return np.asarray(self.point > self.control_bounds[1])

    @property
    def outside_controls(self) -> Bool[np.ndarray, "*cells"]:
        """Whether the whole interval lies outside whatever one more control may have; false for fewer than two controls."""
        low, high = self.control_bounds
        return np.asarray((self.low > high) | (self.high < low))

    def __getitem__(self, index: Index) -> "Estimate":
        """Some of the cells, indexed as `point` is."""
        places = index if isinstance(index, tuple) else (index,)
        return Estimate(self.interval[index], np.asarray(self.controls[(slice(None), *places)]))

    def to_frame(self) -> "pd.DataFrame":
        """One row a cell, its place in columns `cell 0`, `cell 1`, ...; in the unit of the quantity."""
        import pandas as pd

        places = np.indices(self.point.shape).reshape(self.point.ndim, self.point.size)
        flat = {name: np.ravel(part) for name, part in self.columns("point", "").items()}
        return pd.DataFrame({f"cell {axis}": place for axis, place in enumerate(places)} | flat)

    def columns(self, name: str, prefix: str | None = None, titles: Sequence[str] = TITLES) -> dict[str, Any]:
        """The estimate as columns of a table: floats for a single cell, arrays for several.

        Args:
            name: title of the column of points.
            prefix: what precedes the other five titles; by default the name and a blank.
            titles: of interval and controls, in the order of `TITLES`.
        """
        parts = (self.low, self.high, self.control_mean, self.control_low, self.control_high)
        before = f"{name} " if prefix is None else prefix
        named = {name: self.point} | {f"{before}{title}": part for title, part in zip(titles, parts, strict=True)}
        return {title: part if part.ndim else part.item() for title, part in named.items()}


def estimate_mean(
    values: Float[np.ndarray, " prompt *cells"],
    controls: Sequence[Float[np.ndarray, " prompt *cells"]],
    seed: int,
    resamples: int = 10_000,
    support: Support = REAL,
) -> Estimate:
    """Mean over prompts with its bootstrap interval and the means of the controls (Efron and Tibshirani 1993).

    Args:
        values: a number for every prompt; NaN is "no value" and left out.
        controls: the same of every control, on the same prompts.
        seed: of the resamples.
        resamples: of the prompts.
        support: the smallest and the largest value that the quantity can have; the interval is held to it.

    Raises:
        ValueError: No prompts, an infinite value, or fewer than one resample.
    """
    means = [mean_over_prompts(control) for control in controls]
    return controlled(bootstrap_mean(values, seed, resamples).within(support), means)


def controlled(
    quantity: Interval | Float[np.ndarray, "*cells"] | float,
    controls: Sequence[Float[np.ndarray, "*cells"]] | Sequence[float],
) -> Estimate:
    """A quantity that is no plain mean over prompts, beside the same quantity of every control.

    Args:
        quantity: with its interval, or without one, which leaves the bounds undefined (NaN).
        controls: of every control.
    """
    if not isinstance(quantity, Interval):
        point = np.asarray(quantity, dtype=np.float64)
        unknown = np.full(point.shape, np.nan)
        quantity = Interval(point, unknown, unknown, np.ones(point.shape, dtype=np.int64))
    missing = np.full((1, *quantity.point.shape), np.nan)
    return Estimate(quantity, np.stack([np.asarray(one) for one in controls]) if len(controls) else missing)


def stack_estimates(estimates: Sequence[Estimate]) -> Estimate:
    """Several estimates as one with a leading axis of cells.

    Args:
        estimates: of equal shape and with equally many controls.
    """
    parts = ([getattr(one.interval, name) for one in estimates] for name in ("point", "low", "high", "count"))
    return Estimate(Interval(*map(np.stack, parts)), np.stack([one.controls for one in estimates], axis=1))
