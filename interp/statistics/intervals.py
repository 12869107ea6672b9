"""How far could a mean over prompts be off, had we drawn other prompts?

Bootstrap-t (Efron and Tibshirani 1993, chapter 12.5): draw n of n prompts with replacement, take the mean (or the ratio of two
means) of the draw *in units of its own standard error*, repeat; the quantiles t* of these studentized draws give the interval
[m - t*(97.5 %) s, m - t*(2.5 %) s]. Unlike percentiles of the means, it covers what it says for few and skewed values (Hall
1988): with 8 prompts a nominal 95 % cover 95 (normal) and 94 (exponential), percentiles 89 and 84; the table for other sizes and
distributions is in the method cards (`benchmarks/coverage.py` makes it). Half a pseudo-observation of the sample's own variance
keeps draws of equal values from having no standard error [ours]. Below six values nothing is estimated: the interval is their
range. A draw is a vector w of counts, so that all sums of a block of draws are matrix products. Comparisons are paired by prompt
(Koehn 2004). Memory does not grow with the number of prompts times the number of draws: weights live a block, draws a chunk of
cells.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from interp.statistics.exact import check_values, flat_cells, whole_numbers
from interp.statistics.interval import LEAST, Interval
from interp.statistics.resample_weights import resample_weights

_PSEUDO = 0.5

_CHUNK = 2**21
"""Numbers held at once: 16 MiB of draws."""


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

    NaN where no prompt of a resample has a value, and where fewer than two prompts have one, for nothing is known of how far
    others are from it. The same seed draws the same prompts as in the intervals below.

    Args:
        values: a number for every prompt and cell; NaN where a prompt has none.
        seed: of the draws.
        resamples: how many draws.

    Raises:
        ValueError: No prompts, an infinite value, or fewer than one resample.
    """
    check_values(values, resamples)
    flat = flat_cells(values)
    drawn = _draws(_ratio(flat, np.ones_like(flat)), seed, resamples)
    drawn[:, (~np.isnan(flat)).sum(axis=0) < 2] = np.nan
    return drawn.reshape(resamples, *values.shape[1:])


