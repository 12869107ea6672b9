"""Prompts of tables: tab-separated text, Parquet, Arrow, datasets that Hugging Face's library saved; columns by other names.

Columns that are no text are left out. A prompt is named by the line of its file, or by the number of its row where a table has no
lines. The hash of such a set is that of its rows as JSON Lines, so that one table has one hash in every format.
"""

import importlib
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from io import BufferedReader
from itertools import islice
from pathlib import Path
from typing import Any

from interp.errors import did_you_mean, reason
from interp.input_files import MOST_BYTES, open_regular, parse_json, read_regular
from interp.prompts.prompt import PromptError
from interp.prompts.text_files import Record, check_names, records_of

TABLE_SUFFIXES = (".tsv", ".parquet", ".arrow")

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


def read_table(path: Path, columns: Columns) -> tuple[list[Record], str]:
    """Place and values of every row of a table, and the hash of these rows as JSON Lines.

    Args:
        path: a file, or the folder of a dataset.
        columns: where source and target stand.

    Raises:
        PromptError: if it cannot be read, or has no such column.
    """
    if path.is_file() and path.stat().st_size > MOST_BYTES:
        raise PromptError(f"{path.name} cannot be read (it has more than {MOST_BYTES:,} bytes); split it.")
    records, hashed = list(stream_records(path, columns)), sha256()
    if not records:
        raise PromptError(f"{path.name} has no rows; it must hold at least one prompt.")
    for _, values in records:
        hashed.update(f"{json.dumps(values, ensure_ascii=False)}\n".encode("utf-8", errors="surrogatepass"))
    return records, hashed.hexdigest()


def stream_records(path: Path, columns: Columns) -> Iterator[Record]:
    """The rows of a table one after another, in the memory of a few: source, target if there is one, and what else is text.

    Args:
        path: a file, or the folder of a dataset.
        columns: where source and target stand.

    Raises:
        PromptError: as for `read_table`, at the row where it shows.
    """
    return ((place, _record(row, columns, f"{path.name}, {place}")) for place, row in _rows(path, columns))


def _rows(path: Path, columns: Columns) -> Iterator[tuple[str, Mapping[str, Any]]]:
    kind = path.suffix.lower()
    try:
        if path.is_dir():
            yield from _numbered(_dataset(path))
        elif kind == ".jsonl":
            with _text(path, "\n") as lines:
                yield from records_of(lines, path.name, "jsonl")
        elif kind in (".csv", ".tsv"):
            with _text(path, "") as lines:
                records = records_of(lines, path.name, "csv" if kind == ".csv" else "tsv", any_column=True)
                for place, row in records:  # an empty cell is none, but for the source, which has to be there
                    yield place, {key: cell if key == columns.source else cell or None for key, cell in row.items()}
        elif kind in TABLE_SUFFIXES:
            yield from _numbered(_arrow(path))
        else:
            raise PromptError(
                f"{path} ends in {path.suffix!r}, which has no columns; give a .csv, .tsv, .jsonl, .parquet or .arrow file, "
                "or the folder of a dataset."
            )
    except UnicodeDecodeError as error:
        raise PromptError(f"{path.name} cannot be read ({reason(error)}); save it as UTF-8.") from error
    except OSError as error:
        raise PromptError(
            f"{path.name} cannot be read ({reason(error)}); check the path and its permissions."
        ) from error


def _numbered(rows: Iterable[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    return ((f"row {number}", row) for number, row in enumerate(rows, start=1))


def _text(path: Path, newline: str) -> io.TextIOWrapper:
    return io.TextIOWrapper(open_regular(path), encoding="utf-8-sig", newline=newline)


def _arrow(path: Path) -> Iterator[dict[str, Any]]:
    arrow = _library("pyarrow", path)
    try:
        with open_regular(path) as stream:
            if path.suffix.lower() == ".parquet":
                batches = _library("pyarrow.parquet", path).ParquetFile(stream).iter_batches(_ROWS_AT_ONCE)
            else:
                batches = _arrow_batches(arrow, stream)
            for batch in batches:
                _check_fields(arrow, batch.schema, path.name, "the table")
                yield from batch.to_pylist()
    except arrow.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise PromptError(f"{path.name} is no readable {path.suffix} file ({reason}); write it anew.") from error


def _check_fields(arrow: Any, fields: Iterable[Any], name: str, what: str) -> None:
    """Refuse fields that are called alike, also those of a nested column."""
    kept = list(fields)
    check_names([field.name for field in kept], name, what)
    for field in kept:
        if arrow.types.is_struct(field.type):
            inner = [field.type.field(index) for index in range(field.type.num_fields)]
            _check_fields(arrow, inner, name, f"the column {field.name!r}")


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
    try:
        if not parse_json(read_regular(path / "state.json"))["_data_files"]:
            return  # no rows, of which its library makes an error
        yield from datasets.load_from_disk(str(path), keep_in_memory=False).with_format(None)
    except OSError:
        raise
    except Exception as error:  # whatever its library says of a folder that was cut or changed
        raise PromptError(
            f"{path} is no readable dataset ({type(error).__name__}: {reason(error)}); write it anew with `save_to_disk`."
        ) from error


def _library(name: str, path: Path) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise PromptError(
            f"Reading {path.name} needs {name.split('.')[0]}: pip install 't5-interp[data]', or save the table as .csv or .jsonl."
        ) from error


def _record(row: Mapping[str, Any], columns: Columns, place: str) -> dict[str, Any]:
    """Source, target and further texts of a row; numbers are taken for ids alone."""
    record: dict[str, Any] = {"source": _cell(row, columns.source, place)}
    if record["source"] is None:
        raise PromptError(f"{place}: the column {columns.source!r} has no text here; add it, or leave the row out.")
    if columns.target is not None or row.get("target") is not None:
        record["target"] = _cell(row, columns.target or "target", place)
    used = {columns.source.split(".")[0], str(columns.target).split(".")[0], *record}
    if isinstance(row.get("id"), int | str) and "id" not in used:
        record["id"] = str(row["id"])
    return {key: value for key, value in row.items() if isinstance(value, str) and key not in used} | record


def _cell(row: Mapping[str, Any], column: str, place: str) -> str | list[str] | None:
    """A text, or the list of its words.

    Raises:
        PromptError: if there is no such column, or it holds something else.
    """
    value: Any = row
    for part in [column] if column in row else column.split("."):
        if not isinstance(value, Mapping) or part not in value:
            known = list(islice(value, 20)) if isinstance(value, Mapping) else []
            raise PromptError(
                f"{place} has no column {column!r}{did_you_mean(part, known)}; it has {', '.join(map(repr, known)) or 'none'}. "
                "Name them with --source-column and --target-column."
            )
        value = value[part]
    if isinstance(value, list) and all(isinstance(word, str) for word in value):
        return value
    if value is not None and not isinstance(value, str):
        raise PromptError(f"{place}: the column {column!r} holds a {type(value).__name__}, not text; name another one.")
    return value
