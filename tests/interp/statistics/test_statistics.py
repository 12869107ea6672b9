"""Intervals and tests agree with scipy, with exact enumeration and with their own promises."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from benchmarks.coverage import coverage
from interp import statistics
from interp.statistics import intervals, resample_weights, sign_flips
from interp.statistics.change_points import changes_of
from interp.statistics.exact import whole_numbers

NAN = math.nan


def normal(shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def same(first, second):
    """Two results agree to the bit."""
    for name, value in dataclasses.asdict(first).items():
        np.testing.assert_array_equal(value, getattr(second, name), err_msg=name)


# Exact sums


@settings(max_examples=60)
@given(
    arrays.arrays(np.float64, (7, 2), elements=st.floats(-1e300, 1e300)),
    st.permutations(range(7)),
    st.lists(st.integers(-3, 3), min_size=7, max_size=7),
)
def test_sums_of_whole_numbers_are_exact_in_any_order(values, order, weights):
    whole, exponent = whole_numbers(values)
    weights = np.array(weights, dtype=np.float64)
    weights[np.cumsum(np.abs(weights)) > 7] = 0.0
    permuted = weights[order] @ whole[order]
    for cell in range(2):
        exact = sum(int(weight) * int(value) for weight, value in zip(weights, whole[:, cell], strict=True))
        assert int(permuted[cell]) == exact
        assert abs(exact) < 2**53
    largest = np.abs(values).max(axis=0)
    assert (np.abs(np.ldexp(whole, exponent) - values) <= 7 * 2.0**-50 * largest).all()


# Bootstrap


def plain_bootstrap_t(top, bottom, draws, level=0.95):
    """The interval of a ratio of means in plain loops: influence values, half a pseudo-observation, quantiles of t."""
    ratio, n = top.sum() / bottom.sum(), len(top)
    variance = np.mean(((top - ratio * bottom) / bottom.mean()) ** 2)
    studentised = []
    for draw in draws:
        a, b = top[draw], bottom[draw]
        other = a.sum() / b.sum()
        spread = np.mean(((a - other * b) / b.mean()) ** 2)
        studentised.append((other - ratio) * math.sqrt(n) / math.sqrt((n * spread + 0.5 * variance) / (n + 0.5)))
    high, low = np.quantile(studentised, [(1 - level) / 2, (1 + level) / 2])
    error = math.sqrt(variance / (n - 1))
    return ratio - low * error, ratio - high * error


def test_intervals_are_bootstrap_t_in_plain_loops():
    # The draws of one generator in order, as `intervals` takes them.
    draws = np.random.default_rng(1).integers(9, size=(700, 9))
    generator = np.random.default_rng(5)
    top, bottom = generator.exponential(size=9), generator.uniform(1, 3, size=9)
    for below in (np.ones(9), bottom):
        interval = statistics.bootstrap_ratio(top, below, seed=1, resamples=700)
        np.testing.assert_allclose((interval.low, interval.high), plain_bootstrap_t(top, below, draws), rtol=1e-10)


def test_two_prompts_give_the_exact_distribution():
    # Means of resamples of (0, 1): 0, ½, ½, 1, each with probability ¼.
    draws = statistics.resampled_means(np.array([0.0, 1.0]), seed=0, resamples=40_000)
    np.testing.assert_allclose([(draws == mean).mean() for mean in (0.0, 0.5, 1.0)], [0.25, 0.5, 0.25], atol=0.01)


@pytest.mark.parametrize("count", [2, 5])
def test_few_values_have_their_range(count):
    values = normal((count, 3))
    interval = statistics.bootstrap_mean(values, seed=0)
    np.testing.assert_array_equal(interval.low, values.min(0))
    np.testing.assert_array_equal(interval.high, values.max(0))
    holes = np.concatenate([values, np.full((8, 3), NAN)])
    np.testing.assert_array_equal(statistics.bootstrap_mean(holes, seed=0).high, values.max(0))


def test_a_single_odd_value_leaves_the_interval_finite_and_open_to_its_side():
    values = np.zeros(64)
    values[3] = 1.0
    interval = statistics.bootstrap_mean(values, seed=0)
    assert interval.low <= 0.0 < interval.point < 0.05 < interval.high < 0.3


@pytest.mark.slow
@pytest.mark.parametrize(
    ("size", "name", "least"), [(8, "normal", 0.92), (8, "exponential", 0.92), (20, "lognormal", 0.90)]
)
def test_few_skewed_prompts_are_covered(size, name, least):
    assert coverage(name, size, seed=11) >= least


def test_resampled_means_are_means_of_whole_prompts_shared_by_all_cells():
    values = np.eye(6)
    draws = statistics.resampled_means(values, seed=0, resamples=500) * 6
    np.testing.assert_allclose(draws, np.rint(draws), atol=1e-12)
    np.testing.assert_allclose(draws.sum(axis=1), 6)
    # Counts of one prompt are binomial(6, 1/6).
    np.testing.assert_allclose(draws.var(), 6 * (1 / 6) * (5 / 6), rtol=0.1)


def test_of_one_prompt_nothing_is_known_of_others():
    values = np.array([[1.0, 2.0, NAN], [NAN, 3.0, NAN], [NAN, 5.0, 4.0]])
    draws = statistics.resampled_means(values, seed=0, resamples=50)
    assert np.isnan(draws).all(0).tolist() == [True, False, True]
    ranked = statistics.bootstrap_ranks(values[:1, :2], seed=0, resamples=50)
    np.testing.assert_array_equal(ranked.point, [2.0, 1.0])
    assert np.isnan([ranked.low, ranked.high]).all()
    single = changes_of(np.array([[0.0, 0.1, 0.0, 5.0, 5.1, 5.0, 5.1]]), seed=0)
    assert (single.main.place, single.main.low, single.main.high) == (3, 1, 6)


def test_interval_covers_the_mean_about_as_often_as_it_says():
    # 1000 experiments as 1000 cells of 40 independent prompts.
    interval = statistics.bootstrap_mean(normal((40, 1000), seed=3), seed=0, resamples=1000, level=0.9)
    coverage = ((interval.low <= 0) & (interval.high >= 0)).mean()
    assert 0.86 < coverage < 0.92


@pytest.mark.parametrize(("block", "chunk"), [(1, 1), (64, 4000), (10**7, 10**9)])
def test_size_of_blocks_and_chunks_changes_no_bit(monkeypatch, block, chunk):
    values = normal((13, 7)).astype(np.float32)
    values[2, 3] = NAN
    expected = statistics.bootstrap_mean(values, seed=4, resamples=300)
    monkeypatch.setattr(resample_weights, "_BLOCK", block)
    monkeypatch.setattr(resample_weights, "_KEPT", 0)  # else blocks of the first call would be kept
    monkeypatch.setattr(intervals, "_CHUNK", chunk)
    same(statistics.bootstrap_mean(values, seed=4, resamples=300), expected)


def test_a_cell_does_not_depend_on_its_neighbors_nor_on_memory_order():
    values = normal((30, 4, 5))
    together = statistics.bootstrap_mean(values, seed=2, resamples=500)
    alone = statistics.bootstrap_mean(np.asfortranarray(values)[:, 1, 3], seed=2, resamples=500)
    assert together.low[1, 3] == alone.low
    assert together.high[1, 3] == alone.high
    assert together.point[1, 3] == alone.point
    assert alone.low.shape == ()


def test_seed_decides_and_only_the_seed():
    values = normal((20, 2))
    same(statistics.bootstrap_mean(values, seed=7), statistics.bootstrap_mean(values, seed=7))
    assert (statistics.bootstrap_mean(values, seed=8).low != statistics.bootstrap_mean(values, seed=7).low).all()


@given(st.floats(-1e6, 1e6, width=32), st.integers(2, 20))
def test_equal_values_have_an_interval_without_width(value, n_prompts):
    interval = statistics.bootstrap_mean(np.full((n_prompts,), value, dtype=np.float32), seed=0, resamples=50)
    assert interval.low == interval.high == interval.point == value


def test_missing_values_carry_no_weight_and_are_counted():
    values = normal((12, 5))
    values[[0, 4, 7], 1] = NAN
    values[1:, 2] = NAN
    values[2:, 3] = NAN
    values[:, 4] = NAN
    interval = statistics.bootstrap_mean(values, seed=0, resamples=4000)
    assert interval.count.tolist() == [12, 9, 1, 2, 0]
    np.testing.assert_allclose(interval.point[:4], np.nanmean(values[:, :4], axis=0), rtol=1e-13)
    assert np.isnan(interval.point[4])
    assert np.isnan(interval.low).tolist() == np.isnan(interval.high).tolist() == [False, False, True, False, True]
    np.testing.assert_allclose(interval.low[3], values[:2, 3].min(), rtol=1e-13)
    alone = statistics.bootstrap_mean(values[~np.isnan(values[:, 1]), 1], seed=0, resamples=4000)
    np.testing.assert_allclose([interval.low[1], interval.high[1]], [alone.low, alone.high], atol=0.1)


def test_ratio_is_a_ratio_of_means_and_agrees_with_scipy():
    numerators, denominators = normal(60) + 2.0, normal(60, seed=1) * 0.3 + 4.0
    ours = statistics.bootstrap_ratio(numerators, denominators, seed=0, resamples=20_000)
    theirs = scipy.stats.bootstrap(
        (numerators, denominators),
        lambda top, bottom, axis: top.mean(axis) / bottom.mean(axis),
        paired=True,
        vectorized=True,
        n_resamples=20_000,
        method="percentile",
        rng=np.random.default_rng(3),
    ).confidence_interval
    np.testing.assert_allclose(ours.point, numerators.sum() / denominators.sum(), rtol=1e-13)
    np.testing.assert_allclose([ours.low, ours.high], [theirs.low, theirs.high], atol=0.005)


def test_ratio_needs_both_values_and_leaves_out_empty_resamples():
    numerators = np.array([1.0, 2.0, NAN, 4.0])
    denominators = np.array([1.0, NAN, 1.0, 0.0])
    interval = statistics.bootstrap_ratio(numerators, denominators, seed=0, resamples=2000)
    assert interval.count == 2
    assert interval.point == 5.0
    assert np.isfinite([interval.low, interval.high]).all()
    zero = statistics.bootstrap_ratio(np.ones(3), np.zeros(3), seed=0, resamples=50)
    assert np.isnan([zero.point, zero.low, zero.high]).all()


def test_difference_is_paired():
    common = normal((50, 2)) * 100
    first, second = common + 1.0 + normal((50, 2), seed=1) * 0.01, common
    interval = statistics.bootstrap_difference(first, second, seed=0)
    assert ((interval.low > 0.99) & (interval.high < 1.01)).all()
    same(interval, statistics.bootstrap_mean(first - second, seed=0))


def test_inputs_that_make_no_sense_are_refused():
    values = np.ones((4, 2))
    with pytest.raises(ValueError, match=r"Confidence level is 95\.0; it must lie between 0 and 1, such"):
        statistics.bootstrap_mean(values, seed=0, level=95.0)
    for function in (statistics.bootstrap_mean, statistics.resampled_means, statistics.sign_flip_test):
        with pytest.raises(ValueError, match="Number of draws is 0; it must be 1 or more"):
            function(values, 0, 0)
        with pytest.raises(ValueError, match="There are no prompts"):
            function(np.ones((0, 2)), 0)
        with pytest.raises(ValueError, match=r"Prompt 2 \(counted from 0\) has an infinite value"):
            function(np.where(np.arange(4)[:, None] == 2, -np.inf, values), 0)
    with pytest.raises(ValueError, match=r"Prompt 0 .* has an infinite value"):
        statistics.bootstrap_difference(values * np.inf, values * np.inf, seed=0)
    with pytest.raises(ValueError, match=r"Shapes \(4, 2\) and \(4, 1\) differ; give both quantities for the same"):
        intervals._check_shapes(values, values[:, :1])


# Sign flips


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
def test_few_prompts_give_the_exact_p_value(alternative):
    values = normal((8, 3)) + 0.4
    ours = statistics.sign_flip_test(values, seed=0, permutations=255, alternative=alternative)
    assert ours.exact
    assert ours.permutations == 255
    theirs = scipy.stats.permutation_test(
        (values,), np.mean, permutation_type="samples", axis=0, alternative=alternative, vectorized=True
    )
    np.testing.assert_allclose(ours.statistic, theirs.statistic, rtol=1e-13)
    if alternative != "two-sided":
        np.testing.assert_allclose(ours.p_value, theirs.pvalue, rtol=1e-13)
    extreme = {"two-sided": np.abs, "greater": np.positive, "less": np.negative}[alternative]
    flips = np.array(list(itertools.product([1, -1], repeat=8)))
    null, observed = extreme(flips @ values / 8), extreme(values.mean(axis=0))
    np.testing.assert_allclose(ours.p_value, (null >= observed - 1e-12).mean(axis=0), rtol=1e-13)


def test_many_prompts_agree_with_scipy_within_sampling_error():
    values = normal((50, 2)) + np.array([0.1, 0.35])
    ours = statistics.sign_flip_test(values, seed=0, permutations=20_000, alternative="greater")
    assert not ours.exact
    theirs = scipy.stats.permutation_test(
        (values,),
        np.mean,
        permutation_type="samples",
        axis=0,
        alternative="greater",
        vectorized=True,
        n_resamples=20_000,
        rng=np.random.default_rng(1),
    )
    np.testing.assert_allclose(ours.p_value, theirs.pvalue, atol=0.015)


def test_one_prompt_proves_nothing_and_equal_signs_prove_two_in_two_to_the_n():
    assert statistics.sign_flip_test(np.array([3.0]), seed=0).p_value == 1.0
    result = statistics.sign_flip_test(np.full(6, 0.1, dtype=np.float32), seed=0)
    assert result.p_value == 2 / 64
    assert statistics.sign_flip_test(np.zeros(5), seed=0).p_value == 1.0


def test_p_value_is_never_zero():
    result = statistics.sign_flip_test(np.full(40, 1.0), seed=0, permutations=99)
    assert result.p_value == 1 / 100


def test_missing_prompts_leave_the_test_as_if_they_were_not_there():
    values = np.array([[0.3, NAN], [0.5, NAN], [-0.1, NAN], [0.9, NAN], [0.2, NAN], [NAN, NAN], [NAN, NAN]])
    for test in (statistics.sign_flip_test, statistics.max_statistic_test):
        result = test(values, 0)
        alone = test(values[:5, :1], 0)
        assert result.count.tolist() == [5, 0]
        assert result.p_value[0] == alone.p_value[0]
        np.testing.assert_allclose(result.statistic[0], alone.statistic[0], rtol=1e-13)
        assert np.isnan([result.p_value[1], result.statistic[1]]).all()


@pytest.mark.parametrize("block", [1, 100, 10**7])
@pytest.mark.parametrize("permutations", [300, 5000])
def test_size_of_sign_blocks_changes_no_bit(monkeypatch, block, permutations):
    values = normal((12, 3)) + 0.2
    expected = [test(values, 3, permutations) for test in (statistics.sign_flip_test, statistics.max_statistic_test)]
    monkeypatch.setattr(sign_flips, "_BLOCK", block)
    same(statistics.sign_flip_test(values, 3, permutations), expected[0])
    same(statistics.max_statistic_test(values, 3, permutations), expected[1])


# Many cells


def test_max_statistic_by_enumeration():
    values = normal((6, 4)) * np.array([1.0, 10.0, 0.1, 1.0]) + np.array([1.5, 1.0, 0.0, -0.5])
    result = statistics.max_statistic_test(values, seed=0)
    assert result.exact
    flips = np.array(list(itertools.product([1, -1], repeat=6)))
    length = np.sqrt((values**2).sum(axis=0))
    null = np.abs(flips @ values / length).max(axis=1)
    observed = values.sum(axis=0) / length
    np.testing.assert_allclose(result.statistic, observed, rtol=1e-12)
    expected = [(null >= abs(each) - 1e-12).mean() for each in observed]
    np.testing.assert_allclose(result.p_value, expected, rtol=1e-12)


def test_family_wise_p_values_are_at_least_those_of_single_cells():
    values = normal((9, 20)) + 0.3
    family = statistics.max_statistic_test(values, seed=0).p_value
    assert (family >= statistics.sign_flip_test(values, seed=0).p_value).all()
    order = np.argsort(-np.abs(statistics.max_statistic_test(values, seed=0).statistic))
    assert (np.diff(family[order]) >= 0).all()


def test_family_of_one_cell_is_the_single_test():
    values = normal((9, 1)) + 0.5
    family, single = (test(values, 0).p_value for test in (statistics.max_statistic_test, statistics.sign_flip_test))
    np.testing.assert_array_equal(family, single)


def test_family_wise_error_is_controlled_and_single_tests_are_not():
    false_family, false_single, experiments = 0, 0, 300
    for seed in range(experiments):
        values = normal((16, 12), seed=seed)
        false_family += statistics.max_statistic_test(values, seed=0, permutations=199).p_value.min() <= 0.1
        false_single += statistics.sign_flip_test(values, seed=0, permutations=199).p_value.min() <= 0.1
    assert 0.05 < false_family / experiments < 0.16
    assert false_single / experiments > 0.5


def test_planted_head_is_found_among_noise():
    values = normal((40, 10, 8))
    values[:, 3, 5] += 1.0
    p_value = statistics.max_statistic_test(values, seed=0, permutations=999, alternative="greater").p_value
    assert np.argwhere(p_value <= 0.05).tolist() == [[3, 5]]


def test_family_wise_p_values_by_hand():
    p_values = statistics.family_wise_p_values(np.array([[0.5, 2.0], [3.5, NAN]]), np.array([1.0, 2.0, 3.0]))
    np.testing.assert_array_equal(p_values, [[1.0, 0.75], [0.25, NAN]])
    with pytest.raises(ValueError, match="null has 0 draws"):
        statistics.family_wise_p_values(np.ones(1), np.ones(0))
    with pytest.raises(ValueError, match="null has 2 draws, 1 of them NaN"):
        statistics.family_wise_p_values(np.ones(1), np.array([1.0, NAN]))


def test_false_discovery_by_hand_and_without_missing_cells():
    # Benjamini-Hochberg: p · m / rank, made monotone from the largest down.
    p_values = np.array([[0.01, 0.04], [NAN, 0.03], [0.5, NAN]])
    expected = np.array([[0.04, 0.04 * 4 / 3], [NAN, 0.04 * 4 / 3], [0.5, NAN]])
    np.testing.assert_allclose(statistics.false_discovery(p_values), expected, rtol=1e-12)
    assert (statistics.false_discovery(p_values, "by")[0] > expected[0]).all()
    assert np.isnan(statistics.false_discovery(np.full((2, 2), NAN))).all()
    assert statistics.false_discovery(np.ones((0,))).shape == (0,)
    with pytest.raises(ValueError, match=r"p-values run from -0\.1 to 0\.5; they must lie between 0 and 1"):
        statistics.false_discovery(np.array([-0.1, 0.5]))


# Ranks


def test_page_finds_a_trend_in_its_direction_only_and_drops_incomplete_prompts():
    values = np.arange(5.0) + normal((12, 5)) * 0.1
    values[3, 2] = NAN
    rising = statistics.page_trend_test(values)
    assert (rising.used, rising.dropped) == (11, 1)
    # Perfect order in every prompt: L = 11 · (1 + 4 + 9 + 16 + 25).
    assert rising.statistic == 11 * 55
    assert rising.p_value < 1e-9
    assert statistics.page_trend_test(values, "decreasing").p_value > 0.99
    assert statistics.page_trend_test(values[:, ::-1], "decreasing") == rising


def test_page_exact_p_value_of_two_perfect_prompts():
    # One of 3!² orders reaches the largest L.
    assert statistics.page_trend_test(np.array([[1.0, 2.0, 3.0]] * 2)).p_value == pytest.approx(1 / 36)


@pytest.mark.parametrize("shape", [(1, 5), (6, 2), (0, 4)])
def test_page_without_enough_levels_or_prompts_is_undefined(shape):
    result = statistics.page_trend_test(np.ones(shape))
    assert math.isnan(result.statistic)
    assert math.isnan(result.p_value)
    assert result.used == shape[0]


def test_spearman_by_hand():
    result = statistics.spearman(np.array([1.0, 2.0, 3.0, 4.0, NAN]), np.array([10.0, 30.0, 20.0, 40.0, 5.0]))
    # 1 - 6 Σ d² / (n (n² - 1)) = 1 - 6 · 2 / 60.
    assert result.statistic == pytest.approx(0.8)
    assert (result.used, result.dropped) == (4, 1)
    first, second = normal(30), normal(30, seed=1)
    theirs = scipy.stats.spearmanr(first, second)
    assert statistics.spearman(first, second).p_value == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("second", [[1.0, 1.0, 1.0, 1.0], [1.0, 2.0, NAN, NAN], [NAN] * 4])
def test_spearman_of_a_constant_or_too_short_list_is_undefined(second):
    result = statistics.spearman(np.arange(4.0), np.array(second))
    assert math.isnan(result.statistic)
    assert result.used + result.dropped == 4


def test_intervals_are_the_same_whether_weights_of_resamples_are_kept_or_drawn_anew(monkeypatch):
    values = np.random.default_rng(3).exponential(size=(23, 4))
    kept = [intervals.bootstrap_mean(values, seed, 500) for seed in (0, 1, 0)]
    monkeypatch.setattr(resample_weights, "_KEPT", 0)
    for seed, interval in zip((0, 1, 0), kept, strict=True):
        drawn = intervals.bootstrap_mean(values, seed, 500)
        np.testing.assert_array_equal([drawn.low, drawn.high], [interval.low, interval.high])
    assert (kept[0].low != kept[1].low).any()
