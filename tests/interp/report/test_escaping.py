"""Whatever a text holds, wherever it stands: it is seen and not obeyed, in every block, page and notebook display."""

import re

import numpy as np
import pandas as pd
import pytest

from interp.report import (
    BarChart,
    Beside,
    Card,
    Figure,
    Heading,
    Line,
    Links,
    Page,
    Paragraph,
    PatternPicture,
    SmallTable,
    StripLegend,
    Table,
    Thumbnail,
    Title,
    Token,
    TokenStrip,
    View,
    display_block,
    notebook_html,
    render,
)
from interp.report.card_parts import LinePanel, LinePanels, PanelLine, Part, Tinted, TintedTable
from interp.report.escaping import TEMPLATES, fill
from interp.report.notebook_blocks import section_html
from interp.report.views import AttentionPatterns, MapPoint, head_view, layer_view, map_view, model_view
from tests.support.hostile import OBEYED, OVERRIDE, TEXTS, intruders
from tests.support.reports import report, section

SQUARE = np.eye(len(TEXTS))
TABLE = SmallTable(TEXTS[0], TEXTS, [TEXTS, [Token(text) for text in TEXTS]], numeric=True)
PICTURE = PatternPicture(SQUARE, TEXTS, TEXTS, "blue", TEXTS[0], TEXTS[1])
PARTS = (
    *(Title(text, ((text, "blue"), (text, None))) for text in TEXTS),
    *(Line((text, Token(text), Token(text, strong=True))) for text in TEXTS),
    Links(tuple(("first/index.html", text) for text in TEXTS)),
    *(StripLegend(1.0, text, text, text) for text in TEXTS),
    TokenStrip(TEXTS, np.linspace(-1, 1, len(TEXTS)), 1.0),
    PICTURE,
    TABLE,
    SmallTable(TEXTS[0], TEXTS[:2], [("x", Thumbnail(SQUARE, text, text)) for text in TEXTS]),
    Beside(PICTURE, (TABLE,)),
    TintedTable(TEXTS[0], TEXTS, [(text, [Tinted(text, "blue", 0.5, text) for _ in TEXTS[1:]]) for text in TEXTS]),
    LinePanels(
        tuple(LinePanel(text, (PanelLine(text, np.array([0.0, 1.0]), "blue"),), 1) for text in TEXTS),
        2,
        np.array([0.0, 1.0]),
        (TEXTS[0], TEXTS[1]),
        0.0,
        1.0,
        TEXTS[0],
    ),
)
PATTERNS = AttentionPatterns(*(SQUARE[None, None],) * 3, TEXTS, TEXTS)
VIEWS = {
    "layers": layer_view("root", TEXTS, TEXTS, dict.fromkeys(("raw",), TEXTS[0]), {"raw": {"mean": SQUARE[None]}}),
    "map": map_view(tuple(MapPoint(float(i), 0.0, text, i) for i, text in enumerate(TEXTS)), TEXTS, TEXTS[0]),
    "heads": head_view(PATTERNS, "cross", name=TEXTS[0]),
    "model": model_view(PATTERNS, "encoder", name=TEXTS[0]),
}
# As objects: with pyarrow installed, strings of pandas take no half of a surrogate pair.
COLUMNS = pd.Index(["token", *TEXTS], dtype=object)
FRAME = pd.DataFrame([[text, *range(len(TEXTS))] for text in TEXTS], columns=COLUMNS, dtype=object)
BLOCKS = (
    *map(Heading, TEXTS),
    *map(Paragraph, TEXTS),
    *(Table(f"table-{i}", text, FRAME, None, hues={text: "blue"}) for i, text in enumerate(TEXTS)),
    Figure("figure", TEXTS[0], TEXTS[1], BarChart(TEXTS, np.zeros(len(TEXTS)), None, None, None, TEXTS[2])),
    *(View(f"view-{name}", TEXTS[0], html, TEXTS[1]) for name, html in VIEWS.items()),
    Card("card", TEXTS[0], PARTS),
)


@pytest.fixture(scope="module")
def files():
    own = Page("own", OVERRIDE, TEXTS[0], (Paragraph("x"),))
    everywhere = section(*BLOCKS, title=TEXTS[0], question=TEXTS[1], findings=TEXTS, limits=TEXTS, pages=(own,))
    pairs = tuple((text, text) for text in TEXTS)
    return render(report(everywhere, title=TEXTS[0], findings=TEXTS, command=TEXTS[0], provenance=pairs, notes=TEXTS))


def test_every_kind_of_part_is_tried():
    assert {type(part) for part in PARTS} == set(Part.__args__) - {type(VIEWS["map"])}


@pytest.mark.parametrize("name", ["index.html", "pages/own.html"])
def test_pages_obey_no_text(files, name):
    page = files[name].decode("utf-8")
    assert intruders(page) == []
    assert page.count("[U+202E]") >= (60 if name == "index.html" else 2)


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: type(block).__name__)
def test_displays_of_blocks_obey_no_text(block):
    assert intruders(display_block(block).html) == []


def test_displays_of_objects_obey_no_text():
    shown = [
        notebook_html.table(TEXTS[0], TEXTS, [TEXTS]),
        notebook_html.tokens(TEXTS, TEXTS),
        notebook_html.lines([(text, text) for text in TEXTS]),
        section_html(section(findings=TEXTS, limits=TEXTS), dict.fromkeys(TEXTS, TEXTS[0])),
    ]
    assert intruders("".join(shown)) == []


def test_the_check_finds_what_it_looks_for():
    assert len(intruders("<p onclick=x>\u202e</p><script>alert(1)</script>\x00")) == 4


def test_no_template_can_print_around_the_gate():
    for path in TEMPLATES.glob("*.jinja"):
        # Markup joined to text by `~` would escape it, but not spell out what is invisible.
        assert not re.search(r"autoescape|\|\s*safe|\|\s*e\b| ~ ", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("text", TEXTS)
def test_a_template_prints_nothing_as_it_is(text):
    class Foreign:
        def __str__(self):
            return text

        def __html__(self):
            return f"<b>{text}</b>"

    shown = fill("notebook_lines.html.jinja", pairs=[(text, Foreign())])
    assert not OBEYED.search(shown)
    assert "<b>" not in shown
    assert intruders(shown) == []
