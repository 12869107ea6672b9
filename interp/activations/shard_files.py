"""Shards on disk, written row by row: neither a shard nor its index is ever held in memory.

    SafetensorsShard    one hook point: `activations` [rows width], for int8 also `scale` [rows 1]
    ArrowShard          all hook points of a side, as `save_to_disk` of Hugging Face's datasets lays them out
    IndexShard          what the rows are, as Parquet

A shard is written under a name of its own (`part_of`) and renamed by whoever writes the store.
"""

import json
import shutil
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from interp.activations.manifest import ACTIVATIONS, SCALE, StoredType, data_library
from interp.activations.tokens import COLUMNS, Columns
from interp.output_files import part_of
from interp.text.tokenized_text import Side

_NAME_OF_TYPE = {"float32": "F32", "bfloat16": "BF16", "float16": "F16", "int8": "I8"}
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "int8": 1}
_ALIGNED = 64
_INTEGERS = {"prompt": "int64", "position": "int32", "token": "int32", "reads": "int32", "word_number": "int32"}


def as_stored(values: Tensor, stored_as: StoredType) -> tuple[Tensor, Tensor | None]:
    """Rows in the type of a store, and for int8 the scale of every row, [row 1].

    A row of int8 is round(x / scale) with scale = max |x| / 127, so it is off by half a scale at most.

    Args:
        values: [row width].
        stored_as: the type.
    """
    if stored_as != "int8":
        return values.to(getattr(torch, stored_as)).contiguous(), None
    wide = values.float()
    scale = wide.abs().amax(1, keepdim=True) / 127
    return (wide / scale.where(scale > 0, 1.0)).round().to(torch.int8).contiguous(), scale


class SafetensorsShard:
    """One shard of one hook point, for at most so many rows.

    Args:
        path: of the finished shard.
        width: numbers a row.
        most: rows.
        stored_as: their type.
        notes: what the file says of itself.
    """

    def __init__(self, path: Path, width: int, most: int, stored_as: StoredType, notes: Mapping[str, str]) -> None:
        self.path, self.width, self.most, self.stored_as, self.notes = path, width, most, stored_as, dict(notes)
        self.rows = 0
        path.parent.mkdir(parents=True, exist_ok=True)
        header = self._header(most)
        self._length = len(header)
        self._file = part_of(path).open("wb")
        self._file.write(header)
        self._scales = 4 * most if stored_as == "int8" else 0

    def add(self, values: Tensor, scale: Tensor | None) -> None:
        """Append rows, as `as_stored` gives them.

        Args:
            values: [row width].
            scale: [row 1], of int8.
        """
        if scale is not None:
            self._file.seek(self._length + 4 * self.rows)
            self._file.write(_bytes(scale))
        self._file.seek(self._length + self._scales + self.rows * self.width * _BYTES[self.stored_as])
        self._file.write(_bytes(values))
        self.rows += values.shape[0]

    def close(self) -> None:
        """End the shard under its provisional name; one with fewer rows than it may have gets the header that says so."""
        if self.rows == self.most:
            self._file.close()
            return
        header = self._header(self.rows).ljust(self._length)
        header = struct.pack("<Q", self._length - 8) + header[8:]
        self._file.seek(0)
        self._file.write(header)
        self._file.close()
        if self._scales:
            self._close_gap()

    def abandon(self) -> None:
        """Close the file as it is; its provisional name says that it is not whole."""
        self._file.close()

    def _close_gap(self) -> None:
        """Move the numbers of a short shard up to its scales: a file of safetensors has no holes."""
        part = part_of(self.path)
        moved = part.with_suffix(".moved")
        with part.open("rb") as old, moved.open("wb") as new:
            new.write(old.read(self._length + 4 * self.rows))
            old.seek(self._length + self._scales)
            shutil.copyfileobj(old, new)
        moved.replace(part)

    def _header(self, rows: int) -> bytes:
        size = rows * self.width * _BYTES[self.stored_as]
        scales = 4 * rows if self.stored_as == "int8" else 0
        fields: dict[str, Any] = {"__metadata__": self.notes}
        if scales:
            fields[SCALE] = {"dtype": "F32", "shape": [rows, 1], "data_offsets": [0, scales]}
        kind = _NAME_OF_TYPE[self.stored_as]
        fields[ACTIVATIONS] = {"dtype": kind, "shape": [rows, self.width], "data_offsets": [scales, scales + size]}
        text = json.dumps(fields).encode()
        # Blanks behind the header are allowed; they put the numbers where they can be mapped and leave room to rewrite it.
        padded = text.ljust(-(-(8 + len(text)) // _ALIGNED) * _ALIGNED - 8)
        return struct.pack("<Q", len(padded)) + padded


def _bytes(values: Tensor) -> memoryview:
    return values.view(torch.uint8).numpy().data.cast("B")


class ArrowShard:
    """One shard of all hook points of a side: a context of one token a row, as SAELens and Hugging Face's datasets lay it out.

    Args:
        path: of the finished shard.
        widths: hook point -> numbers a row.
        stored_as: their type, float32 or float16.
    """

    def __init__(self, path: Path, widths: Mapping[str, int], stored_as: StoredType) -> None:
        self.path, self.widths = path, dict(widths)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._arrow = arrow = data_library("pyarrow")
        number = arrow.float32() if stored_as == "float32" else arrow.float16()
        fields = [
            arrow.field(
                name,
                arrow.list_(arrow.list_(number)),
                metadata={
                    "ARROW:extension:name": "datasets.features.features.Array2DExtensionType",
                    "ARROW:extension:metadata": json.dumps([[1, width], stored_as]),
                },
            )
            for name, width in self.widths.items()
        ]
        fields.append(arrow.field("token_ids", arrow.list_(arrow.int32(), 1)))
        features = {"info": {"features": arrow_features(self.widths, stored_as)}}
        self._schema = arrow.schema(fields, metadata={"huggingface": json.dumps(features)})
        self._file = part_of(path).open("wb")
        self._writer = arrow.ipc.new_stream(self._file, self._schema)

    def add(self, values: Mapping[str, Tensor], tokens: list[int]) -> None:
        """Append rows.

        Args:
            values: hook point -> [row width].
            tokens: their token ids.
        """
        arrow, count = self._arrow, len(tokens)
        columns = []
        for name, width in self.widths.items():
            flat = arrow.array(values[name].numpy().reshape(-1))
            inner = arrow.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32) * width, flat)
            columns.append(arrow.ListArray.from_arrays(np.arange(count + 1, dtype=np.int32), inner))
        columns.append(arrow.FixedSizeListArray.from_arrays(arrow.array(tokens, arrow.int32()), 1))
        self._writer.write_batch(arrow.record_batch(columns, schema=self._schema))

    def close(self) -> None:
        """End the shard under its provisional name."""
        self._writer.close()
        self._file.close()

    abandon = close


