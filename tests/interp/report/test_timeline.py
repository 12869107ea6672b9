"""The page with the slider: it holds what it was given, nothing runs but its script, and the slider, keys and address move it."""

import base64
import json
import re
import zlib

import numpy as np
import pytest

from interp.report.timeline import HeadMoment, HeadTimeline, RunTimeline, Timeline, TimelinePrompt, timeline_page
from tests.support.axe import grave
from tests.support.browser import Browser, needs_chromium
from tests.support.hostile import SCRIPT, TEXTS, intruders

STEPS = (0, 16, 54, 182)
KINDS = {"encoder": (3, 3), "decoder": (2, 2), "cross": (2, 3)}
HEADS = [f"{letter}L{layer}H{head}" for letter in "EDX" for layer in range(2) for head in range(3)]


def head(seed):
    moments = (
        HeadMoment("", "gray", 0.0, "no role"),
        HeadMoment("prev", "blue", 0.3, "previous token 0.31"),
        HeadMoment("prev", "blue", 0.8, "previous token 0.81"),
        HeadMoment("al-o", "purple", 0.9, "alignment at the output 0.90"),
    )
    scores = {"previous token": ("blue", np.array([0.1, 0.31, 0.81, np.nan]))}
    return HeadTimeline(moments[seed % 4 :] + moments[: seed % 4], scores)


def run(name, seed, source=("▁the", "▁dog", "</s>"), target=("<start>", "▁Hund")):
    numbers = np.random.default_rng(seed)
    patterns = {
        kind: numbers.dirichlet(np.ones(shape[1]), (len(STEPS), 1, 2, 3, shape[0])) for kind, shape in KINDS.items()
    }
    loss, right = np.array([6.0, 4.0, 1.0, 0.02]), np.array([0.0, 0.2, 0.8, 1.0])
    return RunTimeline(name, STEPS, loss, right, {one: head(index) for index, one in enumerate(HEADS)}, patterns)


RUNS = (run("seed-0", 0), run("shuffled", 1))
CONTENTS = Timeline(RUNS, (TimelinePrompt("one", ("▁the", "▁dog", "</s>"), ("<start>", "▁Hund")),), "A note.")
WAIT = "return new Promise(done => setTimeout(done, 150))"


def unpacked(page):
    """The head and the bytes behind it of every run in a page."""
    found = []
    for text in re.findall(r'class="timeline-run">([^<]*)<', page.decode()):
        data = zlib.decompress(base64.b64decode(text))
        length = int.from_bytes(data[:4], "little")
        found.append((json.loads(data[4 : 4 + length]), data[4 + length :]))
    return found


def test_the_page_holds_roles_numbers_and_weights_of_every_step():
    (one, weights), (two, _) = unpacked(timeline_page(CONTENTS, "Steps"))
    assert (one["name"], two["name"], one["steps"]) == ("seed-0", "shuffled", list(STEPS))
    assert one["loss"] == [6.0, 4.0, 1.0, 0.02]
    assert [moment[0] for moment in one["heads"]["EL0H0"]["moments"]] == ["", "prev", "prev", "al-o"]
    assert one["heads"]["EL0H0"]["scores"][0][2] == [0.1, 0.31, 0.81, None]
    at = 0
    for array in one["arrays"]:
        size = int(np.prod(array["shape"]))
        shown = np.frombuffer(weights[at : at + size], np.uint8).reshape(array["shape"]) / 255
        np.testing.assert_allclose(shown, RUNS[0].patterns[array["name"]], atol=0.5 / 255 + 1e-9)
        at += size
    assert at == len(weights)


def test_prompts_that_do_not_fit_are_left_out(monkeypatch):
    monkeypatch.setattr("interp.report.timeline.page.MOST_BYTES", 10)
    (one, weights), _ = unpacked(timeline_page(CONTENTS, "Steps"))
    assert one["prompts"] == []
    assert weights == b""


def test_the_same_contents_give_the_same_bytes_and_the_policy_allows_its_two_scripts():
    page = timeline_page(CONTENTS, "Steps", "index.html")
    assert page == timeline_page(CONTENTS, "Steps", "index.html")
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page.decode())
    assert policy is not None
    assert policy[1].startswith("default-src &#39;none&#39;") or policy[1].startswith("default-src 'none'")
    assert policy[1].count("sha256-") == 2
    with pytest.raises(ValueError, match="needs a run"):
        timeline_page(Timeline((), (), "none"), "Steps")


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    browser = Browser(tmp_path_factory.mktemp("profile"))
    yield browser
    browser.close()


def visit(browser, page, address="", width=1280):
    browser.command("Page.navigate", url="about:blank")
    browser.run(WAIT)
    browser.open(page, width, address)
    browser.run(WAIT)


def written(folder, contents=CONTENTS, title="Steps"):
    path = folder / "steps.html"
    path.write_bytes(timeline_page(contents, title, "index.html"))
    return path


@pytest.mark.slow
@needs_chromium
def test_slider_keys_and_address_move_it_and_nothing_is_asked_of_the_network(browser, tmp_path):
    page = written(tmp_path)
    visit(browser, page, "#step=54&run=2&head=XL1H2&prompt=1")
    assert browser.run("return document.querySelector('#step-said').textContent").startswith("Step 54: loss 1.00, 80 %")
    assert browser.run("return document.querySelector('#choice-run').selectedOptions[0].textContent") == "shuffled"
    browser.run(
        "const slider = document.querySelector('#step'); slider.value = 3; slider.dispatchEvent(new Event('input'))"
    )
    browser.run(WAIT)
    assert browser.run("return location.hash") == "#step=182&run=2&head=XL1H2&prompt=1"
    browser.click('[data-head="EL0H0"]')
    browser.run(WAIT)
    assert "Alignment at the output 0.90." in browser.run("return document.querySelector('#role').textContent")
    browser.press("ArrowDown", "ArrowDown")
    browser.run(WAIT)
    assert browser.run("return document.activeElement.dataset.head") == "DL0H0"
    assert browser.log("browser") == []
    assert {one.split("#")[0] for one in browser.requests()} <= {page.as_uri(), "about:blank"}


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_it_fits_and_passes_the_accessibility_rules(browser, tmp_path, width):
    visit(browser, written(tmp_path), "#step=54", width)
    assert browser.run("return document.documentElement.scrollWidth") <= width
    assert grave(browser) == []


@pytest.mark.slow
@needs_chromium
def test_hostile_texts_are_seen_and_not_obeyed(browser, tmp_path):
    texts = tuple(text for text in TEXTS if len(text) < 1000)
    prompt = TimelinePrompt(SCRIPT, texts[:3], texts[3:5])
    contents = Timeline(tuple(run(text, 1) for text in (SCRIPT, "two")), (prompt,), SCRIPT)
    page = written(tmp_path, contents, SCRIPT)
    markup = page.read_text(encoding="utf-8").replace('<script type="application/octet-stream"', "<template")
    assert intruders(markup) == []
    visit(browser, page, "#step=54&head=XL0H0")
    assert browser.log("browser") == []
    assert "</script>" in browser.run("return document.querySelector('#choice-run').textContent")
    assert browser.run("return document.querySelectorAll('img, iframe, [onerror]').length") == 0
    assert "[U+202E]" in browser.run("return document.body.textContent")