def bootstrap_mean(
    values: Float[np.ndarray, " prompt *cells"], seed: int, resamples: int = 10_000, level: float = 0.95
) -> Interval:
    """Mean over prompts with its bootstrap-t interval (Efron and Tibshirani 1993).

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
    """Mean of first - second, paired by prompt, with its bootstrap-t interval (Koehn 2004).

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
    """Ratio of means, Σ numerator / Σ denominator, with its bootstrap-t interval (Efron and Tibshirani 1993).

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
        upper, lower = top[:, start : start + width], bottom[:, start : start + width]
        ratio = _ratio(upper, lower)
        points.append(ratio.under(np.ones((1, len(top))))[0])
        counts.append(ratio.count)
        del ratio  # of a corpus every column counts
        # Every chunk draws from the seed anew, hence the same prompts.
        bounds.append(_bounds(upper, lower, points[-1], counts[-1], seed, resamples, level))
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


def _draws(ratio: _Ratio, seed: int, resamples: int) -> Float[np.ndarray, "resample cell"]:
    """The ratio in every resample."""
    return np.concatenate([ratio.under(weights) for weights in resample_weights(len(ratio.top), seed, resamples)])


def _bounds(
    top: Float[np.ndarray, "prompt cell"],
    bottom: Float[np.ndarray, "prompt cell"],
    points: Float[np.ndarray, " cell"],
    count: Int[np.ndarray, " cell"],
    seed: int,
    resamples: int,
    level: float,
) -> Float[np.ndarray, "2 cell"]:
    """Both ends of the interval of every cell."""
    sample = _Studentizer.of(top, bottom, points)
    studentized = np.concatenate([sample.under(weights) for weights in resample_weights(len(top), seed, resamples)])
    bounds = points - _quantiles(studentized, [(1 + level) / 2, (1 - level) / 2]) * sample.error
    few = count < LEAST
    bounds[:, few] = _ranges(top[:, few], bottom[:, few])
    return np.where(count >= 2, bounds, np.nan)


@dataclass(frozen=True)
class _Studentizer:
    """What a draw needs for a ratio of means in units of its standard error (delta method), as sums that no order changes.

    With u = (top - R bottom) / mean(bottom) and b = bottom / mean(bottom), a draw w of n' values has d = R' - R = Σ w u / Σ w b
    and the variance Σ w (u - d b)² / (n' mean(b)²).

    Attributes:
        sums: whole numbers and exponents of present, u, u², and of b, u b, b² unless b is 1, as in means.
        variance: of u over the sample.
        error: standard error of the sample's own ratio.
    """

    sums: tuple[tuple[np.ndarray, np.ndarray], ...]
    variance: Float[np.ndarray, " cell"]
    error: Float[np.ndarray, " cell"]

    @classmethod
    def of(cls, top: np.ndarray, bottom: np.ndarray, points: np.ndarray) -> "_Studentizer":
        present = (~np.isnan(top) & ~np.isnan(bottom)).astype(np.float64)
        count = present.sum(0)
        total = _exact_sum(np.where(present > 0, bottom, 0.0))
        mean = np.divide(total, count, out=np.ones_like(count), where=(count > 0) & (total != 0))
        b = np.where(present > 0, bottom / mean, 0.0)
        u = np.where(present > 0, (top - np.nan_to_num(points) * bottom) / mean, 0.0)
        variance = np.divide(_exact_sum(u**2), count, out=np.zeros_like(count), where=count > 0)
        parts = [present, u, u**2] if np.array_equal(b, present) else [present, u, u**2, b, u * b, b**2]
        del present, u, b  # each is let go as its whole numbers are made
        sums = tuple(whole_numbers(parts.pop(0)) for _ in range(len(parts)))
        return cls(sums, variance, np.sqrt(variance / np.maximum(count - 1, 1)))

    def under(self, weights: Float[np.ndarray, "draw prompt"]) -> Float[np.ndarray, "draw cell"]:
        """(R' - R) / standard error, for every draw; NaN where a draw has no value."""
        n, u, uu, *rest = (np.ldexp(weights @ whole, exponent) for whole, exponent in self.sums)
        b, ub, bb = rest or (n, u, n)
        with np.errstate(divide="ignore", invalid="ignore"):
            shift = u / b
            spread = np.maximum(uu - 2 * shift * ub + shift**2 * bb, 0.0) * (n / b) ** 2
            own = (spread + _PSEUDO * self.variance) / (n + _PSEUDO)
            return np.where(own > 0, shift * np.sqrt(n / own), np.where(n > 0, 0.0, np.nan))


def _exact_sum(values: Float[np.ndarray, "prompt cell"]) -> Float[np.ndarray, " cell"]:
    """Sums over prompts, the same to the bit in any order of prompts and memory."""
    whole, exponent = whole_numbers(values)
    return np.asarray(np.ldexp(whole.sum(0), exponent))


def _ranges(top: np.ndarray, bottom: np.ndarray) -> Float[np.ndarray, "2 cell"]:
    """The smallest and the largest value of every cell; NaN without any."""
    values = np.divide(top, bottom, out=np.full_like(top, np.nan), where=bottom != 0)
    low, high = np.where(np.isnan(values), np.inf, values).min(0), np.where(np.isnan(values), -np.inf, values).max(0)
    return np.where(np.isfinite([low, high]), [low, high], np.nan)


def _quantiles(draws: Float[np.ndarray, "draw cell"], tails: list[float]) -> Float[np.ndarray, "2 cell"]:
    """Quantiles of each cell's draws; draws without a value are left out."""
    found = np.full((2, draws.shape[1]), np.nan)
    missing = np.isnan(draws)
    whole = ~missing.any(axis=0)
    some = ~whole & ~missing.all(axis=0)
    found[:, whole] = np.quantile(draws[:, whole], tails, axis=0)
    found[:, some] = np.nanquantile(draws[:, some], tails, axis=0)
    return found
