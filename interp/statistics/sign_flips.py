"""Could a mean over prompts differ from 0 by chance alone?

If a prompt's value is as likely to be -v as +v, then flipping the signs of whole prompts makes data that were just as
likely (Fisher 1935), and Σ ±v over flips is the null distribution of Σ v. The largest statistic of all cells under the
same flips controls the error of the whole family of cells and respects their correlation (Westfall and Young 1993).
p = (1 + draws at least as extreme as observed) / (1 + draws), never 0.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from interp.statistics.exact import check_values, flat_cells, whole_numbers
from interp.statistics.multiplicity import family_wise_p_values

Alternative = Literal["two-sided", "greater", "less"]

# Signs held at once: 2 MiB.
_BLOCK = 2**18


@dataclass(frozen=True)
class SignFlipTest:
    """Result of flipping the signs of prompts.

    Attributes:
        statistic: What was compared: the mean, or in the family-wise test the standardized sum.
        p_value: (1 + draws at least as extreme as observed) / (1 + draws); NaN without prompts.
        count: Prompts that have a value.
        permutations: Number of draws; if `exact`, all sign patterns but the observed one.
        exact: Whether all sign patterns were visited, so that the p-value carries no sampling error.
    """

    statistic: Float[np.ndarray, "*cells"]
    p_value: Float[np.ndarray, "*cells"]
    count: Int[np.ndarray, "*cells"]
    permutations: int
    exact: bool


def sign_flip_test(
    values: Float[np.ndarray, " prompt *cells"],
    seed: int,
    permutations: int = 10_000,
    alternative: Alternative = "two-sided",
) -> SignFlipTest:
    """Mean over prompts and p-value of every cell by itself: is the mean 0 (Fisher 1935)?

    All 2^n sign patterns of n prompts are visited if they are at most `permutations` + 1; otherwise `permutations`
    random patterns are.

    Args:
        values: a number for every prompt and cell, baseline or other condition subtracted; NaN where a prompt has none.
        seed: of random patterns.
        permutations: how many patterns.
        alternative: which deviations from 0 count.

    Raises:
        ValueError: No prompts, an infinite value, or fewer than one permutation.
    """
    whole, exponent, count = _flippable(values, permutations)
    observed = _oriented(whole.sum(axis=0), alternative)
    draws, exceeding = 0, np.zeros(len(count), dtype=np.int64)
    for signs in _sign_blocks(len(values), permutations, seed):
        exceeding += (_oriented(signs @ whole, alternative) >= observed).sum(axis=0)
        draws += len(signs)
    mean = np.divide(whole.sum(axis=0), count, out=np.full(len(count), np.nan), where=count > 0)
    p_value = np.where(count > 0, (1 + exceeding) / (1 + draws), np.nan)
    return _result(values, np.ldexp(mean, exponent), p_value, count, draws)


def max_statistic_test(
    values: Float[np.ndarray, " prompt *cells"],
    seed: int,
    permutations: int = 10_000,
    alternative: Alternative = "two-sided",
) -> SignFlipTest:
    """Standardized sums and family-wise p-values of all cells: which have a mean other than 0 (Westfall and Young 1993)?

    The statistic of a cell is z = Σ v / sqrt(Σ v²), which has variance 1 under sign flips, so that noisy cells do not
    drown quiet ones; it rises with Student's t. A cell's p-value compares its z with the largest z of any cell under
    the same flips.

    Args:
        values: a number for every prompt and cell, baseline or other condition subtracted; NaN where a prompt has none.
        seed: of random patterns.
        permutations: how many patterns.
        alternative: which deviations from 0 count.

    Raises:
        ValueError: No prompts, an infinite value, or fewer than one permutation.
    """
    whole, _, count = _flippable(values, permutations)
    length = np.sqrt(np.square(whole).sum(axis=0))
    scale = np.divide(1.0, length, out=np.zeros_like(length), where=length > 0)
    statistic = np.where(count > 0, whole.sum(axis=0) * scale, np.nan)
    tested = count > 0
    maxima = [
        (_oriented(signs @ whole[:, tested], alternative) * scale[tested]).max(axis=1, initial=-np.inf)
        for signs in _sign_blocks(len(values), permutations, seed)
    ]
    p_value = family_wise_p_values(_oriented(statistic, alternative), np.concatenate(maxima))
    return _result(values, statistic, p_value, count, sum(map(len, maxima)))


def _flippable(
    values: np.ndarray, permutations: int
) -> tuple[Float[np.ndarray, "prompt cell"], Int[np.ndarray, " cell"], Int[np.ndarray, " cell"]]:
    """Whole numbers with 0, which no flip changes, for missing values; their exponents; prompts that have a value."""
    check_values(values, permutations)
    flat = flat_cells(values)
    present = ~np.isnan(flat)
    return *whole_numbers(np.where(present, flat, 0.0)), present.sum(axis=0)


def _sign_blocks(n_prompts: int, permutations: int, seed: int) -> Iterator[Float[np.ndarray, "draw prompt"]]:
    """Blocks of sign patterns: all but the observed one if they are few enough, random ones otherwise."""
    exact = 2**n_prompts - 1 <= permutations
    draws = 2**n_prompts - 1 if exact else permutations
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // n_prompts)
    for start in range(0, draws, rows):
        size = min(rows, draws - start)
        if exact:
            # The bits of 1 to 2^n - 1; 0, no flip at all, is the observation itself.
            flips = np.arange(start + 1, start + 1 + size)[:, None] >> np.arange(n_prompts) & 1
        else:
            flips = generator.integers(2, size=(size, n_prompts))
        yield 1.0 - 2.0 * flips


def _oriented(statistic: np.ndarray, alternative: Alternative) -> np.ndarray:
    """The statistic turned such that large is extreme."""
    turned = {"two-sided": np.abs, "greater": np.positive, "less": np.negative}
    return np.asarray(turned[alternative](statistic))


def _result(
    values: np.ndarray, statistic: np.ndarray, p_value: np.ndarray, count: np.ndarray, draws: int
) -> SignFlipTest:
    """Result in the shape of the cells."""
    shape = values.shape[1:]
    return SignFlipTest(
        statistic=statistic.reshape(shape),
        p_value=p_value.reshape(shape),
        count=count.reshape(shape),
        permutations=draws,
        exact=draws == 2 ** len(values) - 1,
    )
