"""How numbers are written in sentences: two decimals, a true minus sign, the interval in brackets, the control in words."""

import numpy as np

from analyses.cross_attention_focus.estimates import Estimate


def amount(value: float, decimals: int = 2) -> str:
    """A number such as `0.61` or `−0.10`; `undefined` for NaN."""
    if np.isnan(value):
        return "undefined"
    # Adding zero turns -0.0 into 0.0.
    return f"{round(float(value), decimals) + 0.0:.{decimals}f}".replace("-", "−")


def signed(value: float) -> str:
    """A change such as `+0.18` or `−0.10`."""
    return ("+" if round(float(value), 2) > 0 else "") + amount(value)


def between(low: float, high: float, decimals: int = 2) -> str:
    """A range such as `0.23 to 0.25`."""
    return f"{amount(low, decimals)} to {amount(high, decimals)}"


def with_interval(cell: Estimate, decimals: int = 2) -> str:
    """A single estimate such as `0.61 [0.55, 0.66]`."""
    point, low, high = (amount(float(value), decimals) for value in (cell.point, cell.low, cell.high))
    return f"{point} [{low}, {high}]"


def twins_range(cell: Estimate, decimals: int = 2) -> str:
    """The lowest and highest twin of a single estimate."""
    return between(float(cell.twin_low), float(cell.twin_high), decimals)


def p_text(p_value: float) -> str:
    """A p-value such as `p = 0.013` or `p < 0.001`."""
    return "p < 0.001" if p_value < 0.001 else f"p = {p_value:.3f}"
