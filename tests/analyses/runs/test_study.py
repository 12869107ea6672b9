"""One analysis in memory gives the numbers of a run, and shows itself in a notebook."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from markupsafe import Markup

from analyses.runs.inputs import reading_order
from analyses.runs.study import Study, analyse
from interp import prompts
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import Figure, Paragraph, Table, View
from interp.report.notebook_blocks import display_block
from tests.support.hostile import IMAGE, SCRIPT
from tests.support.parsed_html import Parsed
from tests.support.reports import BARS

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study(bundled: HookedEncoderDecoder) -> Study:
    sources = [prompt.source for prompt in prompts.bundled("translation", 4).prompts]
    return analyse("cross_attention_focus", bundled, bundled.batch(sources), settings={"swaps": False})


def test_it_shows_findings_limits_and_what_there_is(study: Study) -> None:
    parsed = Parsed(study._repr_html_())
    assert {*study.section.findings, *study.section.limits, study.section.question} <= set(parsed.texts)
    assert set(study.blocks) <= set(parsed.texts)
    assert type(study.result).__name__ == "Focus"


def test_every_block_can_be_shown(study: Study) -> None:
    for name, block in study.blocks.items():
        html = study[name].html
        assert study[name]._repr_html_() == html
        assert not re.search(r"(?:src|href)\s*=\s*[\"']?https?:", html)
        if isinstance(block, Figure):
            assert html.count(" alt=") == 1
        if isinstance(block, View):
            assert html.startswith("<iframe title=")
            assert "Content-Security-Policy" in html


def test_what_is_not_there_is_refused_with_what_is(study: Study) -> None:
    table = next(name for name, block in study.blocks.items() if isinstance(block, Table))
    figure = next(name for name, block in study.blocks.items() if isinstance(block, Figure))
    assert isinstance(study.frame(table), pd.DataFrame)
    with pytest.raises(InputError, match=f"{figure!r} is a figure and no table; show it as"):
        study.frame(figure)
    with pytest.raises(InputError, match=rf"This study has no '{table}x' .did you mean '{table}'"):
        study[table + "x"]


def test_settings_are_checked(bundled: HookedEncoderDecoder) -> None:
    batch = bundled.batch(["translate English to German: The cat sleeps."], ["Die Katze schläft."])
    with pytest.raises(InputError, match="There is no setting of cross_attention_focus 'swap'"):
        analyse("cross_attention_focus", bundled, batch, settings={"swap": 1})


def test_the_numbers_are_those_of_a_run(bundled: HookedEncoderDecoder, example_run: Path) -> None:
    texts = prompts.bundled("translation", 6).prompts
    study = analyse(
        "logit_attribution", bundled, bundled.batch([texts[place].source for place in reading_order(texts)])
    )
    names = [block.name for block in study.section.blocks if isinstance(block, Table)]
    assert len(names) > 3
    for name in names:
        told = pd.read_csv(example_run / "tables" / f"{name}.csv").select_dtypes("number")
        for column in told.columns:
            own = study.frame(name)[column].to_numpy(float)
            assert own == pytest.approx(told[column].to_numpy(float), rel=1e-3, abs=1e-4, nan_ok=True), (
                f"{name}: {column}"
            )


def test_a_figure_and_a_table_of_one_name_are_told_apart(study: Study) -> None:
    table = Table("same", "A table.", pd.DataFrame({"a": [1]}))
    figure = Figure("same", "A figure.", "A bar.", BARS)
    both = replace(study, section=replace(study.section, blocks=(figure, table), headline=None))
    assert list(both.blocks) == ["same", "same (table)"]
    assert "<img" in both["same"].html
    assert "<img" not in both["same (table)"].html
    assert both.frame("same")["a"].tolist() == [1]


def test_hostile_texts_are_shown_and_not_obeyed() -> None:
    table = Table("table", IMAGE, pd.DataFrame({SCRIPT: [SCRIPT, IMAGE], "n": [1.0, None]}))
    parsed = Parsed(display_block(table).html)
    assert set(parsed.tags) <= {"caption", "table", "thead", "tbody", "tr", "th", "td"}
    assert Parsed(display_block(Paragraph(SCRIPT)).html).texts == [SCRIPT]
    view = display_block(View("view", IMAGE, Markup("<p>fine</p>"), "There is none.")).html
    assert "<img" not in view.replace("&lt;img", "")
    assert view.count("<iframe") == 1
