"""Pages and commands that read weights: composition, directions and neurons, of the bundled model."""

import re
from dataclasses import replace
from pathlib import Path

import pandas as pd
import pytest
from typer.testing import CliRunner

from analyses.cli import app
from analyses.weights import composition_section, neuron_section, survey_composition
from analyses.weights.composition_graph import composition_graph, graph_blocks
from interp.axes import AttentionKind
from interp.circuits import neuron_effects, trace_neurons
from interp.circuits.composition import Compositions
from interp.hooks.names import HeadId
from interp.report import Card, ChartImage, Figure, Report, Table, render
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
    stands_out = len(survey.found.standing_out()) > 0
    assert sum(isinstance(block, Figure) for block in section.blocks) == 1 + stands_out
    assert sum(isinstance(block, Card) for block in neurons.blocks) == 2
    shares = next(block for block in section.blocks if isinstance(block, Table) and block.name.endswith("shares"))
    assert len(shares.frame) == len(survey.found.heads)


@pytest.mark.parametrize(("heads", "found"), [(1, "No layer has two heads"), (5, "Of heads of one layer")])
def test_a_model_of_one_layer_has_a_page(heads: int, found: str) -> None:
    model = tiny("t5", num_layers=1, num_decoder_layers=1, num_heads=heads)
    section = composition_section(survey_composition(model, random_batch(model, (9, 6), (5, 7))))
    assert section.findings[-1].startswith(found)
    assert "figures/composition-matrix.svg" in render(Report("t", "q", section.findings, "c", (section,), ()))


def planted() -> Compositions:
    """Two heads a layer of every kind, stacks of unequal depths; three pairs stand out, one does not."""
    depths: tuple[tuple[AttentionKind, int], ...] = (("encoder", 3), ("decoder", 2), ("cross", 2))
    heads = tuple(HeadId(kind, layer, head) for kind, depth in depths for layer in range(depth) for head in range(2))
    rows = [
        ("EL2H1", "XL1H0", "k", 0.5, 0.1, 30.0, True, 0.0),
        ("EL0H0", "EL1H1", "v", 0.4, 0.1, 20.0, True, 0.0),
        ("DL0H1", "XL0H0", "q", 0.3, 0.1, 10.0, True, 0.0),
        ("EL0H0", "EL2H0", "q", 0.1, 0.1, 1.0, True, 0.5),
    ]
    columns = ["first", "second", "input", "composition", "random", "z", "path", "beyond"]
    return Compositions(heads, pd.DataFrame(rows, columns=columns))


def test_the_graph_has_the_pairs_that_stand_out_and_every_head_in_its_layer() -> None:
    found = planted()
    graph = composition_graph(found)
    names = [node.name for node in graph.nodes]
    drawn = [(names[edge.start], names[edge.end], edge.kind, edge.score) for edge in graph.edges]
    assert drawn == [
        ("EL2H1", "XL1H0", "k", 30.0),
        ("EL0H0", "EL1H1", "v", 20.0),
        ("DL0H1", "XL0H0", "q", 10.0),
    ]
    assert len(names) == len(found.heads)
    assert {(node.name, node.band, node.column, node.lane) for node in graph.nodes} >= {
        ("EL2H1", 0, 2, 0),
        ("DL1H0", 1, 1, 0),
        ("XL1H0", 1, 1, 1),
    }
    assert graph.columns == ("layer 0", "layer 1", "layer 2")
    figure, view = graph_blocks(found, "composition")
    assert "EL2H1 to the keys of XL1H0, z 30" in figure.alt
    assert view.html.count('class="edge"') == 3
    assert "against" not in ChartImage(figure.chart).svg().decode()
    assert graph_blocks(replace(found, frame=found.frame.assign(beyond=0.5)), "composition") == ()


def invoke(*words: str) -> str:
    result = CliRunner().invoke(app, list(words))
    assert result.exit_code == 0, result.output
    return result.output


def test_composition_of_the_bundled_model_stands_out_and_its_twins_does_not(tmp_path: Path) -> None:
    page, graph = tmp_path / "composition.html", tmp_path / "composition.graphml"
    out = invoke("composition", "--limit", "4", "--out", str(page), "--graphml", str(graph))
    found = re.search(r"compose beyond all .*?: (\d+) of .* twin (\d+)\.", out.replace("\n", " "))
    assert found is not None
    assert int(found[1]) > 5
    assert int(found[2]) <= 6
    assert "<edge " in graph.read_text(encoding="utf-8")
    assert (tmp_path / "tables" / "composition-standing-out.csv").exists()
    assert (tmp_path / "figures" / "composition-graph.svg").exists()
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
