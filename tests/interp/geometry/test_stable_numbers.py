"""Rounding, the order of rows and the size of blocks change no number beyond the tolerance that runs promise."""

from collections.abc import Callable

import numpy as np
import pytest

from interp.geometry.group_separation import separation
from interp.geometry.hubness import occurrences, skewness
from interp.geometry.intrinsic_dimension import two_nn
from interp.geometry.isotropy import cosine_matrix, principal_map
from interp.geometry.nearest_neighbors import mutual_neighbors, nearest

N_ROWS = 1500


def _table() -> np.ndarray:
    """A table whose hubs occur twice each, so that they tie for a place among the neighbors of many others."""
    generator = np.random.default_rng(0)
    table = generator.normal(size=(N_ROWS, 24)) + 0.8
    table[:24] = np.repeat(0.8 + 0.3 * generator.normal(size=(12, 24)), 2, axis=0)
    return table.astype(np.float32)


def _hub_skewness(table: np.ndarray, block: int = 2048) -> float:
    return skewness(occurrences(mutual_neighbors(table, 20, block), 10, len(table)))


def _hits(table: np.ndarray) -> float:
    vectors = table[:120].astype(np.float64)
    return separation(cosine_matrix(vectors), np.arange(120) % 3).leave_one_out


NUMBERS: dict[str, Callable[[np.ndarray], float]] = {
    "hub skewness": _hub_skewness,
    "intrinsic dimension": two_nn,
    "intrinsic dimension by regression": lambda table: two_nn(table, "regression"),
    "leave one out": _hits,
}


def _agree(found: float, expected: float) -> bool:
    return bool(np.isclose(found, expected, rtol=1e-3, atol=1e-4))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("seed", range(4))
def test_rounding_of_the_inputs(name: str, seed: int) -> None:
    table = _table()
    noise = np.random.default_rng(seed + 1).uniform(-1, 1, size=table.shape)
    shaken = (table * (1 + 1e-6 * noise)).astype(np.float32)
    assert (shaken != table).any()
    assert _agree(NUMBERS[name](shaken), NUMBERS[name](table))


@pytest.mark.parametrize("name", ["hub skewness", "intrinsic dimension"])
@pytest.mark.parametrize("seed", range(4))
def test_order_of_the_rows(name: str, seed: int) -> None:
    table = _table()
    order = np.random.default_rng(seed).permutation(N_ROWS)
    assert _agree(NUMBERS[name](table[order]), NUMBERS[name](table))


@pytest.mark.parametrize("block", [100, 333, 1500])
def test_size_of_the_blocks(block: int) -> None:
    assert _agree(_hub_skewness(_table(), block), _hub_skewness(_table()))


def test_equally_near_rows_stand_in_their_own_order_whatever_the_rounding() -> None:
    table = np.repeat(np.random.default_rng(0).normal(size=(30, 16)), 4, axis=0)
    shaken = table * (1 + 1e-6 * np.random.default_rng(1).uniform(-1, 1, size=table.shape))
    np.testing.assert_array_equal(nearest(shaken[::9], shaken, 12).rows, nearest(table[::9], table, 12).rows)


def test_the_sign_of_an_axis_is_not_decided_by_rounding() -> None:
    # Two entries of equal size and unlike sign on the first axis.
    vectors = np.outer(np.arange(-3.0, 4.0), [1.0, -1.0, 0.0]) + np.outer([1, -1, 1, 0, -1, 1, -1], [0, 0, 0.1])
    found = [
        principal_map(vectors * (1 + 1e-7 * np.random.default_rng(seed).uniform(-1, 1, size=vectors.shape))).coordinates
        for seed in range(20)
    ]
    assert all(np.allclose(one[:, 0], found[0][:, 0], atol=1e-4) for one in found)
