"""Tables a reader may sort and filter, cells that carry a color, cards: what is written, and what a browser makes of it."""

import re

import pandas as pd
import pytest
from markupsafe import Markup

from interp.report import HUES, Card, Heading, Line, Page, Section, Table, View, render
from tests.support.browser import Browser, needs_chromium
from tests.support.reports import report

FRAME = pd.DataFrame({
    "head": ["EL10H0", "EL2H5", "EL0H1", "EL3H3"],
    "role": ["none", "previous token", "none", "<b>none"],
    "gain": [0.5, -12.25, float("nan"), 3.0],
})


def section(*blocks):
    return Section("heads", "Heads", "Which?", ("One.",), blocks, ("Few.",))


def heads(**changes):
    return Table("heads", "Heads.", FRAME, **({"rows_shown": 2} | changes))


def index(*blocks):
    return render(report(section(*blocks)))["index.html"].decode()


def test_a_page_with_tables_brings_their_script_by_hash():
    page = index(heads())
    scripts = re.findall(r"<script>(.*?)</script>", page, re.DOTALL)
    assert len(scripts) == 1
    assert "aria-sort" in scripts[0]
    assert re.search(r"script-src &#39;sha256-[\w+/=]+&#39;;", page)


def test_other_pages_bring_no_script_and_allow_none():
    page = Page("own", "Own", "Lead.", (heads(),))
    files = render(report(Section("heads", "Heads", "Which?", ("One.",), (Heading("A"),), ("Few.",), (page,))))
    for name in ("index.html", "pages/own.html"):
        assert "<script" not in files[name].decode()
        assert "script-src &#39;none&#39;" in files[name].decode()


def test_cells_with_a_hue_carry_a_patch_of_it_and_others_none():
    page = index(heads(hues={"previous token": "blue"}))
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
    path.write_text(index(heads(), View("plain", "Plain", Markup("<p>a</p>"), "There is none.")), encoding="utf-8")
    browser.open(path, 390)
    return browser


def open_table(browser):
    browser.click("#table-heads summary")
    browser.run("return new Promise(done => setTimeout(done, 200))")


def press(browser, key):
    for kind in ("keyDown", "keyUp"):
        browser.command("Input.dispatchKeyEvent", type=kind, **key)


@pytest.mark.slow
@needs_chromium
def test_rows_follow_the_column_that_was_pressed(opened):
    assert opened.run(HEADS) == ["EL10H0", "EL2H5"]
    open_table(opened)
    assert opened.run(HEADS) == ["EL10H0", "EL2H5", "EL0H1", "EL3H3"], "the other rows come when the table is opened"
    opened.run(PRESS.format(2))
    assert opened.run(HEADS) == ["EL3H3", "EL10H0", "EL2H5", "EL0H1"]
    assert opened.run(SORTS) == [None, None, "descending"]
    opened.run(PRESS.format(2))
    assert opened.run(HEADS) == ["EL2H5", "EL10H0", "EL3H3", "EL0H1"], "what is not defined stays at the end"
    opened.run(PRESS.format(0))
    assert opened.run(HEADS) == ["EL0H1", "EL2H5", "EL3H3", "EL10H0"]
    assert opened.run(SORTS) == ["ascending", None, None]
    assert not [entry for entry in opened.log("browser") if entry["level"] == "SEVERE"]


SEEN = HEADS.replace("tbody tr", "tbody tr:not([hidden])")
CHOOSE = "const choice = document.querySelector('.filter select'); choice.value = '{}'; choice.dispatchEvent(new Event('input'))"
WRITE = (
    "const text = document.querySelector('.filter input'); text.value = '{}'; text.dispatchEvent(new Event('input'))"
)


@pytest.mark.slow
@needs_chromium
def test_rows_are_kept_by_what_a_column_says(opened):
    open_table(opened)
    opened.run(WRITE.format("el0"))
    assert opened.run(SEEN) == ["EL0H1"]
    assert opened.run("return document.querySelector('#table-heads .shown').textContent") == "1"
    opened.run(WRITE.format("<b>none"))
    assert opened.run(SEEN) == ["EL3H3"], "texts are compared as they are seen"
    opened.run(CHOOSE.format(2))
    opened.run(WRITE.format("3.0"))
    assert opened.run(SEEN) == ["EL3H3"], "numbers are compared whole"
    opened.run(WRITE.format(""))
    assert len(opened.run(SEEN)) == 4


@pytest.mark.slow
@needs_chromium
def test_the_keyboard_opens_a_table_and_reaches_a_heading(opened):
    opened.run("document.querySelector('#table-heads summary').focus()")
    press(opened, SPACE)
    opened.run("return new Promise(done => setTimeout(done, 200))")
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
        assert opened.run(HEADS) == ["EL10H0", "EL2H5"]
    finally:
        opened.command("Emulation.setScriptExecutionDisabled", value=False)
