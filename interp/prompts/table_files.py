"""Prompts of tables: tab-separated text, Parquet, Arrow, datasets that Hugging Face's library saved; columns by other names.

A table is rewritten as JSON Lines and read like a file of them, so that the same checks hold and rows are named as lines. Columns
that are no text are left out. The hash of such a set is that of these lines.
"""

import csv
import importlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any

from interp.errors import did_you_mean, reason
from interp.input_files import MOST_BYTES, open_regular, without_repeats
from interp.prompts.prompt import PromptError

TABLE_SUFFIXES = (".tsv", ".parquet", ".arrow")

_SEPARATORS = {".csv": ",", ".tsv": "\t"}
_ROWS_AT_ONCE = 1024


@dataclass(frozen=True, slots=True)
class Columns:
    """Where source and target stand; `translation.en` is the field `en` of a column `translation`.

    Attributes:
        source: column of the sources.
        target: column of the targets; none is needed where it is not named.
    """

    source: str = "source"
    target: str | None = None


def as_json_lines(path: Path, columns: Columns) -> bytes:
    """A table as JSON Lines: its sources, its targets if there are any, and what else is text.

    Args:
        path: a file, or the folder of a dataset.
        columns: where source and target stand.

    Raises:
        PromptError: if it cannot be read, or has no such column.
    """
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise PromptError(f"{path.name} cannot be read (it has more than {MOST_BYTES:,} bytes); split it.")
    lines = [json.dumps(record, ensure_ascii=False) for record in stream_records(path, columns)]
    if not lines:
        raise PromptError(f"{path.name} has no rows; it must hold at least one prompt.")
    return ("\n".join(lines) + "\n").encode("utf-8", errors="surrogatepass")


def stream_records(path: Path, columns: Columns) -> Iterator[dict[str, Any]]:
    """The rows of a table one after another, in the memory of a few: source, target if there is one, and what else is text.

    Args:
        path: a file, or the folder of a dataset.
        columns: where source and target stand.

    Raises:
        PromptError: as for `as_json_lines`, at the row where it shows.
    """
    return (_record(row, columns, path.name) for row in _rows(path))


def _rows(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        if path.is_dir():
            yield from _dataset(path)
            return
        kind = path.suffix.lower()
        if kind in _SEPARATORS:
            with _text(path) as lines:
                yield from _separated(lines, _SEPARATORS[kind], path.name)
        elif kind == ".jsonl":
            with _text(path) as lines:
                yield from (_object(line, path.name) for line in lines if line.strip())
        elif kind in TABLE_SUFFIXES:
            yield from _arrow(path)
        else:
            raise PromptError(
                f"{path.name} has no columns; give a .csv, .tsv, .jsonl, .parquet or .arrow file, or the folder of a dataset."
            )
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PromptError(
            f"{path.name} cannot be read ({reason(error)}); check the path and save it as UTF-8."
        ) from error


def _text(path: Path) -> io.TextIOWrapper:
    """A regular file as text; only LF, CR and CRLF end its lines, since texts may hold U+2028 and the like."""
    return io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline="")


def _object(line: str, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line, object_pairs_hook=without_repeats)
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{name} has a line that is no JSON ({error}); write one object a line.") from error
    if not isinstance(found, dict):
        raise PromptError(f"{name} has a line that is no JSON object; write one object a line.")
    return found


def _separated(lines: Iterable[str], separator: str, name: str) -> Iterator[dict[str, Any]]:
    # Tables of texts separated by tabs do not quote: a quotation mark there is a character like any other.
    plain = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
    rows = plain if separator == "\t" else csv.reader(lines, delimiter=separator, strict=True)
    header = next(rows, None)
    if header is None:
        raise PromptError(f"{name} is empty; it must begin with a header that names the columns.")
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise PromptError(f"{name}, line {number} has {len(row)} cells, but the header has {len(header)}.")
        yield {key: value or None for key, value in zip(header, row, strict=True)}


def _arrow(path: Path) -> Iterator[dict[str, Any]]:
    arrow = _library("pyarrow", path)
    try:
        with open_regular(path) as stream:
            if path.suffix.lower() == ".parquet":
                batches = _library("pyarrow.parquet", path).ParquetFile(stream).iter_batches(_ROWS_AT_ONCE)
            else:
                batches = _arrow_batches(arrow, stream)
            for batch in batches:
                yield from batch.to_pylist()
    except arrow.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise PromptError(f"{path.name} is no readable {path.suffix} file ({reason}); write it anew.") from error


def _arrow_batches(arrow: Any, stream: BufferedReader) -> Iterator[Any]:
    """The record batches of an Arrow table, in the format of files or of streams."""
    try:
        table = arrow.ipc.open_file(stream)
    except arrow.ArrowInvalid:
        stream.seek(0)
        yield from arrow.ipc.open_stream(stream)
        return
    yield from (table.get_batch(number) for number in range(table.num_record_batches))


def _dataset(path: Path) -> Iterator[dict[str, Any]]:
    splits = sorted(child.name for child in path.iterdir() if (child / "dataset_info.json").is_file())
    if not (path / "dataset_info.json").is_file():
        if splits:
            raise PromptError(
                f"{path} is a dataset with the splits {', '.join(splits)}; give one, as {path / splits[0]}."
            )
        raise PromptError(f"{path} is a folder and no dataset that `save_to_disk` wrote; give a file or such a folder.")
    datasets = _library("datasets", path)
    return iter(datasets.load_from_disk(str(path), keep_in_memory=False))


def _library(name: str, path: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PromptError(
            f"Reading {path.name} needs {name.split('.')[0]}: pip install 't5-interp[data]', or save the table as .csv or .jsonl."
        ) from error


def _record(row: Mapping[str, Any], columns: Columns, name: str) -> dict[str, Any]:
    """Source, target and further texts of a row; numbers are taken for ids alone."""
    record: dict[str, Any] = {"source": _cell(row, columns.source, name)}
    if columns.target is not None or row.get("target") is not None:
        record["target"] = _cell(row, columns.target or "target", name)
    used = {columns.source.split(".")[0], str(columns.target).split(".")[0], *record}
    if isinstance(row.get("id"), int | str) and "id" not in used:
        record["id"] = str(row["id"])
    return {key: value for key, value in row.items() if isinstance(value, str) and key not in used} | record


def _cell(row: Mapping[str, Any], column: str, name: str) -> str | list[str] | None:
    """A text, or the list of its words.

    Raises:
        PromptError: if there is no such column, or it holds something else.
    """
    value: Any = row
    for part in [column] if column in row else column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = list(islice(value, 20)) if isinstance(value, Mapping) else []
            raise PromptError(
                f"{name} has no column {column!r}{did_you_mean(part, known)}; it has {', '.join(map(repr, known)) or 'none'}. "
                "Name them with --source-column and --target-column."
            )
        value = value[part]
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return value
    if value is not None and not isinstance(value, str):
        raise PromptError(f"{name}: the column {column!r} holds a {type(value).__name__}, not text; name another one.")
    return value
