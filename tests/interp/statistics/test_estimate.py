"""An estimate by hand: three prompts, two cells, two controls."""

import numpy as np
import pytest
import scipy.stats

from interp.statistics import (
    SHARE,
    Interval,
    bootstrap_mean,
    controlled,
    estimate_mean,
    prediction_interval,
    stack_estimates,
)

VALUES = np.array([[1.0, 10.0], [2.0, np.nan], [3.0, 30.0]])
CONTROLS = [np.array([[0.0, 40.0], [2.0, 60.0], [np.nan, np.nan]]), np.full((3, 2), 5.0)]


def test_point_interval_and_controls() -> None:
    found = estimate_mean(VALUES, CONTROLS, seed=3)
    interval = bootstrap_mean(VALUES, 3)
    np.testing.assert_array_equal(found.point, [2, 20])
    np.testing.assert_array_equal(found.low, interval.low)
    np.testing.assert_array_equal(found.high, interval.high)
    np.testing.assert_array_equal(found.interval.count, [3, 2])
    np.testing.assert_array_equal(found.controls, [[1, 50], [5, 5]])
    np.testing.assert_array_equal(found.control_mean, [3, 27.5])
    np.testing.assert_array_equal(found.control_low, [1, 5])
    np.testing.assert_array_equal(found.control_high, [5, 50])


def test_outside_the_controls_is_the_whole_interval() -> None:
    apart = estimate_mean(np.array([[1.0, 1.0, 1.0], [1.0, 1.0, 9.0]]), [np.array([[2.0, 0.5, 3.0]] * 2)] * 2, seed=0)
    assert apart.outside_controls.tolist() == [True, True, False]
    assert apart.above_controls.tolist() == [False, True, True]
    assert not estimate_mean(VALUES, [], seed=0).outside_controls.any()


def test_a_single_control_does_not_tell_what_one_more_may_have() -> None:
    found = controlled(bootstrap_mean(np.full((9, 1), 100.0), 0), [np.zeros(1)])
    assert found.control_bounds[0].tolist() == [-np.inf]
    assert found.control_bounds[1].tolist() == [np.inf]
    assert not found.outside_controls.any()
    assert not found.above_controls.any()


def test_the_prediction_interval_is_that_of_one_more_draw() -> None:
    changes = np.array([0.1, 0.2, 0.4, 0.1, 0.0])
    reach = scipy.stats.t.ppf(0.975, 4) * np.sqrt(changes.var(ddof=1) * (1 + 1 / 5))
    assert prediction_interval(changes) == pytest.approx((changes.mean() - reach, changes.mean() + reach))
    both = prediction_interval(np.stack([changes, 2 * changes], 1))
    np.testing.assert_allclose(both[1], 2 * both[1][0] * np.array([0.5, 1.0]))


@pytest.mark.parametrize("controls", [2, 3, 5, 10])
def test_a_model_that_learnt_nothing_seldom_lies_outside_its_controls(controls: int) -> None:
    """By the range alone, 2 / (k + 1) of them would: two thirds with two twins, a third with five."""
    draws = np.random.default_rng(0).normal(size=(controls + 1, 20_000))
    found = controlled(Interval(draws[0], draws[0], draws[0], np.full(20_000, 9)), list(draws[1:]))
    by_range = ((draws[0] > draws[1:].max(0)) | (draws[0] < draws[1:].min(0))).mean()
    assert by_range == pytest.approx(2 / (controls + 1), abs=0.02)
    assert found.outside_controls.mean() <= 0.055
    shifted = controlled(Interval(draws[0] + 60, draws[0] + 60, draws[0] + 60, np.full(20_000, 9)), list(draws[1:]))
    assert shifted.outside_controls.mean() > 0.9


def test_cells_are_indexed_as_the_point_is() -> None:
    found = estimate_mean(np.arange(24.0).reshape(2, 3, 4), [np.arange(24.0).reshape(2, 3, 4)], seed=0)
    np.testing.assert_array_equal(found[:, 1].controls, found.controls[:, :, 1])
    assert float(found[2, 3].point) == found.point[2, 3] == float(found[2, 3].control_low)
    together = stack_estimates([found[0], found[2]])
    np.testing.assert_array_equal(together.point, found.point[[0, 2]])
    np.testing.assert_array_equal(together.controls, found.controls[:, [0, 2]])


def test_columns_of_a_table() -> None:
    found = estimate_mean(VALUES, CONTROLS, seed=0)
    assert list(found.columns("mass")) == [
        "mass", "mass low", "mass high", "mass twins mean", "mass twins low", "mass twins high",
    ]  # fmt: skip
    assert list(found.columns("mass", prefix="", titles=("l", "h", "m", "a", "b"))) == ["mass", "l", "h", "m", "a", "b"]
    single = found[1].columns("mass")
    assert (single["mass"], single["mass twins mean"]) == (20.0, 27.5)
    assert all(isinstance(value, float) for value in single.values())


def test_a_quantity_without_an_interval_or_controls() -> None:
    found = controlled(3.0, [1.0, 2.0])
    assert float(found.control_mean) == 1.5
    assert np.isnan([found.low, found.high]).all()
    assert np.isnan(controlled(bootstrap_mean(VALUES, 0), []).control_mean).all()
    with pytest.raises(ValueError, match="no prompts"):
        estimate_mean(np.empty((0, 2)), [], seed=0)


def test_an_interval_is_held_to_what_the_quantity_can_be() -> None:
    shares = np.array([[1.0, 0.0], [1.0, 0.0], [0.9, 0.0], [1.0, 0.3], [1.0, 0.0], [0.7, 0.0], [1.0, 0.1]])
    free = bootstrap_mean(shares, 0)
    held = estimate_mean(shares, [], 0, support=SHARE)
    assert free.high[0] > 1
    assert free.low[1] < 0
    assert (held.high[0], held.low[1]) == (1, 0)
    np.testing.assert_array_equal([held.low[0], held.high[1]], [free.low[0], free.high[1]])
    np.testing.assert_array_equal(held.point, free.point)


def test_an_interval_that_is_held_contains_its_point() -> None:
    beyond = Interval(*(np.array([value, np.nan]) for value in (1 + 1e-9, 0.5, 1.2)), np.array([7, 0]))
    held = beyond.within(SHARE)
    np.testing.assert_array_equal(held.high, [1 + 1e-9, np.nan])
    np.testing.assert_array_equal(held.low, [0.5, np.nan])
