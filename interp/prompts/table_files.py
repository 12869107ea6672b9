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
from itertools import islice
from pathlib import Path
from typing import Any

from interp.errors import did_you_mean
from interp.input_files import read_regular, without_repeats
from interp.prompts.prompt import PromptError

TABLE_SUFFIXES = (".tsv", ".parquet", ".arrow")

_SEPARATORS = {".csv": ",", ".tsv": "\t"}


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
    lines = [json.dumps(_record(row, columns, path.name), ensure_ascii=False) for row in _rows(path)]
    if not lines:
        raise PromptError(f"{path.name} has no rows; it must hold at least one prompt.")
    return ("\n".join(lines) + "\n").encode("utf-8", errors="surrogatepass")


def _rows(path: Path) -> Iterable[Mapping[str, Any]]:
    try:
        if path.is_dir():
            return _dataset(path)
        kind = path.suffix.lower()
        if kind in _SEPARATORS:
            text = read_regular(path).decode("utf-8-sig")
            return _separated(text, _SEPARATORS[kind], path.name)
        if kind == ".jsonl":
            return [
                _object(line, path.name) for line in read_regular(path).decode("utf-8-sig").splitlines() if line.strip()
            ]
        if kind in TABLE_SUFFIXES:
            return _arrow(path)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise PromptError(f"{path.name} cannot be read ({error}); check the path and save it as UTF-8.") from error
    raise PromptError(
        f"{path.name} has no columns; give a .csv, .tsv, .jsonl, .parquet or .arrow file, or the folder of a dataset."
    )


def _object(line: str, name: str) -> Mapping[str, Any]:
    try:
        found = json.loads(line, object_pairs_hook=without_repeats)
    except (ValueError, RecursionError) as error:
        raise PromptError(f"{name} has a line that is no JSON ({error}); write one object a line.") from error
    if not isinstance(found, dict):
        raise PromptError(f"{name} has a line that is no JSON object; write one object a line.")
    return found


def _separated(text: str, separator: str, name: str) -> list[dict[str, Any]]:
    # Tables of texts separated by tabs do not quote: a quotation mark there is a character like any other.
    lines = io.StringIO(text, newline="")
    plain = csv.reader(lines, delimiter=separator, quoting=csv.QUOTE_NONE)
    rows = list(plain if separator == "\t" else csv.reader(lines, delimiter=separator, strict=True))
    if not rows:
        raise PromptError(f"{name} is empty; it must begin with a header that names the columns.")
    header, *cells = rows
    for number, row in enumerate(cells, start=2):
        if len(row) != len(header):
            raise PromptError(f"{name}, line {number} has {len(row)} cells, but the header has {len(header)}.")
    return [{key: value or None for key, value in zip(header, row, strict=True)} for row in cells]


def _arrow(path: Path) -> Iterator[dict[str, Any]]:
    arrow = _library("pyarrow", path)
    try:
        if path.suffix.lower() == ".parquet":
            table = _library("pyarrow.parquet", path).read_table(path)
        else:
            table = _open_arrow(arrow, path)
    except arrow.ArrowException as error:
        reason = str(error).splitlines()[0]
        raise PromptError(f"{path.name} is no readable {path.suffix} file ({reason}); write it anew.") from error
    return iter(table.to_pylist())


def _open_arrow(arrow: Any, path: Path) -> Any:
    """An Arrow table, in the format of files or of streams."""
    content = read_regular(path)
    try:
        return arrow.ipc.open_file(content).read_all()
    except arrow.ArrowInvalid:
        return arrow.ipc.open_stream(content).read_all()


def _dataset(path: Path) -> Iterator[dict[str, Any]]:
    splits = sorted(child.name for child in path.iterdir() if (child / "dataset_info.json").is_file())
    if not (path / "dataset_info.json").is_file():
        if splits:
            raise PromptError(
                f"{path} is a dataset with the splits {', '.join(splits)}; give one, as {path / splits[0]}."
            )
        raise PromptError(f"{path} is a folder and no dataset that `save_to_disk` wrote; give a file or such a folder.")
    datasets = _library("datasets", path)
    return iter(datasets.load_from_disk(str(path), keep_in_memory=True))


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
