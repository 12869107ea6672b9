"""Change points: a planted step is found where it is, noise and constants have none, places are those of least squares."""

import numpy as np
import pytest
import ruptures

from interp.statistics.change_points import NONE, changes_of, main_places


def noisy(curve, prompts=20, size=0.05, seed=0):
    """The same curve for every prompt, with noise of its own."""
    return np.array(curve, dtype=float) + np.random.default_rng(seed).normal(0, size, (prompts, len(curve)))


@pytest.mark.parametrize("place", [1, 3, 6, 11])
def test_a_step_is_found_where_it_is(place):
    found = changes_of(noisy(np.repeat([0.1, 0.8], [place, 12 - place])), seed=0)
    assert found.main is not None
    assert (found.main.place, found.main.low, found.main.high) == (place, place, place)
    assert found.main.jump == pytest.approx(0.7, abs=0.05)
    assert [change.place for change in found.all] == [place]
    assert found.explained > 0.98


def test_a_step_in_the_middle_stands_out_from_random_orders_and_noise_does_not():
    assert changes_of(noisy(np.repeat([0.0, 1.0], 6)), seed=0).p_value < 0.01
    p_values = [changes_of(noisy(np.zeros(12), seed=seed), seed=seed, resamples=20).p_value for seed in range(40)]
    assert 0.3 < np.mean(p_values) < 0.7


def test_noise_between_moments_makes_hardly_a_change():
    found = [changes_of(noisy(np.zeros(12), seed=seed), seed=seed, resamples=20).all for seed in range(40)]
    assert sum(bool(changes) for changes in found) <= 8


def test_a_role_that_comes_and_goes_has_two_changes():
    found = changes_of(noisy(np.repeat([0.1, 0.9, 0.2], 4)), seed=0)
    assert [change.place for change in found.all] == [4, 8]
    assert found.all[0].jump > 0.6 > -0.6 > found.all[1].jump


def test_the_interval_grows_where_prompts_disagree():
    half = np.concatenate([
        noisy(np.repeat([0.0, 1.0], [4, 8]), prompts=10, seed=1),
        noisy(np.repeat([0.0, 1.0], [8, 4]), prompts=10, seed=2),
    ])
    found = changes_of(half, seed=0).main
    assert found is not None
    assert (found.low, found.high) == (4, 8)


def test_constants_short_and_undefined_curves_have_none():
    assert changes_of(np.full((5, 8), 0.3), seed=0) == NONE
    assert changes_of(noisy([0, 1, 1]), seed=0) == NONE
    broken = noisy(np.repeat([0.0, 1.0], 4))
    broken[:, 2] = np.nan
    assert changes_of(broken, seed=0) == NONE


def test_a_prompt_without_a_value_is_left_out_of_its_moment():
    values = noisy(np.repeat([0.0, 1.0], 5))
    values[3, 7] = np.nan
    found = changes_of(values, seed=0).main
    assert found is not None
    assert found.place == 5


def test_the_fast_search_finds_the_places_of_the_library():
    curves = np.random.default_rng(3).normal(size=(50, 12)).cumsum(1)
    slow = [ruptures.Dynp(model="l2", min_size=1, jump=1).fit(curve).predict(n_bkps=1)[0] for curve in curves]
    assert main_places(curves).tolist() == slow
    assert np.isnan(main_places(np.array([[1.0, 1.0, 1.0], [0.0, np.nan, 1.0]]))).all()


def test_the_seed_decides_all():
    values = noisy(np.linspace(0, 1, 12), size=0.4)
    assert changes_of(values, seed=5) == changes_of(values, seed=5)
