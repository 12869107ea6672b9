"""The page to explore in a real browser, by clicks and keys: it shows what it was given, and every state is an address."""

from dataclasses import replace

import numpy as np
import pytest

from interp.report.explorer import Explorer, ExplorerPrompt, HeadNote, explorer_page
from tests.support.attention_patterns import attention
from tests.support.axe import grave
from tests.support.browser import Browser, needs_chromium
from tests.support.hostile import SCRIPT, TEXTS, intruders

SOURCE = ("▁The", "▁dog", "▁is", "▁running", ".", "</s>")
TARGET = ("<start>", "▁Der", "▁Hund", "▁läuft")
LABELS = ("▁Der", "▁Hund", "▁läuft", "</s>")
COMPONENTS = ("embedding", *(f"DL{layer}H{head}" for layer in range(3) for head in range(4)), "XL1H2", "DL2MLP")
DEPTHS = ("embedding", "layer 0", "layer 1", "layer 2")
WAIT = "return new Promise(done => setTimeout(done, 150))"


def prompt(name, seed, source=SOURCE, target=TARGET, labels=LABELS):
    numbers = np.random.default_rng(seed)
    patterns = attention(source=source, target=target)
    rows, keys = len(target), len(source)
    return ExplorerPrompt(
        name=name,
        title=f"{name}: {' '.join(source)} " * 9,
        patterns=replace(patterns, cross=np.roll(patterns.cross, seed, axis=-1)),
        labels=labels,
        foils=tuple(f"other{row}" for row in range(rows)),
        lead=numbers.normal(size=rows),
        components=numbers.normal(size=(rows, len(COMPONENTS))),
        sources=numbers.normal(size=(3, 4, rows, keys)),
        memory=numbers.normal(size=(rows, keys, 2)),
        own=np.tril(numbers.normal(size=(3, 4, rows, rows))),
        lens=tuple(tuple(((labels[row], 0.5 + depth / 10), ("▁no", 0.1)) for depth in range(4)) for row in range(rows)),
    )


PROMPTS = (prompt("one", 0), prompt("two", 1))
NOTE = HeadNote(
    "previous token", "prev", "blue", 0.9, "certain", (("entropy", "0.20"),), "pages/head-cards.html#card-head-dl0h1"
)
CONTENTS = Explorer(
    "toy", PROMPTS, COMPONENTS, ("EL0H1", "EL1MLP"), DEPTHS, {"DL0H1": NOTE}, {"▁dog": (("▁cat", 0.61), ("▁wolf", 0.4))}
)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    path = tmp_path_factory.mktemp("explorer") / "explorer.html"
    path.write_bytes(explorer_page(CONTENTS, "Explorer", "index.html"))
    return path


def visit(browser, page, address="", width=1280):
    browser.command("Page.navigate", url="about:blank")
    browser.run(WAIT)
    browser.open(page, width, address)
    browser.run(WAIT)


def text(browser, selector):
    return browser.run(f"return document.querySelector('{selector}').textContent")


def address(browser):
    browser.run(WAIT)
    return browser.run("return location.hash")


def printed(browser, where):
    """The numbers of a list of bars."""
    cells = browser.run(f"return [...document.querySelectorAll('#{where} dd.number')].map(cell => cell.textContent)")
    return [float(cell.replace("−", "-")) for cell in cells]


pytestmark = [pytest.mark.slow, needs_chromium]


def test_an_address_brings_its_state_back_with_the_numbers_that_were_given(browser, page):
    visit(browser, page, "#XL1H2&prompt=2&row=3")
    assert text(browser, "#attention-title") == "XL1H2 on prompt two"
    row = PROMPTS[1].patterns.cross[1, 2, 3]
    best = SOURCE[int(row.argmax())].replace("▁", "·")
    assert text(browser, "#reading") == f"Row 3, ·läuft, which predicts </s>, reads most from {best}: {row.max():.2f}."
    shown = browser.run("return [...document.querySelectorAll('#keys small')].map(cell => Number(cell.textContent))")
    assert shown == pytest.approx(row, abs=0.0075)
    assert printed(browser, "writes") == pytest.approx(PROMPTS[1].sources[1, 2, 3], abs=0.0051)
    assert f"{PROMPTS[1].sources[1, 2, 3].sum():.2f}".replace("-", "−") in text(browser, "#writes")
    largest = sorted(PROMPTS[1].components[3], key=abs, reverse=True)[:10]
    assert printed(browser, "components")[:10] == pytest.approx(largest, abs=0.0051)
    assert "other3" in text(browser, "#writes-title")
    assert address(browser) == "#XL1H2&prompt=2&row=3"
    assert browser.log("browser") == []
    assert {one.split("#")[0] for one in browser.requests()} <= {page.as_uri(), "about:blank"}


