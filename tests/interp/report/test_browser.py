"""A page in a real browser: what is drawn, what is logged, what is asked of the network, what fits on a phone."""

import numpy as np
import pytest

from interp.report import Figure, Heatmap, Panel, Section, Table, View, render
from interp.report.views import head_view, model_view
from tests.support.attention_patterns import attention
from tests.support.browser import Browser, needs_chromium
from tests.support.hostile import TEXTS
from tests.support.reports import BARS, FRAME, report

pytestmark = [pytest.mark.slow, needs_chromium]


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


PATTERNS = attention()


@pytest.fixture(scope="module")
def page(tmp_path_factory):
    values = np.random.default_rng(0).random((4, 40))
    wide = Panel("weights", values, tuple("abcd"), tuple(f"·token{index}" for index in range(40)), "target", "source")
    section = Section(
        "heads",
        TEXTS[0],
        TEXTS[1],
        TEXTS,
        (
            Table("effects", TEXTS[0], FRAME.assign(token=TEXTS[0], more=TEXTS[6]), rows_shown=5),
            Figure("bars", "Bars.", "A bar.", BARS),
            Figure("wide", "Wide.", "A wide heatmap.", Heatmap((wide,), "weight")),
            View("cross", "Cross-attention", head_view(PATTERNS, "cross"), "bars"),
            View("encoder", "Encoder", model_view(PATTERNS, "encoder"), "There is none."),
            View("decoder", "Decoder", model_view(PATTERNS, "decoder"), "There is none."),
        ),
        TEXTS,
    )
    folder = tmp_path_factory.mktemp("page")
    for name, content in render(report(section)).items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(content)
    return folder / "index.html"


LINES = "return [...document.querySelectorAll('details.view')].map(view => view.querySelectorAll('line').length)"
OPEN = "document.querySelectorAll('details').forEach(view => { view.open = true; })"
PAUSE = "return new Promise(done => setTimeout(done, 500))"


@pytest.mark.parametrize("width", [390, 1280])
def test_a_page_draws_everything_and_asks_for_nothing(browser, page, width):
    browser.open(page, width)
    assert browser.run(LINES) == [0, 0, 0]
    browser.run(OPEN)
    browser.run(PAUSE)
    # Cross: 4 heads of one layer, 4 by 13; the model views: all layers and heads.
    assert browser.run(LINES) == [4 * 4 * 13, 2 * 5 * 13 * 13, 3 * 4 * 4 * 4]
    assert browser.log("browser") == []
    assert browser.requests() == {page.as_uri()}
    assert browser.run("return [...document.images].every(image => image.complete && image.naturalWidth > 200)")
    assert browser.run("const root = document.documentElement; return root.scrollWidth - root.clientWidth") == 0
    assert browser.run("return document.querySelectorAll('[onerror], main img:not([alt])').length") == 0


def test_a_view_answers_the_mouse(browser, page):
    browser.open(page, 1280)
    browser.run(OPEN)
    browser.run(PAUSE)
    shown = "return document.querySelectorAll('#view-encoder text').length"
    before = browser.run(shown)
    browser.run(
        "const regions = document.querySelectorAll('#view-encoder svg > g > rect:last-child');"
        "regions[0].dispatchEvent(new MouseEvent('click', { bubbles: true }))"
    )
    assert browser.run(shown) == before + 2 * 13 + 1  # both columns of tokens and a heading
    browser.run(
        "const layer = document.querySelector('#view-cross select'); layer.value = '2';"
        "layer.dispatchEvent(new Event('change', { bubbles: true }))"
    )
    first = "return +document.querySelector('#view-cross line').getAttribute('stroke-opacity')"
    assert browser.run(first) == pytest.approx(PATTERNS.cross[2, 0, 0, 0] / 4, abs=2e-4)
    assert browser.log("browser") == []


def test_the_narrow_drawing_is_shown_on_a_phone(browser, page):
    sizes = "return [...document.images].map(image => image.getBoundingClientRect().width)"
    browser.open(page, 390)
    narrow = browser.run(sizes)
    assert narrow[0] <= 390 - 32
    browser.open(page, 1280)
    assert browser.run(sizes)[0] > 600


def test_the_keyboard_reaches_what_scrolls(browser, page):
    browser.open(page, 390)
    unreachable = browser.run(
        "return [...document.querySelectorAll('.scroll')]"
        ".filter(box => box.scrollWidth > box.clientWidth && box.tabIndex < 0).length"
    )
    assert unreachable == 0
    assert browser.run("return document.querySelectorAll('.scroll').length") >= 6


def test_colors_contrast_enough_in_both_schemes(browser, page):
    """WCAG 2.2, success criterion 1.4.3: 4.5 to 1 for text."""
    script = """
      const parse = color => color.match(/[\\d.]+/g).slice(0, 3).map(Number);
      const light = color => {
        const parts = parse(color).map(v => v / 255).map(v => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4);
        return 0.2126 * parts[0] + 0.7152 * parts[1] + 0.0722 * parts[2];
      };
      const ground = node => {
        for (; node; node = node.parentElement) {
          const color = getComputedStyle(node).backgroundColor;
          if (!color.endsWith(', 0)')) return color;
        }
      };
      return Math.min(...[...document.querySelectorAll('h1, h2, p, li, a, td, th, .label, .source, .missing, .hint')]
        .filter(node => !node.matches('.skip')).map(node => {
          const pair = [light(getComputedStyle(node).color), light(ground(node))].sort((a, b) => b - a);
          return (pair[0] + 0.05) / (pair[1] + 0.05);
        }));
    """
    for scheme in ("light", "dark"):
        browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        browser.open(page, 1280)
        assert browser.run(script) >= 4.5


def test_print_hides_what_paper_cannot_show(browser, page):
    browser.command("Emulation.setEmulatedMedia", media="print")
    browser.open(page, 794)
    hidden = browser.run(
        "return [...document.querySelectorAll('details.view, nav, .skip, .filter')].every(node => !node.offsetHeight)"
    )
    browser.command("Emulation.setEmulatedMedia", media="")
    assert hidden
