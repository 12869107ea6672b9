"""The page of one prompt, and the same numbers while the model writes."""

import dataclasses
import json
import re
from html.parser import HTMLParser

import numpy as np
import pytest
import torch

from analyses.core.contract import Example, Pass
from analyses.cross_attention_focus import FocusSettings, illustrate, observe, portray
from analyses.cross_attention_focus.measure.observe import HOOKS
from analyses.cross_attention_focus.present.explorer import attention_patterns, explorer
from analyses.cross_attention_focus.present.prompt_matrices import example_matrices, head_matrices, source_words
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import Figure, Heatmap, Panel, Report, Section, Table, View, render
from tests.support.cross_focus import run_pass
from tests.support.models import random_batch

pytestmark = pytest.mark.slow


class _Page(HTMLParser):
    """Cells, headings and scripts of a fragment."""

    def __init__(self) -> None:
        super().__init__()
        self.cells: list[str] = []
        self.headings: list[str] = []
        self.scripts: list[str] = []
        self.tag = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tag = tag
        if tag == "td":
            self.cells.append("")
        elif tag == "script":
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.tag = ""

    def handle_data(self, data: str) -> None:
        if self.tag == "td":
            self.cells[-1] += data
        elif self.tag == "bdi":
            self.headings.append(data)
        elif self.tag == "script":
            self.scripts[-1] += data


@pytest.fixture(scope="module")
def example(tiny_t5: HookedEncoderDecoder) -> Example:
    batch = random_batch(tiny_t5).select(0)
    return Example(
        id="p0",
        source_pieces=batch.source_texts[0].pieces,
        decoder_pieces=batch.decoder_pieces(0),
        label_pieces=batch.target_texts[0].pieces,
        arrays=illustrate(run_pass(tiny_t5, batch)),
    )


def parsed(html: str) -> _Page:
    page = _Page()
    page.feed(html)
    return page


def test_columns_are_words_and_the_end_of_the_sentence(example: Example) -> None:
    units, names = source_words(example)
    assert units.tolist() == [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7]
    assert names[-1] == "</s>"
    assert names[0] == "".join(example.source_pieces[:2]).lstrip("▁")


def test_the_table_shows_the_last_layer_and_the_script_holds_every_layer_head_and_version(example: Example) -> None:
    page = parsed(explorer(example, "t", "f").html)
    (script,) = page.scripts
    data = json.loads(re.search(r"var data = (\{.*?\});", script).group(1))  # type: ignore[union-attr]
    assert list(data) == ["raw", "masked", "norm", "alti"]
    assert [list(units) for units in data.values()] == 3 * [["mean", "0", "1", "2", "3", "4"]] + [["mean"]]
    words = source_words(example)[0][:, None] == np.arange(8)
    raw = np.array(data["raw"]["mean"]).reshape(3, 13, 9)
    np.testing.assert_allclose(raw[..., :8] / 100, example.arrays["raw.layer"] @ words, atol=0.0051)
    assert (raw[..., 8] == -1).all()  # attention has no share of the target
    norm = np.array(data["norm"]["3"]).reshape(3, 13, 9)
    np.testing.assert_allclose(norm[..., :8] / 100, example.arrays["norm.head"][:, 3] @ words, atol=0.0051)
    alti = np.array(data["alti"]["mean"]).reshape(3, 13, 9)
    np.testing.assert_allclose(alti.sum(-1), 100, atol=5)
    for unit in ("mean", "2"):
        masked = np.array(data["masked"][unit]).reshape(3, 13, 9)
        assert (masked[..., [0, 7]] == 0).all()  # prefix and end of sentence
        np.testing.assert_allclose(masked[..., 1:7].sum(-1), 100, atol=4)
    assert page.cells == ["×" if value < 0 else str(value) for value in raw[2].ravel()]
    assert page.headings[: 8 + 1] == [*source_words(example)[1], "target so far"]


