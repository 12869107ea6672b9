import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from markupsafe import Markup

from interp.report import (
    Card,
    Figure,
    Heatmap,
    LinePlot,
    Links,
    Panel,
    Paragraph,
    PointGroup,
    Report,
    Section,
    Series,
    Table,
    TokenStrip,
    View,
)
from tests.support.paths import ROOT

FRAME = pd.DataFrame({"head": ["XL0H0", "XL0H1"], "effect": [0.5, -0.25]})
LINES = LinePlot((Series("a", np.arange(3.0), np.ones(3)),), "layer", "accuracy")


def section(**changes):
    fields = {
        "name": "heads",
        "title": "Heads",
        "question": "Which?",
        "findings": ("This one.",),
        "blocks": (),
        "limits": ("Few prompts.",),
    }
    return Section(**{**fields, **changes})


@pytest.mark.parametrize("name", ["", "Heads", "a b", "../x", "a_b", "-a", "a--b", "a/b", "x" * 81, "é", "a\n"])
def test_names_that_are_no_file_names_are_refused(name):
    with pytest.raises(ValueError, match=r"Table\.name becomes a file name .*'cross-heads'; got"):
        Table(name, "A caption.", FRAME)
    with pytest.raises(ValueError, match=r"Section\.name becomes a file name"):
        section(name=name)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Figure("f", "Caption.", "  ", LINES), r"Figure\.alt is empty"),
        (lambda: Figure("f", "", "Alt.", LINES), r"Figure\.caption is empty"),
        (lambda: Table("t", " ", FRAME), r"Table\.caption is empty"),
        (lambda: View("v", "View", Markup("<p>x</p>"), ""), r"View\.fallback is empty"),
        (lambda: Card("c", "Card", ()), r"Card 'c' needs parts"),
        (
            lambda: Links((("javascript:alert(1)", "x"),)),
            r"Links lead to pages beside this one, .* got 'javascript:alert",
        ),
        (
            lambda: TokenStrip(("a", "b"), np.zeros(3), 1.0),
            r"A TokenStrip needs a value for each of its 2 pieces, got 3",
        ),
        (lambda: Paragraph("\n"), r"Paragraph\.text is empty"),
        (lambda: section(limits=()), r"Section\.limits must hold at least one sentence"),
        (lambda: section(findings=("Yes.", " ")), r"Section\.findings must hold .* no empty one"),
        (lambda: Report("T", "Q?", ("F.",), "interp run", (), ()), r"Report\.sections is empty"),
    ],
)
def test_what_a_reader_needs_must_be_there(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_table_knows_its_columns():
    with pytest.raises(ValueError, match=r"cannot show the columns \['size'\]; its columns are head, effect"):
        Table("t", "A caption.", FRAME, columns_shown=("head", "size"))
    with pytest.raises(ValueError, match=r"distinct names, got \['a', 'a'\]"):
        Table("t", "A caption.", pd.DataFrame([[1, 2]], columns=["a", "a"]))
    with pytest.raises(ValueError, match="must be at least 1 or None for all, got 0"):
        Table("t", "A caption.", FRAME, rows_shown=0)


def test_a_named_index_becomes_columns_and_the_frame_is_copied():
    frame = FRAME.set_index("head")
    table = Table("t", "A caption.", frame)
    frame.loc["XL0H0", "effect"] = 99.0
    assert list(table.frame.columns) == ["head", "effect"]
    assert table.frame["effect"].tolist() == [0.5, -0.25]


def panel(values, rows=2, columns=3):
    return Panel("p", values, tuple("ab"[:rows]), tuple("xyz"[:columns]), "row", "column")


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: panel(np.zeros((2, 3)), rows=1), r"Panel\.row_labels must have 2 entries, got 1"),
        (lambda: panel(np.zeros((2, 3)), columns=2), r"Panel\.column_labels must have 3 entries, got 2"),
        (lambda: panel(np.full((2, 3), np.inf)), r"Panel\.values holds an infinite value; give NaN"),
        (lambda: Heatmap((), "x"), r"Heatmap\.panels is empty"),
        (lambda: Heatmap((panel(np.zeros((2, 3))),), "x", lower=1.0, upper=1.0), r"lower must lie below upper"),
        (lambda: Series("s", np.array([1.0, 1.0]), np.zeros(2)), r"Series\.x must ascend"),
        (lambda: Series("s", np.arange(2.0), np.zeros(2), low=np.zeros(2)), r"one end of an interval"),
        (
            lambda: Series("s", np.arange(2.0), np.zeros(2), np.array([0.0, 2.0]), np.ones(2)),
            r"Series\.low lies above high at entry 1",
        ),
        (lambda: PointGroup("g", np.zeros(2), np.zeros(2), ("a",)), r"PointGroup\.names must have 2 entries, got 1"),
    ],
)
def test_blocks_and_charts_refuse_what_does_not_fit(make, message):
    with pytest.raises(ValueError, match=message):
        make()


