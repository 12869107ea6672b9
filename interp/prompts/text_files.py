"""Which values stand in which line of a text file of prompts: plain lines, JSON Lines, cells between commas or tabs?

Every reader of prompts takes them from here, so that one file is read, refused and counted in one way, whatever its columns are
called.
"""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from interp.input_files import RepeatedKeyError, without_repeats
from interp.prompts.prompt import PromptError

Format = Literal["txt", "jsonl", "csv"]

LONGEST = 100_000
"""Characters of a text: several times what the longest models read."""
MOST_FIELDS = 100
FILES = "a .txt, .jsonl, .csv, .tsv, .parquet or .arrow file, or the folder of a dataset"
"""What prompts are read from."""

Record = tuple[str, dict[str, object]]
"""Where a prompt stands (`line 3`, of tables without lines `row 2`) and its values as found, before they are checked."""


def records_of(
    lines: Iterable[str], name: str, kind: Format | Literal["tsv"], any_column: bool = False
) -> Iterator[Record]:
    """Place and values of every prompt of a file, before they are checked (`checked_prompt`).

    Args:
        lines: of the file, each with its end.
        name: what messages call the file.
        kind: its format.
        any_column: whether a header may do without a column `source`.

    Raises:
        PromptError: at the first line that is not of the format.
    """
    if kind in ("csv", "tsv"):
        return _cell_records(lines, name, kind == "tsv", any_column)
    return _line_records(lines, name, kind == "txt")


def _line_records(lines: Iterable[str], name: str, plain: bool) -> Iterator[Record]:
    """One source or one JSON object a line; only LF and CRLF end a line, since texts may hold U+2028 and the like."""
    for number, line in enumerate(lines, start=1):
        line = line.removesuffix("\n").removesuffix("\r")
        if not line.strip():
            raise PromptError(f"{name}, line {number} is empty; every line must hold one prompt, so remove the line.")
        if "\r" in line:
            raise PromptError(
                f"{name}, line {number} has a carriage return inside; lines must end in LF or CRLF, so convert the file."
            )
        yield f"line {number}", {"source": line} if plain else _json_object(line, f"{name}, line {number}")


def _json_object(line: str, place: str) -> dict[str, object]:
    """The JSON object on a line."""
    wrong = ""
    try:
        value = json.loads(line, object_pairs_hook=without_repeats)
        if isinstance(value, dict):
            return value
        wrong = f"holds a JSON {json_type(value)}, not an object"
    except RepeatedKeyError as error:
        raise PromptError(f"{place}: key {error.key!r} appears twice in one object; keep one of them.") from None
    except (ValueError, RecursionError) as error:
        reason = f"{error.msg}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else "too large"
        wrong = f"is not valid JSON ({reason})"
    raise PromptError(f'{place} {wrong}; write one object a line, as {{"source": "..."}}.')


def _cell_records(lines: Iterable[str], name: str, tabs: bool, any_column: bool) -> Iterator[Record]:
    """One row a prompt, below a header that names the columns."""
    # Tables of texts separated by tabs do not quote: a quotation mark there is a character like any other.
    plain = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE, strict=True)
    rows = plain if tabs else csv.reader(lines, strict=True)
    header: list[str] | None = None
    line = 1
    try:
        for row in rows:
            if header is None:
                header = _checked_header(row, name, any_column)
            elif not row:
                raise PromptError(f"{name}, line {line} is empty; every row must hold one prompt, so remove the line.")
            elif len(row) != len(header):
                remedy = "and no tab inside a text" if tabs else "with texts that contain commas in double quotes"
                raise PromptError(
                    f"{name}, line {line} has {len(row)} cells, but the header has {len(header)}; give every row one cell a "
                    f"column, {remedy}."
                )
            else:
                cells: dict[str, object] = dict(zip(header, row, strict=True))
                if cells.get("target") == "":
                    cells["target"] = None
                yield f"line {line}", cells
            # A quoted cell may span lines: a row is named by the line on which it begins.
            line = rows.line_num + 1
    except csv.Error as error:
        raise PromptError(f"{name}, line {line} {_wrong_cells(error, tabs)}.") from None


def _wrong_cells(error: csv.Error, tabs: bool) -> str:
    """What Python's reader of cells found wrong, and what to do about it."""
    if "field limit" in str(error):
        mark = "" if tabs else ", or close the quotation mark that it begins with"
        return f"has a cell of more than {csv.field_size_limit():,} characters; a text has at most {LONGEST:,}, so split it{mark}"
    return f"is not valid CSV ({error}); put texts with commas or quotes in double quotes and double the quotes inside"


def _checked_header(header: list[str], name: str, any_column: bool) -> list[str]:
    """The header, if it names each column once and, where that is asked for, one of them `source`."""
    if len(header) > MOST_FIELDS:
        raise PromptError(
            f"{name}: the header names {len(header):,} columns; at most {MOST_FIELDS} are read, so leave some out."
        )
    if not header or not (any_column or "source" in header):
        wanted = " with a column 'source'" * (not any_column)
        raise PromptError(
            f"{name}: the first line must be a header{wanted}, but has {_quoted(header)}; add the header, with columns "
            "separated by commas (.csv) or tabs (.tsv)."
        )
    check_names(header, name)
    return header


def check_names(columns: Sequence[str], name: str, what: str = "the header") -> None:
    """Refuse columns of a table that are called alike, of which only the last would be read, or nothing.

    Args:
        columns: their names.
        name: what messages call the file.
        what: where the names stand.

    Raises:
        PromptError: naming them.
    """
    if len(set(columns)) < len(columns) or "" in columns:
        raise PromptError(
            f"{name}: {what} has {_quoted(columns)}; every column needs a name of its own, so rename or remove."
        )


def _quoted(columns: Sequence[str]) -> str:
    return ", ".join(map(repr, columns)) or "nothing"


_JSON_TYPES: dict[type, str] = {
    type(None): "null",
    bool: "boolean",
    int: "number",
    float: "number",
    str: "string",
    list: "array",
}


def json_type(value: object) -> str:
    """JSON's word for the type of a parsed value.

    Args:
        value: what JSON gave.
    """
    return _JSON_TYPES.get(type(value), "object")
