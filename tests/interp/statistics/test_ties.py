"""Numbers that differ by rounding alone count alike: whatever orders or counts them does not see the difference."""

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from interp.statistics import NEAR_TIE, falling_order, largest, merge_ties, shares_of_largest, spearman

ROUNDING = 1e-6


def _shaken(values: np.ndarray, seed: int) -> np.ndarray:
    return values * (1 + ROUNDING * np.random.default_rng(seed).uniform(-1, 1, size=values.shape))


def _tied(seed: int, n_items: int = 30) -> np.ndarray:
    """Numbers of which every other one occurs several times."""
    generator = np.random.default_rng(seed)
    return generator.choice(generator.normal(size=n_items // 2).round(3), size=n_items)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000))
def test_rounding_changes_no_rank_no_order_and_no_largest(seed: int) -> None:
    exact = _tied(seed)
    rounded = _shaken(exact, seed + 1)
    np.testing.assert_array_equal(scipy.stats.rankdata(merge_ties(rounded)), scipy.stats.rankdata(exact))
    np.testing.assert_array_equal(falling_order(rounded), np.argsort(-exact, kind="stable"))
    assert largest(rounded.reshape(5, 6)) == np.unravel_index(exact.argmax(), (5, 6))
    other = _tied(seed + 2)
    assert spearman(rounded, _shaken(other, seed)).statistic == spearman(exact, other).statistic


def test_rows_are_taken_one_by_one_and_what_is_undefined_stays() -> None:
    values = np.array([[1.0, 1.0 + 1e-7, np.nan, 0.5], [1000.0, 1000.001, -np.inf, np.inf]])
    merged = merge_ties(values)
    np.testing.assert_array_equal(merged, [[1.0, 1.0, np.nan, 0.5], [1000.0, 1000.0, -np.inf, np.inf]])
    assert falling_order(values[0]).tolist() == [0, 1, 3, 2]


def test_dense_values_do_not_collapse_into_one() -> None:
    dense = np.linspace(0.0, 1.0, 400_000)
    assert len(np.unique(merge_ties(dense))) == len(dense)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 7))
def test_shares_are_places_given_away_continuously(seed: int, k: int) -> None:
    values = np.random.default_rng(seed).normal(size=(4, 12)).round(1)
    shares = shares_of_largest(values, k)
    np.testing.assert_allclose(shares.sum(axis=1), k)
    assert ((shares >= 0) & (shares <= 1)).all()
    # Equal values have equal shares; values above the k-th have a place for themselves, those below it none.
    last = -np.sort(-values, axis=1)[:, k - 1, None]
    np.testing.assert_array_equal(shares[values > last], 1)
    np.testing.assert_array_equal(shares[values < last], 0)
    at_last = (values == last).sum(axis=1, keepdims=True)
    np.testing.assert_allclose(
        shares, np.where(values == last, (k - (values > last).sum(1, keepdims=True)) / at_last, shares)
    )
    change = np.abs(shares_of_largest(values + 0.01 * NEAR_TIE * np.sign(values), k) - shares).max()
    assert change <= 0.02 + 1e-9


def test_shares_leave_out_what_is_undefined() -> None:
    values = np.array([[np.nan, 0.3, -np.inf, 0.9], [np.nan] * 4])
    np.testing.assert_array_equal(shares_of_largest(values, 1), [[0, 0, 0, 1], [0, 0, 0, 0]])
    np.testing.assert_array_equal(shares_of_largest(values, 3), [[0, 1, 0, 1], [0, 0, 0, 0]])
    np.testing.assert_array_equal(shares_of_largest(values, 9), [[0, 1, 0, 1], [0, 0, 0, 0]])


@pytest.mark.parametrize("k", [1, 3])
def test_the_order_of_items_changes_no_share(k: int) -> None:
    values = np.random.default_rng(0).normal(size=(5, 20)).round(1)
    order = np.random.default_rng(1).permutation(20)
    np.testing.assert_allclose(shares_of_largest(values[:, order], k), shares_of_largest(values, k)[:, order])
