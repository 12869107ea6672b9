"""How does a frame become a file and an accessible table?

The CSV holds every row and column, floats with six significant digits. Text that a spreadsheet would run as a
formula is defused by a leading apostrophe (OWASP, "CSV Injection"); numbers are left alone. On the page a column of
floats is rounded to one number of decimals, so that the digits stand under each other; at most eight columns stand there, and
where a value has an interval or controls, the three are drawn in one cell.
"""

import re
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
import pandas as pd

from interp.report.blocks import Span, Table
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


MOST_COLUMNS = 8
_MOST_ROWS = 600
"""Rows of a table that a page holds, seen or not; the file has all."""

_ROWS_WRITTEN = 10_000
"""Rows that become a text at once: pandas collects it in four bytes a character."""


@dataclass(frozen=True)
class Cell:
    """One printed cell.

    Attributes:
        text: what is printed.
        kind: whether it is text, a number, or not defined.
        note: its interval in brackets, if it has one.
        style: where its interval, its controls and the number itself lie in the cell, as declarations; empty if nothing is drawn.
        controls: the range of its controls in words, if it has some.
        order: the number by which rows are sorted.
        address: of the page to which it leads; empty if to none.
    """

    text: str
    kind: Kind
    note: str = ""
    style: str = ""
    controls: str = ""
    order: str = ""
    address: str = ""


@dataclass(frozen=True)
class Grid:
    """A table as it is printed.

    Attributes:
        columns: headings.
        numeric: for each column, whether it is right-aligned.
        rows: cells of the rows that are seen, the first of each row being its heading.
        more_rows: those that a reader may call.
        rows_total: rows of the whole table.
        columns_total: columns of the whole table.
    """

    columns: tuple[str, ...]
    numeric: tuple[bool, ...]
    rows: tuple[tuple[Cell, ...], ...]
    more_rows: tuple[tuple[Cell, ...], ...]
    rows_total: int
    columns_total: int


def csv_bytes(frame: pd.DataFrame) -> bytes:
    """Write a frame as UTF-8 CSV with Unix line ends, `%.6g` floats and empty cells for NaN.

    Args:
        frame: the table; its index is not written.

    Returns:
        The file. Control characters and marks of direction in texts are spelled out.
    """
    header = [_safe_text(str(column)) for column in frame.columns]
    parts = [frame.iloc[start : start + _ROWS_WRITTEN] for start in range(0, max(len(frame), 1), _ROWS_WRITTEN)]
    return b"".join(_csv_part(part, False if number else header) for number, part in enumerate(parts))


def _csv_part(frame: pd.DataFrame, header: list[str] | bool) -> bytes:
    safe = pd.DataFrame(
        {position: _safe_column(frame.iloc[:, position]) for position in range(frame.shape[1])}, index=frame.index
    )
    text = safe.to_csv(index=False, header=header, lineterminator="\n", float_format="%.6g")
    return text.encode("utf-8", errors="replace")


def _safe_column(column: pd.Series) -> pd.Series:
    if pd.api.types.is_numeric_dtype(column.dtype):
        return column
    # As objects: with pyarrow installed pandas makes strings of its own, which hold no half of a surrogate pair.
    return pd.Series([_safe_value(value) for value in column], index=column.index, dtype=object)


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


def grid(table: Table) -> Grid:
    """Round and print the part of a table that the page shows.

    Args:
        table: the table.
    """
    frame, spans = table.frame, {span.value: span for span in table.spans}
    drawn = {column for span in table.spans for column in span.columns[1:]}
    names = [name for name in table.columns_shown or frame.columns if name not in drawn][:MOST_COLUMNS]
    # Decimals and scales follow the whole column, so that a cut table and the full one print alike.
    columns = [
        _span_cells(frame, spans[name]) if name in spans else _print_column(frame[name], _MOST_ROWS) for name in names
    ]
    if table.addresses:
        columns[0] = [
            replace(cell, address=address) for cell, address in zip(columns[0], table.addresses, strict=False)
        ]
    rows, seen = tuple(zip(*columns, strict=True)), table.rows_shown
    return Grid(
        columns=tuple(names),
        numeric=tuple(_is_numeric(frame[name]) for name in names),
        rows=rows[:seen],
        more_rows=() if seen is None else rows[seen:],
        rows_total=len(frame),
        columns_total=frame.shape[1],
    )


def _span_cells(frame: pd.DataFrame, span: Span) -> list[Cell]:
    """A column whose numbers are drawn on one scale, which has 0 where no number lies beyond it."""
    parts = {column: frame[column].to_numpy(dtype=float, na_value=np.nan) for column in span.columns}
    finite = np.concatenate([values[np.isfinite(values)] for values in parts.values()])
    least, most = min(float(finite.min(initial=0.0)), 0.0), max(float(finite.max(initial=0.0)), 0.0)
    reach = (most - least) or 1.0
    decimals = decimals_for(frame[span.value].dropna())

    def place(value: float) -> str:
        return f"{100 * (value - least) / reach:.1f}%"

    cells = []
    for row in range(min(len(frame), _MOST_ROWS)):
        value, low, high, control_low, control_high = (
            float(parts[column][row]) if column else np.nan
            for column in (span.value, span.low, span.high, span.control_low, span.control_high)
        )
        if not np.isfinite(value):
            cells.append(_print_value(value, decimals))
            continue
        style, note, controls = f"--point:{place(value)}", "", ""
        if np.isfinite(low) and np.isfinite(high):
            style += f";--low:{place(low)};--high:{place(high)}"
            note = f"[{print_number(low, decimals)}, {print_number(high, decimals)}]"
        elif not span.low:
            style += f";--low:{place(min(value, 0.0))};--high:{place(max(value, 0.0))}"
        if np.isfinite(control_low) and np.isfinite(control_high):
            style += f";--least:{place(control_low)};--most:{place(control_high)}"
            controls = f"controls {print_number(control_low, decimals)} to {print_number(control_high, decimals)}"
        cells.append(Cell(print_number(value, decimals), "number", note, style, controls, f"{value:.6g}"))
    return cells


def _is_numeric(column: pd.Series) -> bool:
    return bool(pd.api.types.is_numeric_dtype(column.dtype) and not pd.api.types.is_bool_dtype(column.dtype))


def _print_column(column: pd.Series, rows_shown: int) -> list[Cell]:
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