def test_a_head_of_decoder_self_attention_is_explained_by_the_tokens_up_to_its_row(browser, page):
    visit(browser, page, "#DL1H2&prompt=2&row=2")
    assert printed(browser, "writes") == pytest.approx(PROMPTS[1].own[1, 2, 2, :3], abs=0.0051)
    assert browser.run("return [...document.querySelectorAll('#writes dt')].map(one => one.textContent)") == [
        "<start>",
        "·Der",
        "·Hund",
    ]


def test_heads_are_chosen_by_click_and_by_arrow_keys(browser, page):
    visit(browser, page)
    browser.click('[data-head="DL0H1"]')
    assert address(browser).startswith("#DL0H1&prompt=1")
    assert "previous token" in text(browser, "#card")
    assert browser.run("return document.querySelector('#card a').getAttribute('href')") == NOTE.address
    browser.press("ArrowRight")
    assert address(browser).startswith("#DL0H2&")
    browser.press("ArrowDown", "ArrowDown")
    assert address(browser).startswith("#DL2H2&")
    browser.press("ArrowDown")
    assert address(browser).startswith("#XL0H2&")
    assert browser.run("return document.activeElement.dataset.head") == "XL0H2"


def test_attention_of_some_layers_alone_is_explored_by_their_own_numbers(browser, tmp_path):
    whole = PROMPTS[0].patterns
    patterns = replace(whole, encoder=whole.encoder[:0], decoder=whole.decoder[1:], cross=whole.cross[[0, 2]])
    some = ExplorerPrompt("one", "one", patterns, LABELS)
    layers = {"decoder": (4, 7), "cross": (0, 9)}
    path = tmp_path / "cache.html"
    path.write_bytes(
        explorer_page(Explorer("", (some,), layers=layers, start="#DL7H2&prompt=1", note="Not here."), "Cache")
    )
    visit(browser, path)
    assert address(browser).startswith("#DL7H2&prompt=1&row=0")
    heads = browser.run("return [...document.querySelectorAll('#atlas [data-head]')].map(one => one.dataset.head)")
    assert {one.split("H")[0] for one in heads} == {"DL4", "DL7", "XL0", "XL9"}
    shown = browser.run(
        "return ['writes', 'components', 'lens', 'neighbors', 'card']"
        ".map(one => document.getElementById(one).offsetParent !== null)"
    )
    assert shown == [False, False, False, False, True]
    assert "Not here." in text(browser, "header")
    assert text(browser, "#atlas-shade").startswith("The darker, the more")
    assert not browser.run("return document.getElementById('atlas-marks').offsetParent")
    browser.run("document.querySelector('[data-head=DL7H2]').focus()")
    browser.press("ArrowDown", "ArrowDown")
    assert address(browser).startswith("#XL9H2&")
    visit(browser, path, "#XL9H1&row=2")
    assert address(browser).startswith("#XL9H1&prompt=1&row=2")
    best = SOURCE[int(patterns.cross[1, 1, 2].argmax())].replace("▁", "·")
    assert f"reads most from {best}" in text(browser, "#reading")
    assert browser.log("browser") == []


def test_cells_of_the_atlas_are_framed_and_named_and_the_frames_explained(browser, page, tmp_path):
    notes = {f"XL0H{head}": replace(NOTE, mark=mark) for head, mark in enumerate(("uncertain", "tendency"))}
    path = tmp_path / "marked.html"
    path.write_bytes(explorer_page(replace(CONTENTS, heads=notes), "Explorer"))
    visit(browser, path)
    assert address(browser).startswith("#XL0H1&")  # no head has a role, and this one a tendency
    frames = browser.run(
        "return ['XL0H0', 'XL0H1', 'DL0H1'].map(own => getComputedStyle("
        "document.querySelector(`[data-head=${own}]`), '::after').borderTopStyle)"
    )
    assert frames == ["dashed", "solid", "none"]
    assert browser.run("return document.querySelector('[data-head=XL0H1]').title") == "XL0H1: previous token"
    assert "clear tendency" in text(browser, "#atlas-marks")
    visit(browser, page, "#DL0H1")
    assert browser.run("return document.querySelectorAll('#atlas .certain').length") == 1


