"""Pages and commands that read weights: composition, directions and neurons, of the bundled model."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analyses.cli import app
from analyses.weights import composition_section, neuron_section, survey_composition
from interp.circuits import neuron_effects, trace_neurons
from interp.report import Card, Figure, Report, Table, render
from tests.support.models import random_batch, tiny

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("family", ["t5", "bart"])
def test_sections_render(family: str) -> None:
    model = tiny(family)
    batch = random_batch(model, (9, 6), (5, 7))
    survey = survey_composition(model, batch)
    summary = survey.summary()
    assert list(summary["input"]) == ["queries", "keys", "values"]
    assert int(summary["pairs"].sum()) == int(survey.found.frame["path"].sum())
    section = composition_section(survey)
    traces = trace_neurons(model, batch, list(neuron_effects(model, batch)["neuron"].head(2)))
    neurons = neuron_section(traces, len(batch))
    files = render(Report("t", "q", section.findings, "interp composition", (section, neurons), ()))
    assert {"tables/composition-pairs.csv", "tables/neurons-readers.csv", "figures/composition-matrix.svg"} <= set(
        files
    )
    assert sum(isinstance(block, Figure) for block in section.blocks) == 1
    assert sum(isinstance(block, Card) for block in neurons.blocks) == 2
    shares = next(block for block in section.blocks if isinstance(block, Table) and block.name.endswith("shares"))
    assert len(shares.frame) == len(survey.found.heads)


def invoke(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def test_composition_of_the_bundled_model_stands_out_and_its_twins_does_not(tmp_path: Path) -> None:
    page, graph = tmp_path / "composition.html", tmp_path / "composition.graphml"
    out = invoke("composition", "--limit", "4", "--out", str(page), "--graphml", str(graph))
    found = re.search(r"(\d+) of \d+ pairs of heads compose beyond all .* twin (\d+) do", out.replace("\n", " "))
    assert found is not None
    assert int(found[1]) > 5
    assert int(found[2]) <= 6
    assert "<edge " in graph.read_text(encoding="utf-8")
    assert (tmp_path / "tables" / "composition-standing-out.csv").exists()
    assert "Content-Security-Policy" in page.read_text(encoding="utf-8")
    again = CliRunner().invoke(app, ["composition", "--out", str(page)])
    assert again.exit_code == 2


def test_directions_and_neurons_in_the_terminal() -> None:
    out = invoke("directions", "EL0H1", "--limit", "4", "--directions", "1")
    assert "vocabulary" in out
    assert "twin left peak" in " ".join(out.split())
    out = invoke("neuron", "--limit", "4", "--top", "1")
    assert re.search(r"[ED]L\d+N\d+\s+zeroing it takes [+-]\d", out)
    for wrong in (["directions", "EL9H9"], ["directions", "cat"], ["neuron", "cat"], ["neuron", "EL0N99999"]):
        assert CliRunner().invoke(app, wrong).exit_code == 2, wrong
