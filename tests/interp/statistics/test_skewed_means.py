"""Tests of means of few, skewed values: they hold their level where sign flips alone do not, and find what was planted."""

import numpy as np
import pytest
import scipy.stats

from interp.statistics import FEWEST_TESTED, max_statistic_test, skewness_corrected_p_values, skewness_corrected_test

CELLS = 30


def families(size: int, count: int = 40) -> list[np.ndarray]:
    """Families of exponential cells with a mean of 0."""
    return [np.random.default_rng([seed, size]).exponential(size=(size, CELLS)) - 1 for seed in range(count)]


def test_skewed_cells_without_an_effect_pass_seldom_and_under_sign_flips_alone_often() -> None:
    samples = families(32)
    flipped = np.mean([max_statistic_test(values, 0, 199).p_value.min() <= 0.05 for values in samples])
    corrected = np.mean([skewness_corrected_test(values, 0, 199).p_value.min() <= 0.05 for values in samples])
    assert corrected <= 0.15 < flipped / 2


def test_planted_means_are_found() -> None:
    values = families(32, 1)[0]
    values[:, 3] += 1.5
    values[:, 7] -= 1.5
    p_values = skewness_corrected_test(values, 0, 499).p_value
    assert set(np.flatnonzero(p_values <= 0.05)) == {3, 7}


def test_few_values_are_not_tested() -> None:
    values = np.random.default_rng(0).normal(5, 1, (FEWEST_TESTED, 2))
    values[0, 0] = np.nan
    p_values = skewness_corrected_test(values, 0, 199).p_value
    assert np.isnan(p_values[0])
    assert p_values[1] <= 0.05


def test_p_values_are_the_larger_of_student_and_hall() -> None:
    values = np.random.default_rng(1).lognormal(size=(25, 6)) - 1
    count, mean, spread = len(values), values.mean(0), values.std(0, ddof=1)
    ratio, skewness = mean / spread, (((values - mean) / spread) ** 3).mean(0)
    hall = ratio + skewness * ratio**2 / 3 + skewness**2 * ratio**3 / 27 + skewness / (6 * count)
    both = np.stack([ratio, hall]) * count**0.5
    greater, less = (scipy.stats.t.sf(sign * both, count - 1).max(0) for sign in (1, -1))
    np.testing.assert_allclose(skewness_corrected_p_values(values, "greater"), greater)
    np.testing.assert_allclose(skewness_corrected_p_values(values, "less"), less)
    np.testing.assert_allclose(skewness_corrected_p_values(values), np.minimum(1, 2 * np.minimum(greater, less)))


@pytest.mark.parametrize("alternative", ["greater", "less", "two-sided"])
def test_adjusted_by_holm(alternative: str) -> None:
    values = np.random.default_rng(2).normal([0, 0.4, 1.0, -0.7], size=(40, 4))
    own = skewness_corrected_p_values(values, alternative)
    order = np.argsort(own)
    wanted, most = np.empty(4), 0.0
    for place, cell in enumerate(order):
        most = max(most, min(1.0, own[cell] * (4 - place)))
        wanted[cell] = most
    got = skewness_corrected_test(values, 0, 9_999, alternative).p_value
    flips = max_statistic_test(values, 0, 9_999, alternative).p_value
    np.testing.assert_allclose(got, np.maximum(flips, wanted))
