"""What must hold of the arrays of a chart: shape, length, no infinite value, ends of intervals in order."""

import numpy as np


class ArrayFields:
    """A frozen dataclass with arrays: each is copied to read-only float64, so that a chart never changes after it is made.

    Raises:
        ValueError: if an array has not the promised shape, or the fields do not fit each other.
    """

    def _freeze(self, field: str, dimensions: int) -> np.ndarray:
        array = np.array(getattr(self, field), dtype=np.float64)
        name = f"{type(self).__name__}.{field}"
        if array.ndim != dimensions or array.size == 0:
            raise ValueError(
                f"{name} must be a non-empty array with {dimensions} dimension(s), got shape {array.shape}."
            )
        if np.isinf(array).any():
            raise ValueError(f"{name} holds an infinite value; give NaN where a value is not defined.")
        return self._keep(field, array)

    def _freeze_choice(self, field: str, shape: tuple[int, ...], count: int) -> None:
        """Whole numbers, each -1 or one of `count` choices."""
        array = np.array(getattr(self, field), dtype=np.int64)
        if array.shape != shape or (array < -1).any() or (array >= count).any():
            raise ValueError(
                f"{type(self).__name__}.{field} must be whole numbers from -1 to {count - 1} of shape {shape}, got shape "
                f"{array.shape} with {array.min(initial=0)} to {array.max(initial=0)}."
            )
        self._keep(field, array)

    def _keep(self, field: str, array: np.ndarray) -> np.ndarray:
        array.setflags(write=False)
        object.__setattr__(self, field, array)
        return array

    def _check_length(self, wanted: int, *names: str) -> None:
        for name in names:
            if len(getattr(self, name)) != wanted:
                got = len(getattr(self, name))
                raise ValueError(f"{type(self).__name__}.{name} must have {wanted} entries, got {got}.")

    def _freeze_interval(self, wanted: int) -> None:
        """Freeze `low` and `high`, which are given together or not at all."""
        given = [getattr(self, field) is not None for field in ("low", "high")]
        name = type(self).__name__
        if given[0] != given[1]:
            raise ValueError(f"{name} has one end of an interval: give both low and high, or neither.")
        if given[0]:
            low, high = self._freeze("low", 1), self._freeze("high", 1)
            self._check_length(wanted, "low", "high")
            if (low > high).any():
                first = int(np.argmax(low > high))
                raise ValueError(f"{name}.low lies above high at entry {first}; give intervals as (low, high).")
