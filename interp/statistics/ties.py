"""When are two computed numbers equal? Those that differ by rounding alone count alike, on every machine.

Another processor, number of threads or order of rows adds up in another order, and the last digits differ. What is decided by
such digits (a rank, the largest of many, a place among the k nearest) would differ by much more. So values that lie within
`TOLERANCE` times the largest of their row are one value to whoever orders them; and a count of who is among the k largest is
continuous: who is nearly tied for the last place gets a share of it.
"""

import numpy as np
from jaxtyping import Float, Int

TOLERANCE = 1e-5
"""Share of the largest size below which values are equal: a hundred times what float32 rounds."""

NEAR_TIE = 1e-4
"""Difference of cosines or shares below which a place is shared: what rounding adds moves such a share by a thousandth."""

_HALVINGS = 40


def merge_ties(
    values: Float[np.ndarray, "*rows item"], tolerance: float = TOLERANCE
) -> Float[np.ndarray, "*rows item"]:
    """The values of every row, those that differ by rounding alone made equal to the smallest of them; NaN stays.

    Ranks, `argmax` and stable sorting of the result do not depend on rounding. Values so dense that runs of neighbors wider than
    the tolerance form stay as they are: there a place more or less is nothing.

    Args:
        values: any numbers; rows are taken one by one.
        tolerance: how far apart equal values may lie, as a share of the row's largest size.
    """
    places = np.arange(values.shape[-1])
    order = np.argsort(values, axis=-1, kind="stable")
    ordered = np.take_along_axis(values, order, axis=-1)
    reach = tolerance * np.abs(np.where(np.isfinite(values), values, 0)).max(axis=-1, keepdims=True, initial=0)
    with np.errstate(invalid="ignore"):
        apart = ~(np.diff(ordered, axis=-1, prepend=-np.inf) <= reach)
        first = np.maximum.accumulate(np.where(apart, places, 0), axis=-1)
        # The last place of a run lies before the first of the next one.
        ends = np.concatenate([apart[..., 1:], np.ones_like(apart[..., :1])], axis=-1)
        last = np.minimum.accumulate(np.where(ends, places, len(places))[..., ::-1], axis=-1)[..., ::-1]
        low, high = (np.take_along_axis(ordered, end, axis=-1) for end in (first, last))
        together = np.where(high - low <= reach, low, ordered)
    merged = np.empty_like(values)
    np.put_along_axis(merged, order, together, axis=-1)
    return merged


def falling_order(values: Float[np.ndarray, " item"]) -> Int[np.ndarray, " item"]:
    """Places of the values from the largest to the smallest; ties in their own order, NaN last.

    Args:
        values: any numbers.
    """
    return np.argsort(-merge_ties(np.asarray(values, dtype=np.float64)), kind="stable")


def largest(values: Float[np.ndarray, "*cells"]) -> tuple[int, ...]:
    """Index of the largest value, the first one of several; NaN only where all are.

    Args:
        values: any numbers.
    """
    return tuple(map(int, np.unravel_index(falling_order(values.ravel())[0], values.shape)))


def shares_of_largest(
    values: Float[np.ndarray, "*rows item"], k: int, tolerance: float = NEAR_TIE
) -> Float[np.ndarray, "*rows item"]:
    """How much every value of a row is among its k largest, from 0 to 1; a row's shares sum to k.

    They are the values over the tolerance, projected onto such shares: clip((v - θ) / tolerance, 0, 1) with the θ that makes the
    sum k. So they are 0 and 1 where the k-th and the next value differ by more than the tolerance, equal for equal values, and
    change by at most change / tolerance. A row of fewer than k finite values gives each of them 1.

    Args:
        values: any numbers; infinite and missing ones (NaN) have no share.
        k: number of places.
        tolerance: difference of values, absolute, from which on the larger one has the place for itself.
    """
    known = np.where(np.isfinite(values), values, -np.inf).astype(np.float64)
    if known.shape[-1] <= k:
        return np.isfinite(known).astype(np.float64)
    ordered = np.partition(known, (-k - 1, -k), axis=-1)
    last, beyond = ordered[..., -k, None], ordered[..., -k - 1, None]
    shares = ((known >= last) & np.isfinite(known)).astype(np.float64)
    with np.errstate(invalid="ignore"):
        close = (last - beyond)[..., 0] < tolerance
    # Both ends of the search: with θ at the k-th value less than k places are given away, a tolerance below it at least k.
    high, rows = last[close], known[close]
    low = high - tolerance
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = np.clip((rows - middle) / tolerance, 0.0, 1.0).sum(axis=-1, keepdims=True) >= k
        low, high = np.where(enough, middle, low), np.where(enough, high, middle)
    shares[close] = np.clip((rows - low) / tolerance, 0.0, 1.0)
    return shares
