"""Nearest rows against sorting everything."""

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from interp.geometry.isotropy import unit_rows
from interp.geometry.nearest_neighbors import mutual_neighbors, nearest


def test_nearest_is_the_head_of_the_full_ranking() -> None:
    generator = np.random.default_rng(0)
    queries, candidates = generator.normal(size=(7, 9)), generator.normal(size=(500, 9))
    found = nearest(queries, candidates, k=12)
    cosines = unit_rows(queries) @ unit_rows(candidates).T
    np.testing.assert_array_equal(found.rows, np.argsort(-cosines, axis=1)[:, :12])
    np.testing.assert_allclose(found.cosines, -np.sort(-cosines, axis=1)[:, :12])


def test_excluded_rows_and_variants_leave_the_list() -> None:
    candidates = np.array([[1.0, 0.0], [0.9, 0.1], [0.8, 0.2], [0.0, 1.0]])
    excluded = np.array([[True, False, False, False]])
    found = nearest(np.array([[1.0, 0.0]]), candidates, k=3, excluded=excluded, variants=np.array([0, 1, 1, 2]))
    assert found.rows.tolist() == [[1, 3, -1]]
    assert np.isnan(found.cosines[0, 2])


def test_variants_are_looked_for_beyond_the_first_rows() -> None:
    # 300 spellings of one word stand before the second word.
    generator = np.random.default_rng(0)
    near = np.column_stack([np.ones(300), generator.uniform(0, 0.1, 300)])
    candidates = np.concatenate([near, [[0.0, 1.0]]])
    found = nearest(np.array([[1.0, 0.0]]), candidates, k=2, variants=np.repeat([0, 1], [300, 1]))
    assert found.rows[0, 1] == 300


def test_ties_go_to_the_earlier_row() -> None:
    found = nearest(np.ones((1, 2)), np.ones((50, 2)), k=3)
    assert found.rows.tolist() == [[0, 1, 2]]


@pytest.mark.parametrize("block", [7, 64, 200, 4096])
def test_mutual_neighbors_are_those_of_the_full_matrix_whatever_the_block(block: int) -> None:
    vectors = np.random.default_rng(0).normal(size=(201, 11)) + 0.2
    found = mutual_neighbors(vectors, 10, block)
    cosines = unit_rows(vectors) @ unit_rows(vectors).T
    np.fill_diagonal(cosines, -np.inf)
    np.testing.assert_array_equal(found.rows, np.argsort(-cosines, axis=1)[:, :10])
    np.testing.assert_allclose(found.cosines, -np.sort(-cosines, axis=1)[:, :10], atol=1e-6)


def test_mutual_neighbors_agree_with_scikit_learn() -> None:
    vectors = np.random.default_rng(1).normal(size=(700, 20))
    expected = NearestNeighbors(n_neighbors=6, metric="cosine").fit(vectors).kneighbors(vectors)[1][:, 1:]
    np.testing.assert_array_equal(mutual_neighbors(vectors, 5, block=128).rows, expected)


def test_copies_are_neighbors_of_each_other() -> None:
    found = mutual_neighbors(np.ones((9, 3)), 3, block=4)
    assert all(row not in found.rows[row] and len(set(found.rows[row])) == 3 for row in range(9))
    np.testing.assert_allclose(found.cosines, 1)


@pytest.mark.parametrize("k", [0, 5])
def test_more_neighbors_than_rows_are_refused(k: int) -> None:
    with pytest.raises(ValueError, match="at most 4 neighbors"):
        mutual_neighbors(np.eye(5), k)


@pytest.mark.parametrize("block", [7, 100])
def test_equal_zero_and_negative_cosines_are_ordered_as_by_three_keys(block: int) -> None:
    # Four signs have the length 2 and sixteen directions: every cosine is exact, and most are shared by several rows.
    vectors = np.random.default_rng(2).choice([-1.0, 1.0], size=(60, 4))
    cosines = (vectors / 2) @ (vectors / 2).T
    np.fill_diagonal(cosines, -np.inf)
    found = mutual_neighbors(vectors, 45, block)
    expected = [np.lexsort((np.arange(60), -row))[:45] for row in cosines]
    np.testing.assert_array_equal(found.rows, expected)
    np.testing.assert_array_equal(found.cosines, np.take_along_axis(cosines, np.array(expected), 1))
    assert (found.cosines < 0).any()
    assert (found.cosines == 0).any()
