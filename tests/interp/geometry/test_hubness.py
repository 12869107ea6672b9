"""Hubness on points whose counts are known."""

import numpy as np
import pytest
import scipy.stats

from interp.geometry.hubness import csls, occurrences, skewness
from interp.geometry.isotropy import cosine_matrix
from interp.geometry.nearest_neighbors import Neighbors, mutual_neighbors


def test_occurrences_and_skewness_of_a_star() -> None:
    rows = np.array([[1], [0], [0], [0], [-1]])
    found = Neighbors(rows, np.where(rows < 0, np.nan, 0.5))
    assert occurrences(found, 1, 5).tolist() == [3, 1, 0, 0, 0]
    assert skewness(occurrences(found, 1, 5)) == pytest.approx(scipy.stats.skew([3, 1, 0, 0, 0]))
    assert np.isnan(skewness(np.array([2.0, 2.0])))


def test_who_ties_for_the_last_place_gets_a_share_of_it() -> None:
    found = Neighbors(np.array([[0, 1, 2, 3]]), np.array([[0.9, 0.5, 0.5, 0.1]]))
    np.testing.assert_allclose(occurrences(found, 2, 4), [1, 0.5, 0.5, 0], atol=1e-9)
    np.testing.assert_allclose(occurrences(found, 3, 4), [1, 1, 1, 0])


def test_a_common_direction_makes_hubs_and_centring_mends_it() -> None:
    cloud = np.random.default_rng(0).normal(size=(1500, 100)) + 0.5
    raw, centered = (
        skewness(occurrences(mutual_neighbors(vectors, 20), 10, 1500))
        for vectors in (cloud, cloud - cloud.mean(axis=0))
    )
    assert centered < 0.5 < 1.5 < raw


def test_csls_takes_a_hub_out_of_the_way() -> None:
    # Candidate 0 is near everyone; each query's own candidate is a little less near.
    scores = np.full((4, 5), 0.1)
    scores[:, 0] = 0.8
    scores[np.arange(4), np.arange(1, 5)] = 0.7
    assert (scores.argmax(axis=1) == 0).all()
    assert (csls(scores, k=2).argmax(axis=1) == np.arange(1, 5)).all()


def test_csls_follows_its_definition() -> None:
    generator = np.random.default_rng(0)
    scores = cosine_matrix(generator.normal(size=(6, 4)), generator.normal(size=(9, 4)))
    expected = 2 * scores[2, 5] - np.sort(scores[2])[-3:].mean() - np.sort(scores[:, 5])[-3:].mean()
    assert csls(scores, k=3)[2, 5] == pytest.approx(expected)