def test_pointing_at_either_side_shows_the_other(browser, page):
    visit(browser, page, "#XL0H1&row=1")
    weights = PROMPTS[0].patterns.cross[0, 1]
    browser.point('#queries [data-place="2"]')
    assert text(browser, "#reading").startswith("Row 2, ·Hund")
    browser.point('#keys [data-place="1"]')
    shown = browser.run("return [...document.querySelectorAll('#queries small')].map(cell => Number(cell.textContent))")
    assert shown == pytest.approx(weights[:, 1], abs=0.0075)
    assert text(browser, "#reading").startswith("·dog is read most by row")
    browser.point("h1")
    assert text(browser, "#reading").startswith("Row 1, ·Der")
    browser.click('#keys [data-place="1"]')
    assert "word=%C2%B7dog" in address(browser)
    assert text(browser, "#neighbors-title") == "Neighbors of ·dog"
    assert printed(browser, "neighbors") == [0.61, 0.4]


def test_rows_steps_and_prompts_follow_each_other(browser, page):
    visit(browser, page, "#XL0H0")
    browser.click('#queries [data-place="2"]')
    assert "&row=2" in address(browser)
    assert browser.run("return document.querySelector('#choice-step').value") == "2"
    assert "·läuft" in text(browser, "#lens .label")
    browser.run("document.querySelector('#choice-prompt').focus()")
    browser.press("ArrowDown")
    assert "prompt=2" in address(browser)
    assert text(browser, "#attention-title") == "XL0H0 on prompt two"


def test_an_encoder_head_writes_through_cross_attention(browser, page):
    visit(browser, page, "#EL0H1&row=4&step=1")
    assert "Source tokens, which read" in text(browser, "#queries-title")
    assert printed(browser, "writes") == pytest.approx(PROMPTS[0].memory[1, :, 0], abs=0.0051)
    assert address(browser) == "#EL0H1&prompt=1&row=4&step=1"


@pytest.mark.parametrize("bad", ["#XL99H99&prompt=77&row=900", "#nothing", "#&row=%E0%A4%A", "#XL1H1&row=x&prompt=-1"])
def test_an_address_of_nothing_shows_what_there_is(browser, page, bad):
    visit(browser, page, bad)
    assert "on prompt one" in text(browser, "#attention-title")
    assert browser.log("browser") == []


def test_a_component_leads_to_its_head(browser, page):
    visit(browser, page, "#DL1H1&row=1")
    browser.click("#components a")
    assert text(browser, "#components .own, #card-title") != ""
    linked = browser.run("return location.hash.slice(1).split('&')[0]")
    assert text(browser, "#card-title") == f"Head {linked}"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_it_is_accessible_and_fits(browser, page, width, scheme):
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    visit(browser, page, "#DL0H1&row=2", width)
    assert grave(browser) == []
    assert browser.run("const root = document.documentElement; return root.scrollWidth - root.clientWidth") == 0


def test_hostile_tokens_are_seen_and_not_obeyed(browser, tmp_path):
    texts = tuple(text for text in TEXTS if len(text) < 1000)
    hostile = prompt(SCRIPT, 0, texts, texts[:4], texts[4:8])
    path = tmp_path / "explorer.html"
    contents = replace(CONTENTS, prompts=(hostile,), neighbors=dict.fromkeys(texts, ((SCRIPT, 0.5),)), model=SCRIPT)
    path.write_bytes(explorer_page(contents, SCRIPT))
    assert (
        intruders(path.read_text(encoding="utf-8").replace('<script type="application/octet-stream"', "<template"))
        == []
    )
    visit(browser, path)
    browser.click('#keys [data-place="0"]')
    assert browser.log("browser") == []
    assert "</script>" in text(browser, "#keys")
    assert browser.run("return document.querySelectorAll('img, iframe, [onerror]').length") == 0
    assert "[U+202E]" in browser.run("return document.body.textContent")


def test_what_does_not_fit_is_left_out_and_said():
    whole = explorer_page(CONTENTS, "Explorer")
    one = explorer_page(CONTENTS, "Explorer", most_bytes=4000)
    assert len(one) < len(whole)
    assert b"1 of 2 prompts fit into this page." in one
    assert b"fit into this page" not in whole
    with pytest.raises(ValueError, match=r"needs a prompt of at most 10 bytes"):
        explorer_page(CONTENTS, "Explorer", most_bytes=10)


def test_the_same_contents_give_the_same_page():
    assert explorer_page(CONTENTS, "Explorer") == explorer_page(CONTENTS, "Explorer")


def test_prompts_whose_parts_do_not_fit_are_refused():
    with pytest.raises(ValueError, match=r"needs 4 decoder rows"):
        replace(PROMPTS[0], labels=LABELS[:3])
    with pytest.raises(ValueError, match=r"must have the shape of its cross-attention"):
        replace(PROMPTS[0], sources=PROMPTS[0].sources[:2])