def test_long_texts_leave_single_heads_out(example: Example, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("analyses.cross_attention_focus.present.explorer._MOST_CELLS", 3 * 3 * 5 * 13 * 15 - 1)
    html = explorer(example, "t", "f").html
    assert '"mean"' in html
    assert '"4"' not in html


def test_a_prompt_page_has_its_still_twin_its_explorer_and_no_figure(example: Example) -> None:
    words, view, steps = portray(dataclasses.replace(example, number=7))
    assert isinstance(words, Table)
    assert isinstance(view, View)
    assert isinstance(steps, Table)
    assert [block.name for block in (words, view, steps)] == [
        "cross-focus-words-prompt-7",
        "cross-focus-explorer-prompt-7",
        "cross-focus-steps-prompt-7",
    ]
    assert 'id="cross-focus-explorer-prompt-7"' in view.html
    assert "table above" in view.fallback
    columns, names = source_words(example)
    assert len(words.frame) == 4 * 3 * 13
    assert words.rows_shown == 13
    top = words.frame.iloc[:13]
    assert set(top["version"]) == {"raw"}
    assert set(top["layer"]) == {2}
    assert top["predicts"].tolist() == list(example.label_pieces)
    expected = example_matrices(example, "raw")[2] @ (columns[:, None] == np.arange(8))
    np.testing.assert_allclose(top[list(names)], expected, atol=0.00051)
    alti = words.frame[words.frame["version"] == "alti"]
    np.testing.assert_allclose(alti[[*names, "target so far"]].sum(axis=1), 1.0, atol=0.006)
    assert {"alti source share", "alti points to", "layer 2 points to"} <= set(steps.frame.columns)
    assert "chefer source share" not in steps.frame.columns


def test_words_that_repeat_or_are_called_like_columns_get_numbers(example: Example) -> None:
    pieces = tuple(f"▁{name}" for name in ("the", "the", "step", "the", "the", "the")) + example.source_pieces[6:]
    arrays = dict(example.arrays) | {"source_words": np.r_[np.arange(14), -1]}
    named = dataclasses.replace(example, source_pieces=pieces, arrays=arrays)
    table = portray(named)[0]
    assert isinstance(table, Table)
    assert list(table.frame.columns[4:10]) == ["the", "the (2)", "step (2)", "the (3)", "the (4)", "the (5)"]


def test_bertviz_joins_a_prompt_page_that_asks_for_it(tiny_t5: HookedEncoderDecoder, example: Example) -> None:
    batch = random_batch(tiny_t5).select(0)
    arrays = illustrate(run_pass(tiny_t5, batch, FocusSettings(bertviz_on_pages=True)))
    *_, last = portray(dataclasses.replace(example, arrays=arrays))
    assert isinstance(last, View)
    assert "bertviz" in last.html


def test_the_views_fit_a_report_whose_policy_allows_their_scripts(example: Example) -> None:
    panel = Panel("p", np.zeros((1, 1)), ("r",), ("c",), "row", "column")
    twin = Figure("cross-focus-example", "Caption.", "Alt.", Heatmap((panel,), "x"))
    section = Section("s", "S", "q?", ("found",), (twin, explorer(example, "Layers", twin.name)), ("limit",))
    page = render(Report("t", "q?", ("found",), "interp run", (section,), (("a", "b"),)))["index.html"].decode()
    assert 'id="cross-focus-explorer"' in page
    assert 'type="range" min="0" max="2"' in page


def test_head_readings_average_to_the_layer_and_masked_ones_to_one(example: Example) -> None:
    raw, masked = head_matrices(example, "raw"), head_matrices(example, "masked")
    np.testing.assert_allclose(raw.mean(1), example_matrices(example, "raw"), rtol=1e-5)
    np.testing.assert_allclose(masked.sum(-1), 1.0, rtol=1e-9)


def test_bertviz_is_given_the_heads_of_the_example(example: Example) -> None:
    patterns = attention_patterns(example)
    assert patterns.encoder.shape == (2, 5, 15, 15)
    assert patterns.decoder.shape == (3, 5, 13, 13)
    assert patterns.cross.shape == (3, 5, 13, 15)


def test_numbers_while_writing_equal_those_of_teacher_forcing_on_the_same_tokens(bundled: HookedEncoderDecoder) -> None:
    sources = [
        "translate English to German: A dog is running.",
        "translate English to French: The woman reads a newspaper in the garden.",
    ]
    written = bundled.generate(sources, HOOKS)
    arrays = observe(Pass(bundled, written.batch, written.logits, written.cache, FocusSettings()))
    assert written.batch.target_origin == "generated"
    with torch.no_grad():
        forced = observe(run_pass(bundled, written.batch))
    assert arrays.keys() == forced.keys()
    for name, values in forced.items():
        np.testing.assert_allclose(arrays[name], values, rtol=2e-3, atol=2e-4, err_msg=name)
