"""The documentation builds without a warning and without a network, and says what it promises about every analysis."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest

import analyses
import interp
from analyses.core.registry import ANALYSES
from tests.support.browser import Browser, needs_chromium
from tests.support.paths import ROOT

pytest.importorskip("sphinx", reason="needs the extra `docs`: pip install -e '.[docs]'")
pytestmark = pytest.mark.slow

NOWHERE = dict.fromkeys(("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "all_proxy"), "http://127.0.0.1:9")
LOADED = {"script": "src", "img": "src", "link": "href", "iframe": "src", "source": "src", "video": "src"}


class Page(HTMLParser):
    """What a page loads, its pictures, its headings' and definitions' anchors."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.loads: list[str] = []
        self.alts: list[str | None] = []
        self.anchors: set[str] = set()
        self.text = path.read_text(encoding="utf-8")
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        found = dict(attrs)
        if tag in LOADED and found.get(LOADED[tag]):
            self.loads.append(str(found[LOADED[tag]]))
        if tag == "img":
            self.alts.append(found.get("alt"))
        self.anchors |= {str(found["id"])} if found.get("id") else set()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("docs")
    words = [
        "-q",
        "--fail-on-warning",
        "--keep-going",
        "-b",
        "html",
        "-d",
        str(out / "trees"),
        "docs",
        str(out / "html"),
    ]
    environment = os.environ | NOWHERE | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-m", "sphinx", *words], cwd=ROOT, capture_output=True, text=True, check=False, env=environment
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stderr
    return out / "html"


def own_pages(site: Path) -> Iterator[Path]:
    return (path for path in sorted(site.rglob("*.html")) if "example" not in path.parts)


def test_pages_load_nothing_from_elsewhere(site: Path) -> None:
    pages = list(own_pages(site))
    assert len(pages) > 30
    for path in pages:
        assert not [address for address in Page(path).loads if re.match(r"(?:[a-z]+:)?//", address)], path
    for path in site.rglob("*.css"):
        assert not re.search(r"url\([\"']?(?:https?:)?//|@import", path.read_text(encoding="utf-8")), path


@pytest.mark.parametrize("name", ANALYSES)
def test_every_analysis_has_its_card(site: Path, name: str) -> None:
    card = Page(site / "methods" / f"{name}.html")
    assert {"formula", "decision", "controls", "limits", "citation"} <= card.anchors
    assert card.text.count('display="block"') >= 2
    assert "<merror" not in card.text
    cited = set(re.findall(r'href="../bibliography.html#([\w-]+)"', card.text))
    assert len(cited) >= 3
    assert cited <= Page(site / "bibliography.html").anchors
    assert f'href="{name}.html"' in (site / "methods" / "index.html").read_text(encoding="utf-8")


def test_every_public_name_and_every_module_of_the_library_is_in_the_reference(site: Path) -> None:
    anchors = set().union(*(Page(path).anchors for path in (site / "_generated" / "reference").glob("*.html")))
    for package in (interp, analyses):
        for name in package.__all__:
            thing = getattr(package, name)
            assert f"{thing.__module__}.{thing.__qualname__}" in anchors
    parts = (path.relative_to(ROOT).with_suffix("").parts for path in (ROOT / "interp").rglob("*.py"))
    modules = {".".join(part[:-1] if part[-1] == "__init__" else part) for part in parts} - {"interp"}
    assert not {name for name in modules if f"module-{name}" not in anchors}


def test_the_gallery_shows_the_example_run_with_its_words(site: Path) -> None:
    gallery = Page(site / "_generated" / "gallery.html")
    shown = [address for address in gallery.loads if address.endswith(".svg") and "example" in address]
    assert len(shown) > 20
    assert all((site / "_generated" / address).is_file() for address in shown)
    alts = [alt for alt in gallery.alts if alt]
    assert len(alts) >= len(shown)
    assert min(map(len, alts)) > 20
    assert (site / "example" / "index.html").read_bytes() == (ROOT / "reports" / "example" / "index.html").read_bytes()


def test_the_help_of_every_command_is_shown(site: Path) -> None:
    page = Page(site / "_generated" / "command-line.html")
    assert {"interp-run", "interp-verify", "interp-attribute"} <= page.anchors
    assert "Usage: interp run" in re.sub(r"<[^>]+>", "", page.text)


@needs_chromium
def test_a_browser_finds_nothing_missing(site: Path, tmp_path: Path) -> None:
    browser = Browser(tmp_path)
    try:
        for name in ("index.html", "methods/logit_attribution.html", "_generated/gallery.html"):
            browser.open(site / name, 1280)
            assert browser.log("browser") == []
            assert {address.split(":")[0] for address in browser.requests()} == {"file"}
            assert browser.run("return document.querySelectorAll('math').length") >= (10 if "methods" in name else 0)
    finally:
        browser.close()
