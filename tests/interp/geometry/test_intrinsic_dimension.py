"""TwoNN on cubes, whose dimension is known, and hubness on points whose counts are known."""

import numpy as np
import pytest
import scipy.stats

from interp.geometry.hubness import cosine_scores, csls, occurrences, retrieval_hits, skewness
from interp.geometry.intrinsic_dimension import two_nn, two_nn_at_sizes
from interp.geometry.nearest_neighbors import mutual_neighbours


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
    assert np.isnan(two_nn(np.ones((10, 3))))


def test_sizes_beyond_the_points_have_no_estimate() -> None:
    cube = np.random.default_rng(0).uniform(size=(300, 2))
    estimates = two_nn_at_sizes(cube, (100, 300, 301), seed=0)
    assert estimates[1] == pytest.approx(two_nn(cube))
    assert np.isnan(estimates[2])


def test_occurrences_and_skewness_of_a_star() -> None:
    rows = np.array([[1], [0], [0], [0], [-1]])
    assert occurrences(rows, 5).tolist() == [3, 1, 0, 0, 0]
    assert skewness(occurrences(rows, 5)) == pytest.approx(scipy.stats.skew([3, 1, 0, 0, 0]))
    assert np.isnan(skewness(np.array([2, 2])))


def test_a_common_direction_makes_hubs_and_centring_mends_it() -> None:
    cloud = np.random.default_rng(0).normal(size=(1500, 100)) + 0.5
    raw, centred = (
        skewness(occurrences(mutual_neighbours(vectors, 10).rows, 1500))
        for vectors in (cloud, cloud - cloud.mean(axis=0))
    )
    assert centred < 0.5 < 1.5 < raw


def test_csls_takes_a_hub_out_of_the_way() -> None:
    # Candidate 0 is near everyone; each query's own candidate is a little less near.
    scores = np.full((4, 5), 0.1)
    scores[:, 0] = 0.8
    scores[np.arange(4), np.arange(1, 5)] = 0.7
    answers = np.arange(1, 5)
    assert retrieval_hits(scores, answers).sum() == 0
    assert retrieval_hits(csls(scores, k=2), answers).sum() == 4


def test_csls_follows_its_definition() -> None:
    generator = np.random.default_rng(0)
    scores = cosine_scores(generator.normal(size=(6, 4)), generator.normal(size=(9, 4)))
    expected = 2 * scores[2, 5] - np.sort(scores[2])[-3:].mean() - np.sort(scores[:, 5])[-3:].mean()
    assert csls(scores, k=3)[2, 5] == pytest.approx(expected)


def test_ties_at_the_top_count_their_share() -> None:
    assert retrieval_hits(np.ones((2, 4)), np.array([0, 3])).tolist() == [0.25, 0.25]