def arrow_features(widths: Mapping[str, int], stored_as: StoredType) -> dict[str, Any]:
    """What `datasets` calls the columns of a side.

    Args:
        widths: hook point -> numbers a row.
        stored_as: their type.
    """
    arrays = {name: {"shape": [1, width], "dtype": stored_as, "_type": "Array2D"} for name, width in widths.items()}
    return {**arrays, "token_ids": {"feature": {"dtype": "int32", "_type": "Value"}, "length": 1, "_type": "List"}}


class IndexShard:
    """What the rows of a shard are, as Parquet, in groups of the rows that came together.

    Args:
        path: of the finished file.
        side: whose tokens.
        notes: what the file says of itself.
    """

    def __init__(self, path: Path, side: Side, notes: Mapping[str, str]) -> None:
        self.path, self.side = path, side
        path.parent.mkdir(parents=True, exist_ok=True)
        self._arrow = arrow = data_library("pyarrow")
        types = [(name, getattr(arrow, _INTEGERS.get(name, "string"))()) for name in COLUMNS]
        self._schema = arrow.schema([("side", arrow.string()), *types], metadata=dict(notes))
        self._writer = data_library("pyarrow.parquet").ParquetWriter(part_of(path), self._schema)
        self._waiting: list[Any] = []

    def add(self, columns: Columns, start: int, stop: int) -> None:
        """Append rows.

        Args:
            columns: of a batch.
            start: the first that belongs here.
            stop: behind the last.
        """
        arrays = [self._arrow.array([self.side] * (stop - start))]
        arrays += [self._arrow.array(columns[name][start:stop], self._schema.field(name).type) for name in COLUMNS]
        self._waiting.append(self._arrow.record_batch(arrays, schema=self._schema))
        if sum(batch.num_rows for batch in self._waiting) >= _GROUP:
            self._flush()

    def close(self) -> None:
        """End the file under its provisional name."""
        self._flush()
        self._writer.close()

    abandon = close

    def _flush(self) -> None:
        if self._waiting:
            self._writer.write_table(self._arrow.Table.from_batches(self._waiting).combine_chunks())
            self._waiting = []


_GROUP = 8192
"""Rows of a group of the index, which are held until it is written."""
