"""A store of activations, read: rows by number from mapped files, what they are from the index, batches to train on."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from interp.activations.batches import Batches, near_runs, row_numbers
from interp.activations.manifest import (
    ACTIVATIONS,
    SCALE,
    StoreManifest,
    data_library,
    index_path,
    is_store,
    read_manifest,
    shard_path,
)
from interp.activations.tokens import COLUMNS
from interp.errors import InputError, is_count, reason
from interp.hooks.names import canonical_name, resolve
from interp.hooks.steps import of_source
from interp.text.tokenized_text import Side

_POOL = 16_384
_OPEN_SHARDS = 64


class ActivationStore:
    """The activations of a corpus at some hook points, one row a token, on disk.

    Opening a store reads its manifest alone. Rows of one side are numbered in the order of the corpus, prompt by prompt, and are
    the same tokens at every hook point of that side.

    Args:
        folder: that `write_activations` returned, or the one above it if it holds a single store.

    Attributes:
        folder: of the store.
        manifest: what it says of itself.

    Raises:
        InputError: if there is no finished store, or it was written as Arrow.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = _single(Path(folder))
        self.manifest: StoreManifest = read_manifest(self.folder)
        if self.manifest.recipe.layout == "arrow":
            sides = ", ".join(str(self.folder / side) for side in self.manifest.sides)
            raise InputError(f"This store was written as Arrow; open {sides} with `datasets.load_from_disk`.")

    def __repr__(self) -> str:
        sides = ", ".join(f"{record.rows:,} {side} rows" for side, record in self.manifest.sides.items())
        recipe = self.manifest.recipe
        return f"ActivationStore({len(recipe.hooks)} hook points, {sides}, {recipe.stored_as})"

    @property
    def hooks(self) -> tuple[str, ...]:
        """Its hook points, in forward order."""
        return self.manifest.recipe.hooks

    def side(self, hook: str) -> Side:
        """Whose tokens the rows at a hook point are.

        Args:
            hook: its name.

        Raises:
            HookNameError: if the store has no such point.
        """
        return "source" if of_source(resolve(hook, self.hooks)) else "target"

    def width(self, hook: str) -> int:
        """Numbers a row at a hook point; of heads those of all heads, one after another.

        Args:
            hook: its name.
        """
        return self.manifest.sides[self.side(hook)].widths[canonical_name(hook)]

    def n_rows(self, side: Side) -> int:
        """Tokens of a side.

        Args:
            side: `source` or `target`.

        Raises:
            InputError: if the store has no hook point of that side.
        """
        if side not in self.manifest.sides:
            raise InputError(f"This store has no {side} rows; it holds {', '.join(self.hooks)}.")
        return self.manifest.sides[side].rows

    def read(self, hook: str, start: int = 0, stop: int | None = None) -> Tensor:
        """Neighboring rows of a hook point, [row width], in the type they are stored in; those of int8 as float32.

        Args:
            hook: its name.
            start: the first row.
            stop: behind the last; by default that of the store.

        Raises:
            InputError: if a number is below 0, or a shard cannot be read.
        """
        if start < 0 or (stop is not None and stop < 0):
            raise InputError(f"Rows are counted from 0; got {start} to {stop}.")
        name, per_shard = resolve(hook, self.hooks), self.manifest.recipe.rows_per_shard
        stop = min(self.n_rows(self.side(name)), self.n_rows(self.side(name)) if stop is None else stop)
        parts = [
            self._part(name, shard, max(start - shard * per_shard, 0), min(stop - shard * per_shard, per_shard))
            for shard in range(start // per_shard, -(-stop // per_shard))
        ]
        return torch.cat(parts) if parts else torch.empty(0, self.width(name))

    def take(self, hook: str, rows: Sequence[int] | np.ndarray) -> Tensor:
        """Rows of a hook point by their numbers, in that order, [row width], as `read` gives them.

        Args:
            hook: its name.
            rows: their numbers.

        Raises:
            InputError: if there is no such row, or they are no whole numbers (a mask).
        """
        wanted = row_numbers(rows, self.n_rows(self.side(hook)))
        order = np.argsort(wanted, kind="stable")
        parts = [
            self.read(hook, int(run[0]), int(run[-1]) + 1)[torch.from_numpy(run - run[0])]
            for run in near_runs(wanted[order])
            if len(run)
        ]
        if not parts:
            return torch.empty(0, self.width(hook))
        return torch.cat(parts)[torch.from_numpy(np.argsort(order, kind="stable"))]

    def index(self, side: Side, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """What the rows of a side are: prompt, id, position, token, piece, what the row reads, word, category.

        Args:
            side: `source` or `target`.
            columns: some of them (`interp.activations.tokens.COLUMNS`); all by default.

        Raises:
            InputError: if the store has no such side or column, its index cannot be read, or the extra `data` is not installed.
        """
        self.n_rows(side)
        parquet = data_library("pyarrow.parquet")
        shards = range(self.manifest.sides[side].shards)
        wanted = None if columns is None else [columns] if isinstance(columns, str) else list(columns)
        unknown = [name for name in wanted or () if name not in ("side", *COLUMNS)]
        if unknown:
            raise InputError(f"The index has no column {unknown[0]!r}; it has side, {', '.join(COLUMNS)}.")
        paths = [self.folder / index_path(side, shard) for shard in shards]
        try:
            parts = [parquet.read_table(path, columns=wanted).to_pandas() for path in paths]
        except (OSError, ValueError) as error:  # as which Arrow's own are
            raise InputError(
                f"The index of {str(self.folder)!r} cannot be read ({reason(error)}); write the store again."
            ) from None
        found: pd.DataFrame = pd.concat(parts, ignore_index=True)
        return found

    def batches(
        self,
        size: int,
        seed: int | None,
        hooks: str | Sequence[str] | None = None,
        rows: Sequence[int] | np.ndarray | None = None,
        pool: int = _POOL,
        numbered: bool = False,
    ) -> Iterable[Any]:
        """The `Batches`: rows in random order and constant memory; an `IterableDataset` for `DataLoader(..., batch_size=None)`.

        Args:
            size: rows of a batch.
            seed: of the order; None keeps that of the corpus.
            hooks: one hook point, for tensors; several of one side, for dicts of tensors of the same tokens. By default the
                store's only one, or all of them.
            rows: numbers of the rows that take part; all by default.
            pool: rows that are held and shuffled together.
            numbered: also give the numbers of the rows.

        Raises:
            InputError: if sizes are below 1, the seed is below 0, hook points are of two sides or none, or there is no such row.
        """
        if not is_count(size) or not is_count(pool):
            raise InputError(f"Batches and the pool have 1 row or more; got {size!r} and {pool!r}.")
        if (seed is not None and seed != 0 and not is_count(seed)) or isinstance(seed, bool):
            raise InputError(f"A seed is a whole number from 0, or None for the order of the corpus; got {seed!r}.")
        chosen = (self.hooks if len(self.hooks) > 1 else self.hooks[0]) if hooks is None else hooks
        names = [resolve(hook, self.hooks) for hook in ([chosen] if isinstance(chosen, str) else chosen)]
        if not names:
            raise InputError(f"Batches are of one hook point or more; this store has {', '.join(self.hooks)}.")
        if len({self.side(name) for name in names}) > 1:
            raise InputError(
                "These hook points have rows of both sides, which are different tokens; name those of one side."
            )
        count = self.n_rows(self.side(names[0]))
        subset = None if rows is None else np.unique(row_numbers(rows, count))
        named = names[0] if isinstance(chosen, str) else names
        return Batches(self.take, count, named, size, seed, subset, pool, numbered)

    def _part(self, name: str, shard: int, start: int, stop: int) -> Tensor:
        path = self.folder / shard_path(name, shard)
        try:
            file = _opened(path)
            rows: Tensor = file.get_slice(ACTIVATIONS)[start:stop]
            if self.manifest.recipe.stored_as != "int8":
                return rows
            scale: Tensor = file.get_slice(SCALE)[start:stop]
        except (OSError, SafetensorError) as error:
            raise InputError(
                f"The shard {path.name!r} in {str(path.parent)!r} cannot be read ({reason(error)}); write the store again."
            ) from None
        return rows.to(torch.float32) * scale


@lru_cache(_OPEN_SHARDS)
def _opened(path: Path) -> Any:
    """A mapped file; a few stay open, since opening costs more than reading a row."""
    return safe_open(path, framework="pt")


def _single(folder: Path) -> Path:
    """The store in a folder: itself, or the only one below it."""
    if is_store(folder) or not folder.is_dir():
        return folder
    found = sorted(child for child in folder.iterdir() if child.is_dir() and is_store(child))
    if len(found) > 1:
        raise InputError(f"{str(folder)!r} holds {len(found)} stores; give one, as {str(found[0])!r}.")
    return found[0] if found else folder
