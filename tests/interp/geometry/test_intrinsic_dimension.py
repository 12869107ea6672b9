"""TwoNN on cubes, whose dimension is known."""

import numpy as np
import pytest

from interp.geometry.intrinsic_dimension import two_nn, two_nn_at_sizes


@pytest.mark.parametrize(("dimension", "low", "high"), [(2, 1.9, 2.1), (5, 4.4, 4.8), (10, 7.9, 8.7)])
@pytest.mark.parametrize("seed", [0, 1])
def test_two_nn_of_a_uniform_cube(dimension: int, low: float, high: float, seed: int) -> None:
    cube = np.random.default_rng(seed).uniform(size=(2000, dimension))
    assert low < two_nn(cube) < high
    assert low - 0.2 < two_nn(cube, "regression") < high + 0.2


def test_two_nn_sees_the_plane_inside_a_wide_space() -> None:
    generator = np.random.default_rng(0)
    plane = generator.uniform(size=(1500, 2)) @ generator.normal(size=(2, 40))
    assert two_nn(plane) == pytest.approx(2, abs=0.15)


def test_copies_count_once() -> None:
    cube = np.random.default_rng(0).uniform(size=(500, 3))
    assert two_nn(np.concatenate([cube, cube[:200]])) == pytest.approx(two_nn(cube))
    nearly = cube[:200] * (1 + 1e-6 * np.random.default_rng(1).uniform(-1, 1, size=(200, 3)))
    assert two_nn(np.concatenate([cube, nearly, cube[:100]])) == pytest.approx(two_nn(cube), rel=1e-4)
    assert np.isnan(two_nn(np.ones((10, 3))))


def test_sizes_beyond_the_points_have_no_estimate() -> None:
    cube = np.random.default_rng(0).uniform(size=(300, 2))
    estimates = two_nn_at_sizes(cube, (100, 300, 301), seed=0)
    assert estimates[1] == pytest.approx(two_nn(cube))
    assert np.isnan(estimates[2])
