"""Where does a curve over the moments of a training run change its level, and how sure is the place?

    Σ over segments Σ (x - mean of the segment)² + penalty · changes     least squares, found exactly (PELT, Killick et al. 2012)

penalty = 2 σ² ln n (Yao 1988), σ² the larger of half the mean square of first differences and the sampling variance of the curve,
so that neither noise between moments nor a few prompts make a change; a gradual rise shows as two or three changes, of which the
main one halves the residual best. Moments are counted, not steps: a curve that is looked at in steps of a constant factor is
segmented on a logarithmic axis. Places are resampled over prompts. The p-value asks whether the moments, in a random order,
would be cut as well into two [ours]. Segmentation is that of `ruptures` (Truong et al. 2020), with every place allowed.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.errors import InputError
from interp.statistics.intervals import resampled_means
from interp.statistics.means import mean_over_prompts

LEAST_MOMENTS = 4
"""Moments below which no change is looked for."""

LEAST_TESTED = 8
"""Moments below which no change has p <= .05: of 7, 2 of the 35 ways to choose 3 are cut as well as the clearest step."""

_SHUFFLES = 999
_ROUNDING = 1e-12
_CHANGES = 3
"""Changes that are shown at most, the largest."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a curve.

    Attributes:
        place: the first moment after it, counted from 0.
        low: the earliest such moment in 95 % of resamples of the prompts.
        high: the latest.
        jump: mean of the segment after it less that before, in the unit of the curve.
    """

    place: int
    low: int
    high: int
    jump: float


@dataclass(frozen=True, slots=True)
class Changes:
    """What changes in one curve.

    Attributes:
        main: the single change that explains most; None for a curve that is constant, undefined somewhere, or shorter than
            `LEAST_MOMENTS`.
        all: every change that is worth its penalty, in order; none where the curve is no better cut than left whole.
        explained: share of the variance over moments that the main change explains; NaN without one.
        p_value: share of random orders of the moments that are cut as well; NaN without a main change.
    """

    main: Change | None
    all: tuple[Change, ...]
    explained: float
    p_value: float


NONE = Changes(None, (), np.nan, np.nan)


def changes_of(values: Float[np.ndarray, "prompt moment"], seed: int, resamples: int = 400) -> Changes:
    """The changes of the mean over prompts (Truong et al. 2020), see the module.

    Args:
        values: a number for every prompt and moment; NaN where a prompt has none.
        seed: of resampling prompts and of random orders.
        resamples: of the prompts.

    Raises:
        InputError: if `ruptures` is not installed.
        ValueError: No prompts, an infinite value, or fewer than one resample.
    """
    curve, draws = mean_over_prompts(values), resampled_means(values, seed, resamples)
    return changes_of_draws(np.asarray(curve), draws, seed)


def changes_of_draws(
    curve: Float[np.ndarray, " moment"], draws: Float[np.ndarray, "draw moment"], seed: int
) -> Changes:
    """The changes of a curve that is no plain mean, from its values under resampled prompts; arguments as in `changes_of`.

    Args:
        curve: from all prompts.
        draws: from resampled prompts.
        seed: of random orders.

    Raises:
        InputError: if `ruptures` is not installed.
    """
    count = len(curve)
    flat = np.ptp(curve) <= _ROUNDING * max(1.0, float(np.abs(curve).max(initial=0.0))) if count else True
    if count < LEAST_MOMENTS or not np.isfinite(curve).all() or flat:
        return NONE
    told = draws[np.isfinite(draws).all(1)]
    main = _cut(curve, 1)
    gain = _best_gains(curve[None])[0]
    order = np.random.default_rng(seed).permuted(np.tile(curve, (_SHUFFLES, 1)), axis=1)
    as_good = int((_best_gains(order) >= gain - _ROUNDING * abs(gain)).sum())
    total = float(np.square(curve - curve.mean()).sum())
    return Changes(
        main=_with_intervals(curve, told, main)[0],
        all=_with_intervals(curve, told, _worth_it(curve, told)),
        explained=float(gain / total),
        p_value=(1 + as_good) / (1 + _SHUFFLES),
    )


def _worth_it(curve: np.ndarray, draws: np.ndarray) -> tuple[int, ...]:
    """The places of the changes that are worth their penalty, at most so many."""
    noise = float(np.square(np.diff(curve)).mean() / 2)
    sampling = float(draws.var(0).mean()) if len(draws) > 1 else 0.0
    penalty = 2.0 * max(noise, sampling) * np.log(len(curve))
    model = _ruptures().Pelt(model="l2", min_size=1, jump=1).fit(curve)
    found = tuple(int(place) for place in model.predict(pen=penalty)[:-1])
    return found if len(found) <= _CHANGES else _cut(curve, _CHANGES)


def _cut(curve: np.ndarray, changes: int) -> tuple[int, ...]:
    """The best cut into so many changes and one."""
    model = (
        _ruptures().KernelCPD(kernel="linear", min_size=1, jump=1).fit(np.ascontiguousarray(curve, dtype=np.float64))
    )
    return tuple(int(place) for place in model.predict(n_bkps=changes)[:-1])


def _with_intervals(curve: np.ndarray, draws: np.ndarray, places: tuple[int, ...]) -> tuple[Change, ...]:
    if not places:
        return ()
    anywhere = [(1,) * len(places), (len(curve) - 1,) * len(places)]  # without draws, as of a single prompt
    again = np.array([_cut(draw, len(places)) for draw in draws if np.ptp(draw) > 0] or anywhere)
    low, high = np.quantile(again, [0.025, 0.975], axis=0, method="closest_observation").astype(int)
    parts = np.split(curve, places)
    return tuple(
        Change(place, int(low[index]), int(high[index]), float(parts[index + 1].mean() - parts[index].mean()))
        for index, place in enumerate(places)
    )


def main_places(curves: Float[np.ndarray, "curve moment"]) -> Float[np.ndarray, " curve"]:
    """The first moment after the main change of each of many curves; NaN for one that is constant or undefined somewhere.

    Args:
        curves: one a row.
    """
    told = np.isfinite(curves).all(1) & (np.ptp(curves, axis=1) > _ROUNDING)
    places = np.full(len(curves), np.nan)
    places[told] = _gains(curves[told]).argmax(1) + 1
    return places


def _best_gains(curves: Float[np.ndarray, "curve moment"]) -> Float[np.ndarray, " curve"]:
    return np.asarray(_gains(curves).max(1))


def _gains(curves: Float[np.ndarray, "curve moment"]) -> Float[np.ndarray, "curve place"]:
    """By how much a cut before the second, third, ... moment lowers the squares: n1 n2 / n · (difference of the means)²."""
    count = curves.shape[1]
    before = np.arange(1, count)
    sums = curves.cumsum(1)
    first, rest = sums[:, :-1] / before, (sums[:, -1:] - sums[:, :-1]) / (count - before)
    return np.asarray(before * (count - before) / count * np.square(first - rest))


def _ruptures():  # type: ignore[no-untyped-def]  # the library has no types
    try:
        import ruptures
    except ModuleNotFoundError as error:
        raise InputError(
            "Change points need ruptures, which is not installed. Install it with `pip install 't5-interp[trace]'`."
        ) from error
    return ruptures
