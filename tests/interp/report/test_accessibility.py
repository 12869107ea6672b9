"""The report of a run in a real browser, network blocked: silent, self-contained, accessible, and deaf to hostile prompts.

The rules are those of axe-core (`tests/vendor/axe-core`), tags WCAG 2.2 A and AA and best practice. The pages are those of the
example run and of a run over prompts that try to be markup.
"""

import csv
import json
import re
from collections.abc import Iterator
from pathlib import Path
from xml.etree import ElementTree

import pytest
import torch

from analyses.runs.config import RunConfig
from analyses.runs.runner import run
from tests.support.axe import grave
from tests.support.browser import Browser, needs_chromium
from tests.support.hostile import SCRIPT, TEMPLATE, TEXTS, intruders

pytestmark = pytest.mark.slow

LOOKS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]
# No prompt may hold NUL or half a surrogate pair; `test_escaping` tries those.
HOSTILE = tuple(re.sub("[\x00\ud800]", "", text)[:80] for text in TEXTS)

OPEN = "document.querySelectorAll('details').forEach(view => { view.open = true; })"
SETTLE = "return new Promise(done => requestAnimationFrame(() => setTimeout(done, 200)))"
WORDLESS = """
  const named = node => (node.getAttribute('alt') || node.getAttribute('aria-label') || '').trim()
    || (node.getAttribute('aria-labelledby') && document.getElementById(node.getAttribute('aria-labelledby')))
    || node.querySelector(':scope > title');
  const hidden = node => node.closest('[aria-hidden=true], details');
  return [...document.querySelectorAll('img, svg, canvas')].filter(node => !hidden(node) && !named(node))
    .map(node => node.outerHTML.slice(0, 200));
"""
INTRUDERS = """
  const wanted = "[onerror], [onload], img:not([src^='data:']), script[src], iframe, object";
  return document.querySelectorAll(wanted).length;
"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    prompts = folder / "hostile.jsonl"
    lines = [
        {"id": text[:40], "source": f"translate English to German: The {text} is here.", "target": f"Das {text}."}
        for text in HOSTILE
    ]
    prompts.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    analyses = ("head_specialization", "cross_attention_focus", "logit_attribution")
    config = RunConfig(prompts=str(prompts), twins=2, analyses=analyses)
    try:
        return run(config, folder / "run", overwrite=False, progress=lambda what, done, total: None).parent
    finally:
        torch.use_deterministic_algorithms(False)


def pages(folder: Path) -> list[Path]:
    return [folder / "index.html", folder / "explorer.html", *sorted((folder / "pages").glob("*.html"))]


def look_at(browser: Browser, page: Path, width: int, scheme: str) -> None:
    browser.command("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
    browser.open(page, width)
    browser.run(SETTLE)


def open_views(browser: Browser) -> None:
    browser.run(OPEN)
    browser.run(SETTLE)


def assert_self_contained(browser: Browser, page: Path) -> None:
    assert browser.requests() == {page.as_uri()}
    assert_quiet(browser)


def assert_quiet(browser: Browser) -> None:
    assert browser.log("browser") == []
    assert browser.requests() == set()
    assert browser.run("const root = document.documentElement; return root.scrollWidth - root.clientWidth") == 0


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_the_report_is_accessible_and_silent(browser: Browser, example_run: Path, width: int, scheme: str) -> None:
    page = example_run / "index.html"
    look_at(browser, page, width, scheme)
    assert_self_contained(browser, page)
    assert browser.run(WORDLESS) == []
    if (width, scheme) == LOOKS[0]:
        open_views(browser)
        assert_quiet(browser)
    assert grave(browser) == []


@needs_chromium
@pytest.mark.parametrize(("width", "scheme"), [LOOKS[0], LOOKS[-1]])
def test_every_page_below_it_is_too(browser: Browser, example_run: Path, width: int, scheme: str) -> None:
    # Pages of prompts are made alike, so two stand for all. Contrast depends on the scheme and not on the width, fit on the
    # width and not on the scheme, so two looks see every rule.
    for page in [
        page for page in pages(example_run)[1:] if page.stem not in ("prompt-3", "prompt-4", "prompt-5", "prompt-6")
    ]:
        look_at(browser, page, width, scheme)
        assert_self_contained(browser, page)
        open_views(browser)
        assert_quiet(browser)
        assert browser.run(WORDLESS) == []
        assert grave(browser) == []


@needs_chromium
def test_hostile_prompts_run_no_script(browser: Browser, hostile_run: Path) -> None:
    for page in pages(hostile_run):
        look_at(browser, page, 1280, "light")
        assert_self_contained(browser, page)
        open_views(browser)
        assert_quiet(browser)  # an alert would end the session, a refused script would be logged
        assert browser.run(INTRUDERS) == 0


def test_hostile_prompts_are_seen_and_not_obeyed_on_every_page(hostile_run: Path) -> None:
    assert len(pages(hostile_run)) > len(HOSTILE)
    for page in pages(hostile_run):
        text = page.read_text(encoding="utf-8")
        assert intruders(text) == [], page
        assert SCRIPT not in text
    index = (hostile_run / "index.html").read_text(encoding="utf-8")
    assert TEMPLATE in index
    assert "[U+202E]abc[U+202C]" in index


def test_hostile_prompts_are_text_in_the_files_beside_the_pages(hostile_run: Path) -> None:
    for path in (hostile_run / "tables").glob("*.csv"):
        with path.open(encoding="utf-8", newline="") as stream:
            cells = [cell for row in csv.reader(stream) for cell in row]
        # A spreadsheet runs what begins like a formula and is no number.
        assert [
            cell for cell in cells if re.match(r"\s*[=+\-@\t\r]", cell) and not re.fullmatch(r"-[\d.e+-]+", cell)
        ] == []
    for path in (hostile_run / "figures").glob("*.svg"):
        for element in ElementTree.parse(path).iter():
            assert not element.tag.endswith("}script"), path
            names = [name for name in element.attrib if name.rpartition("}")[2].startswith("on")]
            links = [
                value
                for name, value in element.attrib.items()
                if name.endswith("href") and not value.startswith(("#", "data:image/png;base64,"))
            ]
            assert names + links == [], path
    for path in hostile_run.glob("*.json"):
        assert isinstance(json.loads(path.read_text(encoding="utf-8")), dict)


@needs_chromium
def test_the_rules_find_what_is_wrong(browser: Browser, tmp_path: Path) -> None:
    page = tmp_path / "wrong.html"
    page.write_text(
        "<!doctype html><html><body><img src='data:,'><p style='color:#bbb;background:#fff'>pale</p><svg></svg></body></html>",
        encoding="utf-8",
    )
    look_at(browser, page, 1280, "light")
    assert {"image-alt", "color-contrast", "html-has-lang"} <= {rule["id"] for rule in grave(browser)}
    assert len(browser.run(WORDLESS)) == 2
