"""Wording: numbers as they stand in sentences, always with their interval and their control."""

import math

from analyses.logit_attribution.estimates import Estimate

Cell = int | tuple[int, ...]


def number(value: float, digits: int = 2) -> str:
    """A number with two decimals, or in scientific notation where that would print as zero."""
    if math.isnan(value):
        return "undefined"
    if value != 0 and abs(value) < 0.5 * 10.0**-digits:
        return f"{value:.{max(digits - 1, 0)}e}"
    # Adding zero turns a rounded -0.0 into 0.0.
    return f"{round(value, digits) + 0.0:.{digits}f}"


def percent(value: float) -> str:
    """A share as a percentage."""
    return f"{100 * value:.0f} %"


def interval(estimate: Estimate, cell: Cell) -> str:
    """Mean and interval: `0.61 [0.55, 0.66]`."""
    point, low, high = (float(part[cell]) for part in (estimate.point, estimate.interval.low, estimate.interval.high))
    return f"{number(point)} [{number(low)}, {number(high)}]"


def twin_range(estimate: Estimate, cell: Cell) -> str:
    """What the untrained twins give: `untrained twins -0.02 to 0.03`."""
    low, high = float(estimate.twins.min(0)[cell]), float(estimate.twins.max(0)[cell])
    return "no untrained twins in this run" if math.isnan(low) else f"untrained twins {number(low)} to {number(high)}"
