"""Do heads specialize before the loss falls, or after?

Each head whose score changes has a place, the first moment after its main change, and so has the loss. Compared are the order
statistics of the heads' places with the place of the loss, in moments: below zero is before. Intervals resample the texts, the
same ones for heads and loss. The null puts the moments into random orders, one for all heads and the loss, so that what moves
together stays together; it asks how often the median would lie as far from the loss if the order of the moments meant nothing.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.trace.histories import RoleHistory
from analyses.trace.snapshots import Snapshot
from interp.hooks.names import HeadId
from interp.statistics import resampled_means
from interp.statistics.change_points import main_places

ORDERS = ("earliest", "first quarter", "median", "last quarter", "latest")
_SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
_SHUFFLES = 999
_RESAMPLES = 400


@dataclass(frozen=True, slots=True, eq=False)
class Order:
    """Heads against the loss.

    Attributes:
        heads: those whose scores change.
        places: of each, the first moment after its main change.
        loss: that of the loss.
        before: heads whose change lies before that of the loss.
        same: heads at the same moment.
        after: heads behind it.
        statistics: the order statistics of `ORDERS`, less the place of the loss, in moments.
        low: lower ends of their 95 % intervals under resampled texts.
        high: upper ends.
        p_value: of the median being so far from the loss under random orders of the moments, two-sided.
    """

    heads: tuple[HeadId, ...]
    places: tuple[int, ...]
    loss: int
    before: int
    same: int
    after: int
    statistics: Float[np.ndarray, " order"]
    low: Float[np.ndarray, " order"]
    high: Float[np.ndarray, " order"]
    p_value: float


def order_of(snapshots: Sequence[Snapshot], histories: Mapping[HeadId, RoleHistory], seed: int) -> Order | None:
    """The order of heads and loss; None if no head's score changes, or the loss does not.

    Args:
        snapshots: the moments of one run.
        histories: the one that stands for each head.
        seed: of resampling and of random orders.
    """
    moving = [one for one in histories.values() if one.changed and one.has.any() and one.changes.main is not None]
    losses = np.stack([one.numbers["loss"] for one in snapshots], -1).astype(np.float64)
    curve = losses.mean(0)
    own = float(main_places(curve[None])[0])
    if not moving or np.isnan(own):
        return None
    places = np.array([one.changes.main.place for one in moving if one.changes.main is not None])
    apart = places - own
    low, high = _interval(snapshots, moving, losses, seed)
    return Order(
        heads=tuple(one.head for one in moving),
        places=tuple(int(place) for place in places),
        loss=int(own),
        before=int((apart < 0).sum()),
        same=int((apart == 0).sum()),
        after=int((apart > 0).sum()),
        statistics=np.quantile(apart, _SHARES),
        low=low,
        high=high,
        p_value=_p_value(np.stack([one.score for one in moving]), curve, float(np.median(apart)), seed),
    )


def _p_value(
    scores: Float[np.ndarray, "head moment"], loss: Float[np.ndarray, " moment"], found: float, seed: int
) -> float:
    """How often the median is as far from the loss when the moments of all curves are put into one random order."""
    rng = np.random.default_rng(seed)
    as_far = 0
    for _ in range(_SHUFFLES):
        order = rng.permutation(scores.shape[1])
        places = main_places(np.vstack([loss[None], scores])[:, order])
        as_far += bool(abs(np.median(places[1:]) - places[0]) >= abs(found) - 1e-9)
    return (1 + as_far) / (1 + _SHUFFLES)


def _interval(
    snapshots: Sequence[Snapshot], moving: Sequence[RoleHistory], losses: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """The 95 % range of the order statistics when texts are drawn again; the same seed draws the same texts for all."""
    own = main_places(resampled_means(losses, seed, _RESAMPLES))
    drawn = []
    for one in moving:
        values = np.stack([snapshot.scores[one.head][one.role].values for snapshot in snapshots], -1)
        drawn.append(main_places(resampled_means(values.astype(np.float64), seed, _RESAMPLES)) - own)
    if np.isnan(own).all():  # of a single text nothing is known of others
        return np.full(len(_SHARES), np.nan), np.full(len(_SHARES), np.nan)
    ranked = np.quantile(np.nan_to_num(np.stack(drawn), nan=0.0), _SHARES, axis=0)
    low, high = np.quantile(ranked, [0.025, 0.975], axis=1)
    return low, high