SEEN_BY_ANNOTATIONS = {
    'Series("s", np.arange(2.0), np.zeros(3))': "Series.y must have 2 entries, got 3.",
    'BarChart(("a",), np.zeros(1), None, None, np.zeros(2), "x")': "BarChart.control must have 1 entries, got 2.",
    'Panel("p", np.zeros(3), ("a",), ("b",), "row", "column")': (
        "Panel.values must be a non-empty array with 2 dimension(s), got shape (3,)."
    ),
    'View("v", "View", "<p>x</p>", "x")': (
        "View.html of 'v' is plain text; take `markupsafe.Markup` if you trust it as HTML."
    ),
    'Card("c", "Card", ("<p>x</p>",))': "Card 'c' needs parts, and a text among them must stand in a Line or be Markup.",
    'Section("s", "T", "Q?", "One text.", (), ("L.",))': "Section.findings must be a tuple of sentences, got one text.",
}


def test_users_get_sentences_where_tests_get_annotation_errors():
    """The tests check annotations first, users do not: what users see is tried in a Python of their kind."""
    program = (
        "import numpy as np, sys\nfrom interp.report import *\n"
        "for expression in sys.argv[1:]:\n"
        "    try:\n        eval(expression)\n"
        "    except ValueError as error:\n        print(error)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *SEEN_BY_ANNOTATIONS], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.splitlines() == list(SEEN_BY_ANNOTATIONS.values())


def test_charts_keep_their_own_read_only_copy():
    values = np.zeros((2, 3))
    chart = panel(values)
    values[0, 0] = 7.0
    assert chart.values[0, 0] == 0.0
    with pytest.raises(ValueError, match="read-only"):
        chart.values[0, 0] = 1.0


@pytest.mark.parametrize(
    ("values", "center", "lower", "upper", "limits"),
    [
        ([[0.2, 0.9, np.nan]], None, None, None, (0.2, 0.9)),
        ([[0.2, 0.9, np.nan]], None, 0.0, 0.5, (0.0, 0.5)),
        ([[-0.5, 2.0, 0.0]], 0.0, None, None, (-2.0, 2.0)),
        ([[0.0, 3.0, 1.0]], 1.0, None, None, (-1.0, 3.0)),
        ([[0.0, 0.0, 0.0]], 0.0, None, None, (-1.0, 1.0)),
        ([[4.0, 4.0, 4.0]], None, None, None, (4.0, 8.0)),
        ([[np.nan, np.nan, np.nan]], None, None, None, (0.0, 1.0)),
    ],
)
def test_the_scale_of_a_heatmap(values, center, lower, upper, limits):
    heatmap = Heatmap((panel(np.array(values), rows=1),), "x", center, lower, upper)
    assert heatmap.limits == pytest.approx(limits)


def test_panels_share_one_scale():
    small, large = np.array([[0.1, 0.2, 0.3]]), np.array([[5.0, 6.0, 7.0]])
    assert Heatmap((panel(small, rows=1), panel(large, rows=1)), "x").limits == (0.1, 7.0)
