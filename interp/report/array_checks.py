"""What must hold of the arrays of a drawing: shape, length, no infinite value, ends of intervals in order.

Every array is copied to read-only float64, so a drawing never changes after it is made.
"""

from collections.abc import Sequence

import numpy as np


def freeze(owner: object, field: str, dimensions: int) -> np.ndarray:
    """Replace one field by a read-only float64 copy and check its number of dimensions and its values."""
    array = np.array(getattr(owner, field), dtype=np.float64)
    if array.ndim != dimensions or array.size == 0:
        raise ValueError(
            f"{type(owner).__name__}.{field} must be a non-empty array with {dimensions} dimension(s), "
            f"got shape {array.shape}."
        )
    if np.isinf(array).any():
        raise ValueError(
            f"{type(owner).__name__}.{field} holds an infinite value; give NaN where a value is not defined."
        )
    array.setflags(write=False)
    object.__setattr__(owner, field, array)
    return array


def check_length(owner: object, field: str, items: Sequence[object] | np.ndarray, wanted: int) -> None:
    """Refuse a field that has not as many entries as are wanted."""
    if len(items) != wanted:
        raise ValueError(f"{type(owner).__name__}.{field} must have {wanted} entries, got {len(items)}.")


def freeze_interval(owner: object, wanted: int) -> None:
    """Freeze `low` and `high`, which are given together or not at all."""
    given = [getattr(owner, field) is not None for field in ("low", "high")]
    if given[0] != given[1]:
        raise ValueError(f"{type(owner).__name__} has one end of an interval: give both low and high, or neither.")
    if not given[0]:
        return
    low, high = freeze(owner, "low", 1), freeze(owner, "high", 1)
    check_length(owner, "low", low, wanted)
    check_length(owner, "high", high, wanted)
    if (low > high).any():
        raise ValueError(
            f"{type(owner).__name__}.low lies above high at entry {int(np.argmax(low > high))}; "
            "give intervals as (low, high)."
        )


def freeze_choice(owner: object, field: str, shape: tuple[int, ...], count: int) -> None:
    """Replace one field by a read-only copy of whole numbers and check that each is -1 or one of `count` choices."""
    array = np.array(getattr(owner, field), dtype=np.int64)
    if array.shape != shape or (array < -1).any() or (array >= count).any():
        raise ValueError(
            f"{type(owner).__name__}.{field} must be whole numbers from -1 to {count - 1} of shape {shape}, got shape "
            f"{array.shape} with {array.min(initial=0)} to {array.max(initial=0)}."
        )
    array.setflags(write=False)
    object.__setattr__(owner, field, array)
