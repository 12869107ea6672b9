"""Tables a reader may sort, cells that carry a colour, cards: what is written, and what a browser makes of it."""

import re

import pandas as pd
import pytest
from markupsafe import Markup

from interp.report import HUES, Card, Line, Section, Table, View, render
from tests.support.browser import Browser, needs_chromium
from tests.support.reports import report

FRAME = pd.DataFrame({
    "head": ["EL10H0", "EL2H5", "EL0H1", "EL3H3"],
    "role": ["none", "previous token", "none", "<b>none"],
    "gain": [0.5, -12.25, float("nan"), 3.0],
})


def section(*blocks):
    return Section("heads", "Heads", "Which?", ("One.",), blocks, ("Few.",))


def sortable(**changes):
    return Table("heads", "Heads.", FRAME, **({"rows_shown": None, "sortable": True} | changes))


def index(*blocks):
    return render(report(section(*blocks)))["index.html"].decode()


def test_a_sortable_table_is_whole_and_brings_its_script_by_hash():
    page = index(sortable())
    assert '<table class="sortable">' in page
    (script,) = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert "aria-sort" in script
    assert re.search(r"script-src &#39;sha256-[\w+/=]+&#39;;", page)


def test_other_pages_bring_no_script_and_allow_none():
    page = index(Table("heads", "Heads.", FRAME))
    assert "<script" not in page
    assert "script-src &#39;none&#39;" in page


def test_a_sortable_table_that_is_cut_is_refused():
    with pytest.raises(ValueError, match=r"Table 'heads' is sortable and must show all rows: set rows_shown to None"):
        sortable(rows_shown=3)


def test_cells_with_a_hue_carry_a_patch_of_it_and_others_none():
    page = index(sortable(hues={"previous token": "blue"}))
    assert page.count('class="swatch"') == 1
    assert f'style="background:{HUES["blue"]}"></span>previous token</bdi>' in page


def test_a_card_stands_open_under_its_title():
    page = index(Card("pattern", 'Head "EL2H5" <on> prompt 1', (Markup("<table><tr><td>·a</td></tr></table>"),)))
    assert 'id="card-pattern" role="region" aria-label="Head &#34;EL2H5&#34; &lt;on&gt; prompt 1"' in page
    assert "<table><tr><td>·a</td></tr></table>" in page


@pytest.mark.parametrize(
    ("html", "message"),
    [
        ("<p>a</p><script>1</script>", "Card 'pattern' holds a script; make it a View"),
        ('<img src="https://example.org/a.png">', "Card 'pattern' would load 'https://example.org/a.png'"),
    ],
)
def test_a_card_may_not_act_or_load(html, message):
    with pytest.raises(ValueError, match=message):
        index(Card("pattern", "Pattern.", (Markup(html),)))


def test_a_name_used_twice_is_refused_for_cards_too():
    with pytest.raises(ValueError, match="Card 'pattern' occurs 2 times"):
        index(*(Card("pattern", "Pattern.", (Line(("a",)),)),) * 2)


HEADS = "return [...document.querySelectorAll('#table-heads tbody tr')].map(row => row.cells[0].textContent.trim())"
SORTS = "return [...document.querySelectorAll('#table-heads thead th')].map(cell => cell.getAttribute('aria-sort'))"
PRESS = "document.querySelectorAll('#table-heads button')[{}].click()"
TAB = {"key": "Tab", "code": "Tab", "windowsVirtualKeyCode": 9}
SPACE = {"key": " ", "code": "Space", "windowsVirtualKeyCode": 32, "text": " "}


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture
def opened(browser, tmp_path):
    path = tmp_path / "index.html"
    path.write_text(index(sortable(), View("plain", "Plain", Markup("<p>a</p>"), "There is none.")), encoding="utf-8")
    browser.open(path, 390)
    return browser


def press(browser, key):
    for kind in ("keyDown", "keyUp"):
        browser.command("Input.dispatchKeyEvent", type=kind, **key)


@pytest.mark.slow
@needs_chromium
def test_rows_follow_the_column_that_was_pressed(opened):
    assert opened.run(HEADS) == ["EL10H0", "EL2H5", "EL0H1", "EL3H3"]
    opened.run(PRESS.format(2))
    assert opened.run(HEADS) == ["EL3H3", "EL10H0", "EL2H5", "EL0H1"]
    assert opened.run(SORTS) == [None, None, "descending"]
    opened.run(PRESS.format(2))
    assert opened.run(HEADS) == ["EL2H5", "EL10H0", "EL3H3", "EL0H1"], "what is not defined stays at the end"
    opened.run(PRESS.format(0))
    assert opened.run(HEADS) == ["EL0H1", "EL2H5", "EL3H3", "EL10H0"]
    assert opened.run(SORTS) == ["ascending", None, None]
    assert not [entry for entry in opened.log("browser") if entry["level"] == "SEVERE"]


@pytest.mark.slow
@needs_chromium
def test_the_keyboard_reaches_a_heading_and_sorts(opened):
    opened.run("document.querySelector('.tall').focus()")
    press(opened, TAB)
    assert opened.run("return document.activeElement.textContent.trim()") == "head"
    press(opened, SPACE)
    assert opened.run(HEADS) == ["EL0H1", "EL2H5", "EL3H3", "EL10H0"]


@pytest.mark.slow
@needs_chromium
def test_without_scripts_the_table_is_a_plain_one(opened):
    opened.command("Emulation.setScriptExecutionDisabled", value=True)
    try:
        opened.command("Page.reload")
        opened.command("Emulation.setScriptExecutionDisabled", value=False)
        assert opened.run("return document.querySelectorAll('button').length") == 0
        assert opened.run(HEADS) == ["EL10H0", "EL2H5", "EL0H1", "EL3H3"]
    finally:
        opened.command("Emulation.setScriptExecutionDisabled", value=False)
