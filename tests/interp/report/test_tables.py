import csv
import io

import numpy as np
import pandas as pd
import pytest

from interp.report import Span, Table, csv_bytes, tables
from interp.report.numbers import decimals_for, print_number
from interp.report.tables import Cell, grid


def rows(frame):
    return list(csv.reader(io.StringIO(csv_bytes(frame).decode("utf-8"), newline="")))


@pytest.mark.parametrize(
    "text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "\n=1", "\u00a0=1", "＝1", "-0.5", "=HYPERLINK(1)"]
)
def test_formulas_are_defused_in_cells_and_headings(text):
    cells = rows(pd.DataFrame({text: [text, "plain"]}))
    assert cells[0][0].startswith("'")
    assert cells[1][0].startswith("'")
    assert cells[2][0] == "plain"


def test_numbers_are_left_alone():
    frame = pd.DataFrame({"head": ["a", "b"], "effect": [-1.23456789, np.nan], "n": [-3, 4], "ok": [True, False]})
    assert csv_bytes(frame) == b"head,effect,n,ok\na,-1.23457,-3,True\nb,,4,False\n"


def test_numbers_among_texts_are_left_alone():
    frame = pd.DataFrame({"value": pd.Series([-1.23456789, "-x", None, np.float32(0.5), -7], dtype=object)})
    assert [row[0] if row else "" for row in rows(frame)[1:]] == ["-1.23457", "'-x", "", "0.5", "-7"]


def test_line_ends_and_controls_cannot_break_a_row():
    hostile = 'a\r\nb,"c"\x00\x1b'
    cells = rows(pd.DataFrame({"token": [hostile], "n": [1]}))
    assert cells == [["token", "n"], ['a␍\nb,"c"␀␛', "1"]]
    assert b"\r" not in csv_bytes(pd.DataFrame({"token": [hostile]}))


@pytest.mark.parametrize("sign", ["\x1b", "\x9b", "\x7f", "\x08", "\u202e", "\u2066", "\u200f", "\u061c"])
def test_what_a_terminal_would_obey_is_spelled_out(sign):
    written = csv_bytes(pd.DataFrame({f"a{sign}b": [f"c{sign}d"]})).decode()
    assert sign not in written
    assert len(written) > len("ab\ncd\n")


def test_a_csv_survives_a_round_trip():
    frame = pd.DataFrame({
        "token": ["</script>", "مرحبا", "a\u200bb", "x" * 10_000],
        "share": [0.25, 0.5, 1e-7, 123456.0],
    })
    pd.testing.assert_frame_equal(pd.read_csv(io.BytesIO(csv_bytes(frame))), frame)


def test_lone_surrogates_do_not_stop_the_writer():
    assert csv_bytes(pd.DataFrame({"token": ["a\ud800"]}, dtype=object)) == b"token\na?\n"


@pytest.mark.parametrize(
    ("values", "decimals"),
    [([0.62, -0.1], 3), ([12.34], 1), ([1234.5], 0), ([0.00012], 4), ([3.0, -4.0], 0), ([], 0), ([np.nan, 1.5], 2)],
)
def test_decimals_follow_the_largest_number(values, decimals):
    assert decimals_for(values) == decimals


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.5, "−0.50"),
        (0.004, "0.004"),
        (-0.004, "−0.004"),
        (2e-7, "2.0e−07"),
        (-0.0, "0.00"),
        (0.0, "0.00"),
        (1.005, "1.00"),
    ],
)
def test_a_number_never_rounds_to_a_false_zero(value, text):
    assert print_number(value, 2) == text


def test_the_printed_part_of_a_table():
    frame = pd.DataFrame({
        "head": list("abc"),
        "effect": [0.5, np.nan, 12.0],
        "n": [1, -2, 3],
        "ok": [True, False, True],
    })
    printed = grid(Table("t", "C.", frame, rows_shown=2, columns_shown=("head", "ok", "effect")))
    assert printed.columns == ("head", "ok", "effect")
    assert printed.numeric == (False, False, True)
    assert printed.rows == (
        (Cell("a", "text"), Cell("yes", "text"), Cell("0.5", "number")),
        (Cell("b", "text"), Cell("no", "text"), Cell("–", "missing")),
    )
    assert (printed.rows_total, printed.columns_total) == (3, 4)
    assert printed.more_rows == ((Cell("c", "text"), Cell("yes", "text"), Cell("12.0", "number")),)
    numbers = grid(Table("t", "C.", frame, rows_shown=None, columns_shown=("n",)))
    assert numbers.rows == ((Cell("1", "number"),), (Cell("−2", "number"),), (Cell("3", "number"),))


def test_a_table_has_at_most_eight_columns_on_the_page():
    frame = pd.DataFrame({f"c{index}": [index] for index in range(12)})
    assert grid(Table("t", "C.", frame)).columns == tuple(f"c{index}" for index in range(8))


def test_a_span_is_drawn_where_its_numbers_lie_and_its_columns_are_not_printed_again():
    frame = pd.DataFrame({
        "head": ["a", "b", "c"],
        "mass": [0.5, 1.0, np.nan],
        "low": [0.25, 0.75, np.nan],
        "high": [0.75, 1.0, np.nan],
        "twins low": [0.1, np.nan, np.nan],
        "twins high": [0.2, np.nan, np.nan],
    })
    printed = grid(Table("t", "C.", frame, spans=(Span.of("mass", ""),)))
    assert printed.columns == ("head", "mass")
    first, second, third = (row[1] for row in printed.rows)
    assert (first.text, first.note, first.order) == ("0.50", "[0.25, 0.75]", "0.5")
    assert first.style == "--point:50.0%;--low:25.0%;--high:75.0%;--least:10.0%;--most:20.0%"
    assert first.controls == "controls 0.10 to 0.20"
    assert second.style == "--point:100.0%;--low:75.0%;--high:100.0%"
    assert third.kind == "missing"


def test_bars_of_both_signs_begin_at_zero():
    frame = pd.DataFrame({"head": ["a", "b"], "effect": [-1.0, 3.0]})
    cells = [row[1] for row in grid(Table("t", "C.", frame, spans=(Span("effect"),))).rows]
    assert [cell.style for cell in cells] == [
        "--point:0.0%;--low:0.0%;--high:25.0%",
        "--point:100.0%;--low:25.0%;--high:100.0%",
    ]


def test_a_long_table_is_written_in_parts_as_if_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    columns = {"text": ["a,b", None, "c\nd", "5", "=e"], "n": [1, 2, 3, 4, 5], "x": [0.5, np.nan, 1e-9, 2.0, 3.0]}
    frame = pd.DataFrame(columns, index=[4, 3, 2, 1, 0])
    whole = csv_bytes(frame)
    monkeypatch.setattr(tables, "_ROWS_WRITTEN", 2)
    assert csv_bytes(frame) == whole
    assert csv_bytes(frame.iloc[:0]) == b"text,n,x\n"
