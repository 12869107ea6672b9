"""Numbers as they stand in sentences."""

from types import SimpleNamespace

import numpy as np
import pytest

from interp.report.numbers import (
    between,
    control_range,
    fixed,
    interval,
    number,
    p_value,
    percent,
    signed,
    significant,
    untrained_twins,
    with_interval,
)

NAN = float("nan")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (fixed(0.614), "0.61"),
        (fixed(-0.126), "−0.13"),
        (fixed(-0.004), "0.00"),
        (fixed(NAN), "undefined"),
        (fixed(np.array(2.5), 0), "2"),
        (fixed(np.float32(-1.5), 1), "−1.5"),
        (number(0.614), "0.61"),
        (number(-0.0001), "−1.0e−04"),
        (number(0.0), "0.00"),
        (number(0.0004, 3), "4.00e−04"),
        (number(NAN), "undefined"),
        (significant(0.01234), "0.012"),
        (significant(-0.00001), "−1e−05"),
        (significant(NAN), "undefined"),
        (signed(0.18), "+0.18"),
        (signed(-0.18), "−0.18"),
        (signed(0.001), "0.00"),
        (percent(0.614), "61 %"),
        (percent(-0.02), "−2 %"),
        (between(-0.1, 0.25, 1), "−0.1 to 0.2"),
        (between(NAN, NAN), "undefined"),
        (interval(0.5, -0.004, 0.9), "0.50 [0.00, 0.90]"),
        (interval(0.5, NAN, NAN), "0.50 [no interval]"),
        (interval(NAN, NAN, NAN), "undefined"),
        (p_value(0.0004), "p < 0.001"),
        (p_value(0.0126), "p = 0.013"),
    ],
)
def test_numbers_in_sentences(text: str, expected: str) -> None:
    assert text == expected


def test_estimates_in_sentences() -> None:
    cell = SimpleNamespace(point=0.5, low=np.array(-0.25), high=0.75, control_low=-0.5, control_high=0.125)
    assert with_interval(cell) == "0.50 [−0.25, 0.75]"
    assert with_interval(cell, 1, signed) == "+0.5 [−0.2, +0.8]"
    assert control_range(cell, 3) == "−0.500 to 0.125"
    assert untrained_twins(cell) == "untrained twins −0.50 to 0.12"
    cell.control_low = NAN
    assert untrained_twins(cell) == "no untrained twins in this run"
