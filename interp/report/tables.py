"""How does a frame become a file and an accessible table?

The CSV holds every row and column, floats with six significant digits. Text that a spreadsheet would run as a
formula is defused by a leading apostrophe (OWASP, "CSV Injection"); numbers are left alone. On the page a column of
floats is rounded to one number of decimals, so that the digits stand under each other.
"""

import re
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd

from interp.report.numbers import decimals_for, fixed, print_number
from interp.report.visible_text import visible

# Full-width signs are read as formulas by some spreadsheets too.
_FORMULA = re.compile(r"\s*[=+\-@＝＋－＠\t\r]")

_DIRECTIONS = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_OBEYED = {
    ord(sign): visible(sign)
    for sign in (*map(chr, (*range(0x20), *range(0x7F, 0xA0))), *_DIRECTIONS)
    if sign not in "\t\n"
}
"""What a terminal obeys in a file that is printed to it: control characters (ECMA-48) and marks of direction."""

Kind = Literal["text", "number", "missing"]


@dataclass(frozen=True)
class Cell:
    """One printed cell: its text and whether it is text, a number, or not defined."""

    text: str
    kind: Kind


@dataclass(frozen=True)
class Grid:
    """A table as it is printed.

    Attributes:
        columns: headings.
        numeric: for each column, whether it is right-aligned.
        rows: cells, the first of each row being its heading.
        rows_total: rows of the whole table.
        columns_total: columns of the whole table.
    """

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    rows_total: int
    columns_total: int


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Write a frame as UTF-8 CSV with Unix line ends, `%.6g` floats and empty cells for NaN.

    Args:
        frame: the table; its index is not written.

    Returns:
        The file. Control characters and marks of direction in texts are spelled out.
    """
    safe = pd.DataFrame(
        {position: _safe_column(frame.iloc[:, position]) for position in range(frame.shape[1])}, index=frame.index
    )
    header = [_safe_text(str(column)) for column in frame.columns]
    text = safe.to_csv(index=False, header=header, lineterminator="\n", float_format="%.6g")
    return text.encode("utf-8", errors="replace")


def _safe_column(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column
    return column.astype(object).map(_safe_value)


def _safe_value(value: object) -> object:
    if isinstance(value, float | np.floating) and not _is_missing(value):
        return f"{value:.6g}"  # pandas formats floats only in columns of floats
    if isinstance(value, bool | int | np.number | np.bool_) or _is_missing(value):
        return value
    return _safe_text(str(value))


def _safe_text(text: str) -> str:
    text = ("'" + text) if _FORMULA.match(text) else text
    return text.translate(_OBEYED)


def _is_missing(value: Any) -> bool:
    return pd.api.types.is_scalar(value) and bool(pd.isna(value))


def grid(frame: pd.DataFrame, rows_shown: int | None, columns_shown: tuple[str, ...] | None) -> Grid:
    """Round and print the part of a frame that the page shows.

    Args:
        frame: the whole table.
        rows_shown: how many rows from the top; None for all.
        columns_shown: which columns; None for all.

    Returns:
        The printed cells; the first column holds the row headings.
    """
    shown = frame.loc[:, list(columns_shown)] if columns_shown else frame
    # Decimals follow the whole column, so that a cut table and the full one print alike.
    columns = [_print_column(shown.iloc[:, position], rows_shown) for position in range(shown.shape[1])]
    return Grid(
        columns=tuple(str(column) for column in shown.columns),
        numeric=tuple(_is_numeric(shown.iloc[:, position]) for position in range(shown.shape[1])),
        rows=tuple(zip(*columns, strict=True)),
        rows_total=len(frame),
        columns_total=frame.shape[1],
    )


def _is_numeric(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype))


def _print_column(column: pd.Series, rows_shown: int | None) -> list[Cell]:
    decimals = decimals_for(column.dropna()) if pd.api.types.is_float_dtype(column.dtype) else 0
    return [_print_value(value, decimals) for value in column.iloc[:rows_shown]]


def _print_value(value: object, decimals: int) -> Cell:
    if _is_missing(value):
        return Cell("–", "missing")
    if isinstance(value, bool | np.bool_):
        return Cell("yes" if value else "no", "text")
    if isinstance(value, int | np.integer):
        return Cell(fixed(value, 0), "number")
    if isinstance(value, float | np.floating):
        return Cell(print_number(float(value), decimals), "number")
    return Cell(str(value), "text")
