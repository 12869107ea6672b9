"""Similarity of spaces: invariances, published formulas the long way round, and the level of the permutation test."""

import numpy as np
import pytest
import scipy.stats

from interp.geometry.isotropy import cosine_matrix
from interp.geometry.representation_similarity import agreement, gram_arrangement, rank_arrangement


def _spaces(n_items: int = 30) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(n_items, 8)), generator.normal(size=(n_items, 5))
    rotation = np.linalg.qr(generator.normal(size=(8, 8)))[0]
    return x, y, rotation


def _agree(kind: str, first: np.ndarray, second: np.ndarray) -> float:
    arrange = {"cka": gram_arrangement, "rsa": rank_arrangement}[kind]
    return float(agreement(arrange(first)[None], arrange(second)[None], 0, 0).correlation[0, 0])


@pytest.mark.parametrize("kind", ["cka", "rsa"])
def test_rotation_scale_and_shift_change_nothing(kind: str) -> None:
    x, y, rotation = _spaces()
    assert _agree(kind, x, x @ rotation * 7 + 3) == pytest.approx(1, abs=1e-9)
    assert _agree(kind, x, y) == pytest.approx(_agree(kind, x @ rotation, 5 * y - 2), abs=1e-9)


def _plain_cka(first: np.ndarray, second: np.ndarray) -> float:
    """Linear CKA without debiasing (Kornblith et al. 2019)."""
    x, y = (vectors - vectors.mean(axis=0) for vectors in (first, second))
    return float(np.square(y.T @ x).sum() / (np.linalg.norm(x.T @ x) * np.linalg.norm(y.T @ y)))


def test_debiased_cka_is_the_ratio_of_unbiased_hsic() -> None:
    x, y, _ = _spaces(12)
    grams = [vectors @ vectors.T for vectors in (x, y)]
    for gram in grams:
        np.fill_diagonal(gram, 0.0)

    def hsic(k: np.ndarray, g: np.ndarray) -> float:
        """Song et al. 2012, equation 5."""
        n, ones = len(k), np.ones(len(k))
        mixed = ones @ k @ ones * (ones @ g @ ones) / ((n - 1) * (n - 2)) - 2 / (n - 2) * ones @ k @ g @ ones
        return float((np.trace(k @ g) + mixed) / (n * (n - 3)))

    expected = hsic(grams[0], grams[1]) / np.sqrt(hsic(grams[0], grams[0]) * hsic(grams[1], grams[1]))
    assert _agree("cka", x, y) == pytest.approx(expected, abs=1e-10)


def test_few_items_in_many_dimensions_deceive_plain_cka_and_not_the_debiased_one() -> None:
    generator = np.random.default_rng(1)
    pairs = [generator.normal(size=(2, 20, 300)) for _ in range(20)]
    assert np.mean([_plain_cka(x, y) for x, y in pairs]) > 0.9
    assert abs(np.mean([_agree("cka", x, y) for x, y in pairs])) < 0.03


def test_rsa_is_spearman_of_the_upper_triangles() -> None:
    x, y, _ = _spaces()
    upper = np.triu_indices(30, 1)
    distances = [(1 - cosine_matrix(vectors - vectors.mean(0)))[upper] for vectors in (x, y)]
    assert _agree("rsa", x, y) == pytest.approx(scipy.stats.spearmanr(*distances).statistic, abs=1e-9)


def test_related_spaces_beat_every_shuffling_and_unrelated_ones_do_not() -> None:
    x, y, rotation = _spaces()
    noisy = x @ rotation + 0.3 * np.random.default_rng(5).normal(size=x.shape)
    found = agreement(
        np.stack([gram_arrangement(x)]),
        np.stack([gram_arrangement(noisy), gram_arrangement(y)]),
        seed=0,
        permutations=99,
    )
    assert found.p_value[0, 0] == pytest.approx(0.01)
    assert found.p_value[0, 1] > 0.05


def test_p_values_count_the_shufflings_that_agree_as_well() -> None:
    generator = np.random.default_rng(2)
    spaces = generator.normal(size=(5, 12, 6)) + 0.4 * generator.normal(size=(12, 6))
    first = np.stack([gram_arrangement(space) for space in spaces[:2]])
    second = np.stack([rank_arrangement(space) for space in spaces[2:]])
    found = agreement(first, second, seed=3, permutations=50)
    orders = np.random.default_rng(3)
    null = [
        agreement(first, second[:, order][:, :, order], 0, 0) for order in (orders.permutation(12) for _ in range(50))
    ]
    exceeding = np.sum([one.correlation >= found.correlation - 1e-12 for one in null], axis=0)
    np.testing.assert_allclose(found.p_value, (1 + exceeding) / 51)
    assert len(np.unique(found.p_value)) > 2


def test_a_space_without_variance_agrees_with_nothing() -> None:
    x, _, _ = _spaces()
    found = agreement(gram_arrangement(x)[None], gram_arrangement(np.ones((30, 2)))[None], seed=0, permutations=9)
    assert np.isnan(found.correlation).all()
    assert np.isnan(found.p_value).all()


def test_too_few_items_are_refused() -> None:
    with pytest.raises(ValueError, match="at least four items; got 3"):
        gram_arrangement(np.ones((3, 2)))
    with pytest.raises(ValueError, match="at least three items; got 2"):
        rank_arrangement(np.ones((2, 2)))
