"""Cards: small pictures and tables of real text."""

import re
from html import unescape

import numpy as np
import pytest

from interp.report import (
    Beside,
    Card,
    Line,
    LinePanel,
    LinePanels,
    PanelLine,
    PatternPicture,
    SmallTable,
    Thumbnail,
    Tinted,
    TintedTable,
    Title,
    Token,
    TokenStrip,
    readable_ink,
    tint,
)
from interp.report.cards import card_html


def html(*parts):
    return card_html(Card("card", "A card.", parts))


def test_a_picture_draws_what_matters_and_names_its_weight():
    weights = np.array([[0.9, 0.1, 0.0], [0.01, 0.03, 0.96]])
    picture = PatternPicture(weights, ("a", "b"), ("x", "y", "z"), "green", "Attention")
    shown = html(picture)
    assert shown.count("<rect") == 4
    assert re.findall(r"<title>(.*?)</title>", shown) == ["a → x: 0.90", "a → y: 0.10", "b → z: 0.96"]
    assert "Attention; its largest weight is from 'b' to 'z' 0.96" in unescape(shown)


def test_thumbnails_show_their_weights():
    def address(weights):
        return re.search(r'src="(.*?)"', html(SmallTable("c", ("a", "b"), [("x", Thumbnail(weights, "n", "note"))])))[1]

    assert address(np.eye(3)) == address(np.eye(3)) != address(np.zeros((3, 3)))


def test_strips_are_neutral_at_zero_and_readable():
    shown = html(TokenStrip(("a", "b", "c"), np.array([2.0, 0.0, -1.0]), 2.0))
    for color, text in ((tint("purple", 1.0), "+2.00"), ("#f4f6f7", "0.00"), (tint("orange", 0.5), "−1.00")):
        token = next(part for part in shown.split("<span") if f"<small>{text}</small>" in part)
        assert f"background:{color};color:{readable_ink(color)}" in token


def test_tokens_stand_apart_from_the_words_around_them():
    assert "<p>a <strong><bdi>·b</bdi></strong> c</p>" in html(Line(("a ", Token("▁b", strong=True), " c")))


def test_a_title_has_its_tags_in_their_hues():
    shown = html(Title("EL0H1", (("previous token", "blue"), ("no role", None))))
    assert re.sub("<.*?>", "", shown).strip() == "EL0H1 previous token no role"
    assert shown.count("swatch") == 1


@pytest.mark.parametrize(("rows", "tables"), [([], 0), ([("a", "1")], 1)])
def test_a_table_without_rows_is_not_shown(rows, tables):
    picture = PatternPicture(np.ones((1, 1)), ("a",), ("b",), "blue", "Attention")
    shown = html(Beside(picture, (SmallTable("c", ("name", "value"), rows, numeric=True),)))
    assert shown.count("<table") == tables
    assert shown.count('<td class="number">') == len(rows)


def test_tinted_cells_have_their_color_letters_and_words():
    cells = (Tinted("prev", "blue", 0.8, "XL0H0 previous token 0.80"), Tinted("·"))
    shown = html(TintedTable("Roles <over> steps", ("head", "0", "16"), [("XL0H0", cells)]))
    color = tint("blue", 0.8)
    assert f"background:{color};color:{readable_ink(color)}" in shown
    assert 'title="XL0H0 previous token 0.80">prev</td>' in shown
    assert "Roles &lt;over&gt; steps" in shown
    assert 'scope="row"' in shown
    assert shown.count('scope="col"') == 3


def test_small_multiples_draw_lines_gaps_and_where_they_are_strong():
    y = np.array([0.0, np.nan, 0.5, 1.0])
    line = PanelLine("previous token", y, "blue", np.array([False, False, True, True]))
    panels = LinePanels(
        (LinePanel("EL0H0 prev", (line,), mark=2),), 4, np.arange(4.0), ("step 0", "182"), 0.0, 1.0, "Scores"
    )
    shown = html(panels)
    assert 'd="M2.0 57.0h.1M66.0 30.0h.1L98.0 3.0"' in shown
    assert 'd="M66.0 30.0h.1L98.0 3.0" fill="none" stroke="#0072B2" stroke-width="4"' in shown
    assert 'd="M66.0 3V57"' in shown
    assert "EL0H0 prev: previous token from 0.00 to 1.00" in shown
    assert "step 0 to 182 from left to right, 0 to 1 upwards." in shown
