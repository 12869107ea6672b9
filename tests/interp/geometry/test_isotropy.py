"""Geometry of clouds: closed forms against their long definitions, and clouds whose answer is known."""

import numpy as np
import pytest

from interp.geometry.intrinsic_dimension import two_nn_at_sizes
from interp.geometry.isotropy import (
    cosine_matrix,
    iso_score,
    mean_cosine,
    mean_row,
    participation_ratio,
    partition_isotropy,
    principal_map,
    scatter,
    spectrum,
    top_directions,
    unit_rows,
    without_directions,
)


@pytest.fixture
def generator() -> np.random.Generator:
    return np.random.default_rng(0)


def _iso_score_as_published(eigenvalues: np.ndarray) -> float:
    """Rudman et al. 2022, algorithm 1, step by step."""
    n = len(eigenvalues)
    normed = eigenvalues * np.sqrt(n) / np.linalg.norm(eigenvalues)
    defect = np.linalg.norm(normed - 1) / np.sqrt(2 * (n - np.sqrt(n)))
    used = (n - defect**2 * (n - np.sqrt(n))) ** 2 / n
    return (used - 1) / (n - 1)


@pytest.mark.parametrize("k", range(1, 11))
def test_iso_score_of_k_isotropic_directions_out_of_n(k: int) -> None:
    eigenvalues = np.repeat([2.5, 0.0], [k, 10 - k])
    assert iso_score(eigenvalues) == pytest.approx((k - 1) / 9, abs=1e-12)
    assert participation_ratio(eigenvalues) == pytest.approx(k)


def test_iso_score_is_the_participation_ratio_on_another_scale(generator: np.random.Generator) -> None:
    for n in (2, 7, 192):
        eigenvalues = generator.exponential(size=n)
        assert iso_score(eigenvalues) == pytest.approx(_iso_score_as_published(eigenvalues), abs=1e-12)


def test_spectrum_is_that_of_the_covariance(generator: np.random.Generator) -> None:
    vectors = generator.normal(size=(50, 6)) * [5, 4, 3, 2, 1, 0] + 100
    expected = np.linalg.eigvalsh(np.cov(vectors.T))[::-1]
    np.testing.assert_allclose(spectrum(vectors), np.clip(expected, 0, None), atol=1e-10)
    assert spectrum(vectors)[-1] >= 0


def test_no_variance_has_no_participation_ratio() -> None:
    assert np.isnan(participation_ratio(spectrum(np.ones((4, 3)))))


def test_mean_cosine_is_the_mean_over_all_pairs(generator: np.random.Generator) -> None:
    vectors = generator.normal(size=(30, 8)) + 0.7
    cosines = cosine_matrix(vectors)
    pairs = [cosines[i, j] for i in range(30) for j in range(30) if i != j]
    assert mean_cosine(vectors) == pytest.approx(np.mean(pairs), abs=1e-12)
    assert np.isnan(mean_cosine(vectors[:1]))


@pytest.mark.parametrize("chosen", [0, 1, 2, 4097, 9000])
def test_chosen_rows_of_a_table_are_measured_like_a_table_of_their_own(
    generator: np.random.Generator, chosen: int
) -> None:
    table = (generator.normal(size=(9000, 5)) * [4, 3, 2, 1, 1] + 0.5).astype(np.float32)
    rows = np.sort(generator.choice(9000, chosen, replace=False))
    own = table[rows]
    assert mean_cosine(table, rows) == pytest.approx(mean_cosine(own), rel=1e-12, nan_ok=True)
    if chosen:
        np.testing.assert_allclose(mean_row(table, rows), own.mean(axis=0, dtype=np.float64), rtol=1e-12)
        np.testing.assert_allclose(scatter(table, rows), scatter(own), rtol=1e-12)
        assert partition_isotropy(table, rows) == pytest.approx(partition_isotropy(own), rel=1e-12)
    found = two_nn_at_sizes(table, (1, 100, 4097), 3, rows=rows)
    np.testing.assert_allclose(found, two_nn_at_sizes(own, (1, 100, 4097), 3), rtol=1e-12)


def test_a_row_of_zeros_has_cosine_zero_and_no_warning() -> None:
    cosines = cosine_matrix(np.array([[0.0, 0.0], [3.0, 4.0]]))
    np.testing.assert_array_equal(cosines, [[0, 0], [0, 1]])
    np.testing.assert_array_equal(unit_rows(np.zeros((2, 3))), np.zeros((2, 3)))


def test_partition_isotropy_is_near_one_for_a_round_cloud_and_small_for_a_cone(generator: np.random.Generator) -> None:
    cloud = generator.normal(size=(5000, 10))
    assert partition_isotropy(cloud) > 0.95
    cone = cloud + 20 * np.eye(10)[0]
    assert partition_isotropy(cone) < 0.2
    # Embeddings of T5 v1.1 have lengths in the hundreds: nothing may overflow, and length must not matter.
    assert partition_isotropy(cloud * 1e4) == pytest.approx(partition_isotropy(cloud), rel=1e-9)


def test_partition_isotropy_follows_the_definition(generator: np.random.Generator) -> None:
    vectors = unit_rows(generator.normal(size=(200, 5)) + 0.3)
    _, directions = np.linalg.eigh(vectors.T @ vectors)
    sums = [np.exp(vectors @ (sign * direction)).sum() for direction in directions.T for sign in (1, -1)]
    assert partition_isotropy(vectors) == pytest.approx(min(sums) / max(sums))


def test_all_but_the_top_removes_the_directions_of_largest_variance(generator: np.random.Generator) -> None:
    vectors = generator.normal(size=(400, 6)) * [50, 1, 1, 1, 1, 1] + 3
    top = top_directions(vectors, 1)
    assert abs(top[0, 0]) > 0.999
    centered = vectors - vectors.mean(axis=0)
    left = without_directions(centered, top)
    np.testing.assert_allclose(left @ top[0], 0, atol=1e-9)
    assert spectrum(left)[0] < 2


def test_principal_map_keeps_distances_and_fixes_signs(generator: np.random.Generator) -> None:
    vectors = generator.normal(size=(9, 20)) + 5
    found = principal_map(vectors)
    np.testing.assert_allclose(
        np.linalg.norm(found.coordinates[0] - found.coordinates[1]), np.linalg.norm(vectors[0] - vectors[1])
    )
    assert found.explained.sum() == pytest.approx(1)
    assert (np.diff(found.explained) <= 1e-12).all()
    assert (found.axes[np.arange(9), np.abs(found.axes).argmax(axis=1)] > 0).all()
    np.testing.assert_allclose(found.place(vectors), found.coordinates, atol=1e-9)


def test_principal_map_of_equal_rows_has_no_shares() -> None:
    assert np.isnan(principal_map(np.ones((3, 4))).explained).all()


def test_principal_map_needs_two_items() -> None:
    with pytest.raises(ValueError, match="at least two items; got 1"):
        principal_map(np.ones((1, 4)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_rows_that_are_not_finite_have_no_cosine(bad: float) -> None:
    rows = np.random.default_rng(0).normal(size=(6, 4))
    clean = cosine_matrix(rows)
    rows[2, 1] = bad
    with np.errstate(invalid="ignore"):
        found = cosine_matrix(rows)
        assert np.isnan(mean_cosine(rows))
    assert np.isnan(found[2]).all()
    assert np.isnan(found[:, 2]).all()
    others = [0, 1, 3, 4, 5]
    assert np.array_equal(found[np.ix_(others, others)], clean[np.ix_(others, others)])
