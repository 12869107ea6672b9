"""Estimates over layers or steps as a line chart: the model with its interval, the control in gray with its range."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from interp.report.charts import LinePlot, Series

Curve = Any
"""Arrays of one axis, a cell for every place: `point`, `low`, `high`, `control_mean`, `control_low`, `control_high`."""


def estimate_lines(
    curves: Sequence[tuple[str, Curve, str]],
    x_axis: str,
    y_axis: str,
    x_ticks: Sequence[str],
    gap: int | None = None,
) -> LinePlot:
    """One line for each estimate and one for its control.

    Args:
        curves: name of a line, its estimate, name of its control.
        x_axis: what a place is.
        y_axis: what is estimated.
        x_ticks: names of the places.
        gap: the place before which lines are interrupted, such as the first of another stack.
    """

    def at(values: np.ndarray) -> np.ndarray:
        return values if gap is None else np.insert(values.astype(np.float64), gap, np.nan)

    ticks = tuple(x_ticks) if gap is None else (*x_ticks[:gap], "", *x_ticks[gap:])
    places = np.arange(len(ticks), dtype=np.float64)
    lines = [Series(name, places, at(curve.point), at(curve.low), at(curve.high)) for name, curve, _ in curves]
    lines += [
        Series(name, places, at(curve.control_mean), at(curve.control_low), at(curve.control_high), "control")
        for _, curve, name in curves
    ]
    return LinePlot(tuple(lines), x_axis, y_axis, ticks)
