"""How far could a mean over prompts be off, had we drawn other prompts?

Bootstrap (Efron and Tibshirani 1993): draw n of n prompts with replacement, take the mean (or the ratio of two means) of
the draw, repeat; the interval runs between percentiles of these means. A draw is a vector w of counts, so that all
means of a block of draws are one matrix product, Σ w v / Σ w. Comparisons are paired by prompt (Koehn 2004).
Memory does not grow with the number of prompts times the number of draws: weights live a block, draws a chunk of cells.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from types import EllipsisType
from typing import SupportsIndex

import numpy as np
from jaxtyping import Float, Int

from interp.statistics.exact import check_values, flat_cells, whole_numbers

Place = SupportsIndex | slice | EllipsisType
Index = Place | tuple[Place, ...]

# Numbers held at once: 2 MiB of weights a block, 16 MiB of draws a chunk of cells.
_BLOCK = 2**18
_CHUNK = 2**21


@dataclass(frozen=True)
class Interval:
    """Point estimates with confidence bounds.

    Attributes:
        point: Estimate from all prompts; NaN without any.
        low: Lower bound; NaN for fewer than two prompts.
        high: Upper bound; NaN for fewer than two prompts.
        count: Prompts that have a value.
    """

    point: Float[np.ndarray, "*cells"]
    low: Float[np.ndarray, "*cells"]
    high: Float[np.ndarray, "*cells"]
    count: Int[np.ndarray, "*cells"]

    def __getitem__(self, index: Index) -> "Interval":
        """Some of the cells, indexed as `point` is."""
        return Interval(*(np.asarray(part[index]) for part in (self.point, self.low, self.high, self.count)))


@dataclass(frozen=True)
class _Ratio:
    """Sums of two quantities over prompts that have both, as whole numbers times 2^exponent."""

    top: Float[np.ndarray, "prompt cell"]
    bottom: Float[np.ndarray, "prompt cell"]
    exponent: Int[np.ndarray, " cell"]
    count: Int[np.ndarray, " cell"]

    def under(self, weights: Float[np.ndarray, "draw prompt"]) -> Float[np.ndarray, "draw cell"]:
        """Σ w top / Σ w bottom, NaN where the lower sum is 0."""
        top, bottom = weights @ self.top, weights @ self.bottom
        ratio = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)
        return np.asarray(np.ldexp(ratio, self.exponent))


def resampled_means(
    values: Float[np.ndarray, " prompt *cells"], seed: int, resamples: int = 10_000
) -> Float[np.ndarray, " resample *cells"]:
    """Means over bootstrap resamples of the prompts, for statistics of means that have no function here.

    NaN where no prompt of a resample has a value. The same seed draws the same prompts as in the intervals below.

    Args:
        values: a number for every prompt and cell; NaN where a prompt has none.
        seed: of the draws.
        resamples: how many draws.

    Raises:
        ValueError: No prompts, an infinite value, or fewer than one resample.
    """
    check_values(values, resamples)
    flat = flat_cells(values)
    return _draws(_ratio(flat, np.ones_like(flat)), seed, resamples).reshape(resamples, *values.shape[1:])


def bootstrap_mean(
    values: Float[np.ndarray, " prompt *cells"], seed: int, resamples: int = 10_000, level: float = 0.95
) -> Interval:
    """Mean over prompts with the percentile interval of its bootstrap distribution (Efron and Tibshirani 1993).

    Percentile intervals are somewhat short for few prompts: with 10 prompts, a nominal 95 % cover about 90 %.

    Args:
        values: a number for every prompt and cell; NaN where a prompt has none.
        seed: of the draws.
        resamples: how many draws.
        level: confidence of the interval.

    Raises:
        ValueError: No prompts, an infinite value, fewer than one resample, or a level outside (0, 1).
    """
    return bootstrap_ratio(values, np.ones_like(values), seed, resamples, level)


def bootstrap_difference(
    first: Float[np.ndarray, " prompt *cells"],
    second: Float[np.ndarray, " prompt *cells"],
    seed: int,
    resamples: int = 10_000,
    level: float = 0.95,
) -> Interval:
    """Mean of first - second, paired by prompt, with its percentile interval (Koehn 2004).

    Args:
        first: a number for every prompt and cell.
        second: another; a prompt needs both values.
        seed: of the draws.
        resamples: how many draws.
        level: confidence of the interval.

    Raises:
        ValueError: Unequal shapes, or as for `bootstrap_mean`.
    """
    _check_shapes(first, second)
    for values in (first, second):
        check_values(values, resamples)
    return bootstrap_mean(np.subtract(first, second, dtype=np.float64), seed, resamples, level)


def bootstrap_ratio(
    numerators: Float[np.ndarray, " prompt *cells"],
    denominators: Float[np.ndarray, " prompt *cells"],
    seed: int,
    resamples: int = 10_000,
    level: float = 0.95,
) -> Interval:
    """Ratio of means, Σ numerator / Σ denominator, with its percentile interval (Efron and Tibshirani 1993).

    Resamples whose denominators sum to zero are left out. Where denominators of both signs bring that sum near zero,
    no interval of a ratio can be trusted: look at the interval of the denominators first.

    Args:
        numerators: a number for every prompt and cell.
        denominators: another; a prompt needs both values.
        seed: of the draws.
        resamples: how many draws.
        level: confidence of the interval.

    Raises:
        ValueError: Unequal shapes, no prompts, an infinite value, fewer than one resample, or a level outside (0, 1).
    """
    if not 0.0 < level < 1.0:
        raise ValueError(f"Confidence level is {level}; it must lie between 0 and 1, such as 0.95.")
    _check_shapes(numerators, denominators)
    for values in (numerators, denominators):
        check_values(values, resamples)
    top, bottom = flat_cells(numerators), flat_cells(denominators)
    points, bounds, counts = [], [], []
    width = max(1, _CHUNK // resamples)
    for start in range(0, max(1, top.shape[1]), width):
        ratio = _ratio(top[:, start : start + width], bottom[:, start : start + width])
        points.append(ratio.under(np.ones((1, len(top))))[0])
        # Every chunk draws from the seed anew, hence the same prompts.
        enough = np.where(ratio.count >= 2, 0.0, np.nan)
        bounds.append(_percentiles(_draws(ratio, seed, resamples), level) + enough)
        counts.append(ratio.count)
    shape = numerators.shape[1:]
    low, high = np.concatenate(bounds, axis=1)
    return Interval(
        point=np.concatenate(points).reshape(shape),
        low=low.reshape(shape),
        high=high.reshape(shape),
        count=np.concatenate(counts).reshape(shape),
    )


def _check_shapes(first: np.ndarray, second: np.ndarray) -> None:
    """Refuse to broadcast: it would pair values of different prompts or cells."""
    if first.shape != second.shape:
        raise ValueError(
            f"Shapes {first.shape} and {second.shape} differ; give both quantities for the same prompts and cells."
        )


def _ratio(top: Float[np.ndarray, "prompt cell"], bottom: Float[np.ndarray, "prompt cell"]) -> _Ratio:
    """Both quantities where a prompt has both, and 0, which adds nothing, elsewhere."""
    both = ~np.isnan(top) & ~np.isnan(bottom)
    whole_top, exponent_top = whole_numbers(np.where(both, top, 0.0))
    whole_bottom, exponent_bottom = whole_numbers(np.where(both, bottom, 0.0))
    return _Ratio(whole_top, whole_bottom, exponent_top - exponent_bottom, both.sum(axis=0))


def _weights(n_prompts: int, seed: int, resamples: int) -> Iterator[Float[np.ndarray, "draw prompt"]]:
    """Blocks of draws: how often each prompt occurs in each resample."""
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // n_prompts)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = generator.integers(n_prompts, size=(size, n_prompts))
        drawn += n_prompts * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)


def _draws(ratio: _Ratio, seed: int, resamples: int) -> Float[np.ndarray, "resample cell"]:
    """The ratio in every resample."""
    return np.concatenate([ratio.under(weights) for weights in _weights(len(ratio.top), seed, resamples)])


def _percentiles(draws: Float[np.ndarray, "resample cell"], level: float) -> Float[np.ndarray, "2 cell"]:
    """Lower and upper percentile of each cell's draws; draws without a value are left out."""
    tails = [(1 - level) / 2, (1 + level) / 2]
    bounds = np.full((2, draws.shape[1]), np.nan)
    missing = np.isnan(draws)
    whole = ~missing.any(axis=0)
    some = ~whole & ~missing.all(axis=0)
    bounds[:, whole] = np.quantile(draws[:, whole], tails, axis=0)
    bounds[:, some] = np.nanquantile(draws[:, some], tails, axis=0)
    return bounds
