"""Numbers as text, the same everywhere: a true minus sign, no negative zero, "undefined" for NaN, intervals in brackets.

Sentences use `fixed` with as many decimals as can be read, `number` where a small value must not print as zero, `significant`
for sizes and p-values that span decades. An estimate is anything with `point`, `low`, `high`, `control_low` and `control_high`.
"""

import math
from collections.abc import Callable, Iterable
from typing import Any, SupportsFloat

Written = Callable[[SupportsFloat, int], str]


Estimated = Any
"""One number each: `point`, `low`, `high`, and `control_low`, `control_high` where the control is written."""


def fixed(value: SupportsFloat, decimals: int = 2) -> str:
    """A number such as `0.61` or `−0.10`.

    Args:
        value: the number.
        decimals: digits behind the point.
    """
    return "undefined" if math.isnan(value) else _typeset(f"{float(value):z.{decimals}f}")


def number(value: SupportsFloat, decimals: int = 2) -> str:
    """The same, but in scientific notation where a number that is not zero would print as zero: `3.0e−04`.

    Args:
        value: the number.
        decimals: digits behind the point.
    """
    vanishes = value != 0 and abs(float(value)) < 0.5 * 10.0**-decimals
    return _typeset(f"{float(value):.{max(decimals - 1, 0)}e}") if vanishes else fixed(value, decimals)


def significant(value: SupportsFloat, digits: int = 2) -> str:
    """A number with so many significant digits, such as `0.013` or `1e−05`.

    Args:
        value: the number.
        digits: significant digits.
    """
    return "undefined" if math.isnan(value) else _typeset(f"{float(value):.{digits}g}")


def signed(value: SupportsFloat, decimals: int = 2) -> str:
    """A change such as `+0.18` or `−0.10`; what rounds to zero has no sign.

    Args:
        value: the number.
        decimals: digits behind the point.
    """
    return ("+" if round(float(value), decimals) > 0 else "") + fixed(value, decimals)


def counted(count: int, noun: str) -> str:
    """A count with its noun: `1 prompt`, `2 prompts`.

    Args:
        count: how many.
        noun: one of them, whose plural has an s.
    """
    return f"{count} {noun}{'' if count == 1 else 's'}"


def percent(share: SupportsFloat) -> str:
    """A share in whole percent, such as `61 %`.

    Args:
        share: from 0 to 1.
    """
    return _typeset(f"{100 * float(share):z.0f} %")


def between(low: SupportsFloat, high: SupportsFloat, decimals: int = 2, write: Written = fixed) -> str:
    """A range such as `0.23 to 0.25`; `undefined` where neither end is a number.

    Args:
        low: the lower end.
        high: the upper end.
        decimals: digits behind the point.
        write: how each number is written.
    """
    if math.isnan(low) and math.isnan(high):
        return write(low, decimals)
    return f"{write(low, decimals)} to {write(high, decimals)}"


def with_interval(estimate: Estimated, decimals: int = 2, write: Written = fixed) -> str:
    """A single estimate with its interval: `0.61 [0.55, 0.66]`.

    Args:
        estimate: a single estimate.
        decimals: digits behind the point.
        write: how each number is written.
    """
    return interval(estimate.point, estimate.low, estimate.high, decimals, write)


def interval(
    point: SupportsFloat, low: SupportsFloat, high: SupportsFloat, decimals: int = 2, write: Written = fixed
) -> str:
    """The same of three numbers; a point that is undefined has no interval.

    Args:
        point: the number itself.
        low: the lower end.
        high: the upper end.
        decimals: digits behind the point.
        write: how each number is written.
    """
    written = write(point, decimals)
    return written if math.isnan(point) else f"{written} {bounds(low, high, decimals, write)}"


def bounds(low: SupportsFloat, high: SupportsFloat, decimals: int = 2, write: Written = fixed) -> str:
    """An interval alone, `[0.55, 0.66]`, or `[no interval]` where there are too few prompts for one.

    Args:
        low: the lower end.
        high: the upper end.
        decimals: digits behind the point.
        write: how each number is written.
    """
    if math.isnan(low) and math.isnan(high):
        return "[no interval]"
    return f"[{write(low, decimals)}, {write(high, decimals)}]"


def control_range(estimate: Estimated, decimals: int = 2, write: Written = fixed) -> str:
    """The lowest and highest control of a single estimate: `0.23 to 0.25`.

    Args:
        estimate: a single estimate.
        decimals: digits behind the point.
        write: how each number is written.
    """
    return between(estimate.control_low, estimate.control_high, decimals, write)


def untrained_twins(estimate: Estimated, decimals: int = 2, write: Written = fixed) -> str:
    """The same in words, also for a run without controls: `untrained twins 0.23 to 0.25`.

    Args:
        estimate: a single estimate.
        decimals: digits behind the point.
        write: how each number is written.
    """
    if math.isnan(estimate.control_low):
        return "no untrained twins in this run"
    return f"untrained twins {control_range(estimate, decimals, write)}"


def p_value(p: float) -> str:
    """A p-value such as `p = 0.013` or `p < 0.001`.

    Args:
        p: the p-value.
    """
    return "p < 0.001" if p < 0.001 else f"p = {fixed(p, 3)}"


def decimals_for(values: Iterable[float]) -> int:
    """Decimals that give the largest of some values three significant digits: 0 to 4, and 0 for whole numbers.

    Args:
        values: the numbers of a column or axis.
    """
    finite = [abs(float(value)) for value in values if math.isfinite(value)]
    largest = max(finite, default=0.0)
    if all(value.is_integer() for value in finite):
        return 0
    return min(max(2 - math.floor(math.log10(largest)), 0), 4)


def print_number(value: float, decimals: int) -> str:
    """A number in a column of a table or chart; what would round to zero but is not zero keeps a digit, such as `0.0003`.

    Args:
        value: the number.
        decimals: digits behind the point.
    """
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    if value != 0.0 and abs(value) < 0.5 * 10.0**-decimals:
        return _typeset(f"{value:.1e}" if abs(value) < 1e-4 else f"{value:.1g}")
    return fixed(value, decimals)


def _typeset(text: str) -> str:
    return text.replace("-", "−")
