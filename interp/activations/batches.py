"""Rows of a store in batches, shuffled in constant memory: an `IterableDataset` of torch, and an iterator like any other."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import IterableDataset, get_worker_info

from interp.errors import InputError

Activations = Tensor | dict[str, Tensor]
"""Rows of one hook point, [row width]; or, where several were named, hook point -> rows of the same tokens."""

_BLOCK = 64
"""Rows that are read together: what lies side by side on the disk costs one reading."""


class Batches(IterableDataset[tuple[np.ndarray, Activations]]):
    """Batches of rows with their row numbers, every row once.

    Blocks of 64 neighboring rows are drawn in random order, without replacement, into a pool; a full pool is shuffled and handed
    out. So a batch mixes rows of pool / 64 places of the store, and the memory is that of a pool, whatever the store's size.
    Every iteration gives the same order; another epoch takes another seed. Workers of a `DataLoader(..., batch_size=None)` share
    the blocks between them.

    Args:
        take: gives rows of a hook point by their ascending numbers.
        n_rows: that there are.
        hooks: one hook point, or several of one side.
        size: rows of a batch; the last of every worker may have fewer.
        seed: of the order; None keeps that of the corpus.
        rows: numbers of the rows that take part, ascending; None for all.
        pool: rows in the pool.
        numbered: whether batches come with the numbers of their rows.
    """

    def __init__(
        self,
        take: Callable[[str, np.ndarray], Tensor],
        n_rows: int,
        hooks: str | Sequence[str],
        size: int,
        seed: int | None,
        rows: np.ndarray | None,
        pool: int,
        numbered: bool,
    ) -> None:
        self.take, self.hooks, self.size, self.seed, self.numbered = take, hooks, size, seed, numbered
        self.rows = rows
        self.pool = max(pool, size)
        self._n_rows = n_rows

    def __iter__(self) -> Iterator[tuple[np.ndarray, Activations] | Activations]:  # type: ignore[override]
        """Yields rows, or pairs of row numbers and rows."""
        hooks = [self.hooks] if isinstance(self.hooks, str) else list(self.hooks)
        numbers, rows = np.empty(0, dtype=np.int64), dict[str, Tensor]()
        for pool, order in self._pools():
            # A pool is read once, block by block, and shuffled in memory.
            read = {hook: self.take(hook, pool)[order] for hook in hooks}
            rows = {hook: torch.cat([rows[hook], read[hook]]) if len(numbers) else read[hook] for hook in hooks}
            numbers = np.concatenate([numbers, pool[order]])
            whole = len(numbers) // self.size * self.size
            for start in range(0, whole, self.size):
                yield self._given(numbers, rows, slice(start, start + self.size))
            # A copy, so that what is left over does not hold the whole pool.
            numbers, rows = numbers[whole:], {hook: values[whole:].clone() for hook, values in rows.items()}
        if len(numbers):
            yield self._given(numbers, rows, slice(None))

    def _given(
        self, numbers: np.ndarray, rows: dict[str, Tensor], part: slice
    ) -> tuple[np.ndarray, Activations] | Activations:
        found: Activations = (
            rows[self.hooks][part] if isinstance(self.hooks, str) else {h: v[part] for h, v in rows.items()}
        )
        return (numbers[part], found) if self.numbered else found

    def _pools(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Row numbers of every pool, ascending, and the order in which they are handed out."""
        count = self._n_rows if self.rows is None else len(self.rows)
        blocks = np.arange(-(-count // _BLOCK))
        random = None if self.seed is None else np.random.default_rng(self.seed)
        if random is not None:
            random.shuffle(blocks)
        if (worker := get_worker_info()) is not None:
            blocks = blocks[worker.id :: worker.num_workers]
        step = max(1, self.pool // _BLOCK)
        for first in range(0, len(blocks), step):
            chosen = np.sort(blocks[first : first + step])[:, None] * _BLOCK + np.arange(_BLOCK)
            places = chosen[chosen < count]
            order = np.arange(len(places)) if random is None else random.permutation(len(places))
            yield (places if self.rows is None else self.rows[places]), order


def row_numbers(given: Sequence[int] | np.ndarray, count: int, what: str = "Rows") -> np.ndarray:
    """Numbers that choose rows, as whole numbers; a mask or a fraction is no number, and would choose others without a word.

    Args:
        given: the numbers.
        count: how many there are.
        what: is numbered.

    Raises:
        InputError: if they are no list of whole numbers, or there is no such row.
    """
    found = np.asarray(given)
    if found.ndim != 1 or (found.size and found.dtype.kind not in "iu"):
        raise InputError(
            f"{what} are given as a list of their numbers; got {found.dtype} of shape {found.shape}. Of a mask, give "
            "`np.flatnonzero(mask)`."
        )
    if found.size and (found.min() < 0 or found.max() >= count):
        raise InputError(f"{what} are numbered from 0 to {count - 1}; got {found.min()} to {found.max()}.")
    return found.astype(np.int64)


def near_runs(numbers: np.ndarray, gap: int = _BLOCK) -> list[np.ndarray]:
    """Ascending row numbers cut wherever the next is far enough to be read apart.

    Args:
        numbers: ascending.
        gap: rows that are rather read in vain than apart.
    """
    return np.split(numbers, np.flatnonzero(np.diff(numbers) > gap) + 1)
