"""Cards: small pictures and tables of real text."""

import re
from html import unescape

import numpy as np
import pytest

from interp.report import (
    Beside,
    Card,
    Line,
    PatternPicture,
    SmallTable,
    Thumbnail,
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
