"""Groups of items: equal to scikit-learn and to the long way round; planted groups found, random ones not."""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import silhouette_score

from interp.geometry.group_separation import separation, separation_test
from interp.geometry.isotropy import cosine_matrix


def _items(seed: int, n_items: int, distance: float, n_features: int = 12) -> tuple[np.ndarray, np.ndarray]:
    """Items in two groups whose centers lie `distance` apart along one axis each."""
    generator = np.random.default_rng(seed)
    groups = np.arange(n_items) % 2
    vectors = generator.normal(size=(n_items, n_features))
    vectors[np.arange(n_items), groups] += distance
    return vectors, groups


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.integers(8, 25))
def test_silhouette_is_that_of_scikit_learn(seed: int, n_groups: int, n_items: int) -> None:
    generator = np.random.default_rng(seed)
    vectors = generator.normal(size=(n_items, 5))
    groups = generator.permutation(np.arange(n_items) % n_groups)
    expected = silhouette_score(vectors, groups, metric="cosine")
    assert separation(cosine_matrix(vectors), groups).silhouette == pytest.approx(expected, abs=1e-9)


def test_an_item_alone_in_its_group_has_silhouette_zero_as_in_scikit_learn() -> None:
    vectors, groups = _items(3, 9, 1.0)
    groups = np.where(np.arange(9) == 8, 2, groups)
    expected = silhouette_score(vectors, groups, metric="cosine")
    assert separation(cosine_matrix(vectors), groups).silhouette == pytest.approx(expected, abs=1e-9)


def test_effect_cohens_d_and_leave_one_out_the_long_way_round() -> None:
    vectors, groups = _items(1, 14, 1.0)
    cosines = cosine_matrix(vectors)
    pairs = list(itertools.combinations(range(14), 2))
    within = np.array([cosines[i, j] for i, j in pairs if groups[i] == groups[j]])
    between = np.array([cosines[i, j] for i, j in pairs if groups[i] != groups[j]])
    degrees = len(within) + len(between) - 2
    pooled = np.sqrt(((len(within) - 1) * within.var(ddof=1) + (len(between) - 1) * between.var(ddof=1)) / degrees)
    nearest = np.where(np.eye(14, dtype=bool), -np.inf, cosines).argmax(axis=1)
    found = separation(cosines, groups)
    assert found.within == pytest.approx(within.mean())
    assert found.between == pytest.approx(between.mean())
    assert found.effect == pytest.approx(within.mean() - between.mean())
    assert found.cohens_d == pytest.approx((within.mean() - between.mean()) / pooled)
    assert found.leave_one_out == pytest.approx((groups[nearest] == groups).mean())


def test_planted_groups_are_found() -> None:
    vectors, groups = _items(0, 20, 4.0)
    test = separation_test(cosine_matrix(vectors), groups, seed=0, permutations=999, resamples=500)
    assert test.p_values["effect"] == test.p_values["silhouette"] == pytest.approx(1 / 1000)
    assert test.observed.leave_one_out == 1.0
    assert 0 < test.low.effect < test.observed.effect < test.high.effect
    assert test.chance == pytest.approx(9 / 19)


def test_random_groups_are_found_as_seldom_as_the_level_says() -> None:
    p_values = []
    for seed in range(60):
        vectors, groups = _items(seed, 12, 0.0)
        test = separation_test(cosine_matrix(vectors), groups, seed, permutations=199, resamples=0)
        p_values.append(test.p_values["effect"])
    assert np.mean(np.array(p_values) <= 0.05) <= 0.12
    assert 0.35 < np.mean(p_values) < 0.65


def test_copies_in_a_resample_are_no_pair() -> None:
    # Two tight groups in the same place: were an item a pair with its copy (cosine 1), resampling would find groups.
    vectors, groups = _items(5, 10, 0.0, n_features=200)
    test = separation_test(cosine_matrix(vectors), groups, seed=0, permutations=99, resamples=400)
    assert abs(test.low.within) < 0.1
    assert abs(test.high.within) < 0.1


def test_leave_one_out_by_chance_is_the_mean_over_random_labels() -> None:
    vectors, _ = _items(2, 9, 0.0)
    cosines, generator = cosine_matrix(vectors), np.random.default_rng(0)
    groups = np.array([0] * 6 + [1] * 3)
    rates = [separation(cosines, generator.permutation(groups)).leave_one_out for _ in range(2000)]
    test = separation_test(cosines, groups, seed=0, permutations=9, resamples=0)
    assert np.mean(rates) == pytest.approx(test.chance, abs=0.02)
    assert np.isnan(test.low.effect)


def test_same_seed_same_numbers_whatever_the_order_of_groups() -> None:
    vectors, groups = _items(4, 12, 1.0)
    cosines = cosine_matrix(vectors)
    first, second = (separation_test(cosines, groups, seed=7, permutations=199, resamples=99) for _ in range(2))
    assert first == second
    assert separation(cosines, groups).effect == pytest.approx(separation(cosines, 1 - groups).effect)


@pytest.mark.parametrize("groups", [[0, 0, 0], [0, 1, 2]])
def test_groups_that_cannot_be_compared_are_refused(groups: list[int]) -> None:
    with pytest.raises(ValueError, match="at least two groups, one of them with two items; got sizes"):
        separation(np.eye(3), np.array(groups))
