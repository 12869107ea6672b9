"""The shards of one side, one after another, and the record that each leaves: what is recorded is whole and not made again."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from torch import Tensor

from interp.activations.manifest import Recipe, arrow_path, index_path, shard_path
from interp.activations.shard_files import ArrowShard, IndexShard, SafetensorsShard, as_stored
from interp.activations.tokens import TokenRows
from interp.errors import InputError
from interp.input_files import file_hash, parse_json, read_regular
from interp.output_files import part_of, write_whole
from interp.text.tokenized_text import Side

RECORDS = ".shards"
"""Folder of the records of shards, which a finished store no longer has."""


@dataclass(frozen=True, slots=True)
class Reached:
    """How far a side has come.

    Attributes:
        shards: that are whole.
        batch: the first batch that is not all in them.
        skip: rows of that batch that are.
        rows: in these shards.
        files: relative path -> sha256 of the files of these shards.
        widths: hook point -> numbers a row; empty before the first shard.
    """

    shards: int = 0
    batch: int = 0
    skip: int = 0
    rows: int = 0
    files: Mapping[str, str] = field(default_factory=dict)
    widths: Mapping[str, int] = field(default_factory=dict)


def reached(folder: Path, side: Side) -> Reached:
    """How far an earlier, interrupted call has come: up to the last shard that left a record.

    Args:
        folder: of the store.
        side: whose shards.
    """
    files: dict[str, str] = {}
    last = Reached()
    while (path := _record(folder, side, last.shards)).is_file():
        try:
            found = parse_json(read_regular(path, follow_links=False))
            files |= found["files"]
            if any((folder / name).is_symlink() or not (folder / name).is_file() for name in found["files"]):
                break
            last = Reached(last.shards + 1, found["batch"], found["skip"], found["rows"], dict(files), found["widths"])
        except (OSError, ValueError, KeyError, TypeError):
            break  # a record that is none is made again with its shard
    return last


def _record(folder: Path, side: Side, shard: int) -> Path:
    return folder / RECORDS / f"{side}-{shard:05d}.json"


class SideWriter:
    """Writes the rows of one side.

    Args:
        folder: of the store.
        side: whose rows.
        hooks: its hook points.
        recipe: of the store.

    Attributes:
        done: how far an earlier call has come with whole shards.
        shards: that are whole by now.
        widths: hook point -> numbers a row, once known.
    """

    def __init__(self, folder: Path, side: Side, hooks: Sequence[str], recipe: Recipe) -> None:
        self.folder, self.side, self.hooks, self.recipe = folder, side, tuple(hooks), recipe
        self.done = reached(folder, side)
        self._recipe = recipe.digest()
        self.widths: dict[str, int] = dict(self.done.widths)
        self._files: dict[str, str] = dict(self.done.files)
        self.shards = self.done.shards
        self._whole = self.done.rows
        self._filled = 0
        self._open: list[SafetensorsShard] | ArrowShard = []
        self._index: IndexShard | None = None

    @property
    def rows(self) -> int:
        """Rows written by now, in whole shards and in the one at work."""
        return self._whole + self._filled

    def add(self, rows: TokenRows, tensors: Mapping[str, Tensor], batch: int) -> None:
        """Write the rows of a batch that are not in whole shards already.

        Args:
            rows: of the batch.
            tensors: hook point -> [batch pos ...].
            batch: its number.

        Raises:
            InputError: if a number is not finite in the type of the store.
        """
        if batch < self.done.batch or not len(rows):
            return
        start = self.done.skip if batch == self.done.batch else 0
        stored = {name: self._stored(name, tensors[name], rows) for name in self.hooks}
        while start < len(rows):
            if self._index is None:
                self._begin()
            stop = min(len(rows), start + self.recipe.rows_per_shard - self._filled)
            self._write(stored, rows, start, stop)
            self._filled, start = self._filled + stop - start, stop
            if self._filled == self.recipe.rows_per_shard:
                self._end(batch, stop)

    def finish(self, batches: int) -> dict[str, str]:
        """End the last shard; relative path -> sha256 of all files of the side.

        Args:
            batches: how many there were.
        """
        if self._filled:
            self._end(batches, 0)
        return self._files

    def abandon(self) -> None:
        """Close what is open; shards that are whole stay for the next call."""
        if self._index is not None:
            self._index.abandon()
            for shard in self._open if isinstance(self._open, list) else [self._open]:
                shard.abandon()

    def _stored(self, name: str, tensor: Tensor, rows: TokenRows) -> tuple[Tensor, Tensor | None]:
        flat = tensor.reshape(tensor.shape[0] * tensor.shape[1], -1)
        self.widths[name] = flat.shape[1]
        chosen = flat.index_select(0, rows.flat.to(flat.device)).cpu()
        values, scale = as_stored(chosen, self.recipe.stored_as)
        if not bool(torch.isfinite(values if scale is None else scale).all()):
            raise InputError(
                f"An activation at {name} is not finite as {self.recipe.stored_as}; store it as bfloat16 or float32, and load "
                "the model in float32."
            )
        return values, scale

    def _begin(self) -> None:
        shard, most, stored_as = self.shards, self.recipe.rows_per_shard, self.recipe.stored_as
        notes = {"side": self.side, "first_row": str(shard * most), "recipe": self._recipe}
        self._index = IndexShard(self.folder / index_path(self.side, shard), self.side, notes)
        if self.recipe.layout == "arrow":
            self._open = ArrowShard(self.folder / arrow_path(self.side, shard), self.widths, stored_as)
            return
        self._open = [
            SafetensorsShard(
                self.folder / shard_path(name, shard), self.widths[name], most, stored_as, {"hook": name, **notes}
            )
            for name in self.hooks
        ]

    def _write(
        self, stored: Mapping[str, tuple[Tensor, Tensor | None]], rows: TokenRows, start: int, stop: int
    ) -> None:
        assert self._index is not None
        self._index.add(rows.columns, start, stop)
        if isinstance(self._open, ArrowShard):
            tokens = [int(token) for token in rows.columns["token"][start:stop]]
            self._open.add({name: values[start:stop] for name, (values, _) in stored.items()}, tokens)
            return
        for name, shard in zip(self.hooks, self._open, strict=True):
            values, scale = stored[name]
            shard.add(values[start:stop], None if scale is None else scale[start:stop])

    def _end(self, batch: int, stop: int) -> None:
        """Put the shard in its place; with its record, which comes last, it counts as whole."""
        assert self._index is not None
        shards = self._open if isinstance(self._open, list) else [self._open]
        files = {}
        for shard in (*shards, self._index):
            shard.close()
            part_of(shard.path).replace(shard.path)
            files[shard.path.relative_to(self.folder).as_posix()] = file_hash(shard.path)
        self._whole += self._filled
        record = {"batch": batch, "skip": stop, "rows": self._whole, "files": files, "widths": self.widths}
        path = _record(self.folder, self.side, self.shards)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_whole(path, json.dumps(record).encode())
        self._files |= files
        self.shards, self._filled, self._index, self._open = self.shards + 1, 0, None, []
