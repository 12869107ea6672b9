"""The analysis of circuits on compiled programs, whose circuits are known: what is found, what is said, and what is refused."""

from dataclasses import asdict

import numpy as np
import pytest

from analyses import Study, analyse
from analyses.circuits import AnswerCircuit, CircuitSettings
from analyses.circuits.experiment import experiment
from analyses.circuits.fitting import fit
from analyses.circuits.graph import layered
from analyses.circuits.page import circuit_report
from analyses.circuits.summary import NoCircuit
from analyses.circuits.tables import control_frame, node_frame, receiver_frame
from analyses.core.registry import ANALYSES, DEFAULT
from interp.compiled import active, corrupted_pairs
from interp.errors import InputError
from interp.model.untrained_twins import untrained_twin
from interp.report import Figure, LayeredGraph, Table, View, render
from tests.support.compiled import compiled_model, planned

NAME = "copy"
PAIRS = corrupted_pairs(planned(NAME), "encoder", 8)
SETTINGS = {"pairs": [asdict(pair) for pair in PAIRS], "draws": 5, "check": 12}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def study() -> Study:
    model = compiled_model(NAME)
    return analyse("circuits", model, model.batch([PAIRS[0].clean], [PAIRS[0].clean_target]), settings=SETTINGS)


def test_the_true_edges_are_found_and_said(study: Study) -> None:
    result = study.result
    assert isinstance(result, AnswerCircuit)
    true = active(planned(NAME), PAIRS)
    assert set(result.edges) <= planned(NAME).edges()
    assert set(result.edges[:3]) <= true
    assert result.judged.point > 0.8
    assert max(result.same_degree.max(), result.same_size.max()) < result.judged.point
    assert result.twin is not None
    assert result.twin.shared.first is result.circuit
    assert (-result.effects.point[:3] > 0).all()
    sizes = np.abs(result.effects.point)
    assert (np.diff(sizes) <= 1e-4 * sizes[0]).all()
    assert {pair.id for pair in result.found_on}.isdisjoint(pair.id for pair in result.judged_on)
    assert len(result.circuit) == len(result.numbers)
    section = study.section
    assert section.headline is not None
    assert f"{float(result.judged.point):.2f}" in section.headline.sentence
    assert section.headline.sureness == "beyond all controls"
    assert 3 <= len(section.highlights) <= 5
    told = {sentence for highlight in section.highlights for sentence in highlight.behind}
    assert told == set(section.findings)
    assert str(result.edges[0]) in section.highlights[2].sentence


def test_every_edge_that_the_corruption_makes_active_is_needed_and_none_that_is_lacking(study: Study) -> None:
    result = study.result
    assert result.needed is not None
    assert set(result.needed.numbers) == set(result.numbers)
    assert set(result.needed.lacking).isdisjoint(result.numbers)
    edges = result.circuit.graph.edges
    true = active(planned(NAME), PAIRS)
    matters = dict(zip((edges[number] for number in result.needed.numbers), result.needed.values, strict=True))
    assert all((matters[edge] > 0.05) == (edge in true) for edge in matters), matters
    assert result.needed.controls.max(initial=0) < 0.05
    frame = study.frame("circuit-minimality")
    assert (np.diff(frame["share of the metric"]) >= 0).all()
    assert list(frame["in the circuit"]).count("yes") == len(result.circuit)
    (said,) = [one for one in study.section.findings if "minimality" in one]
    assert f"the least by {min(matters.values()):.3f}" in said


def test_tables_say_what_the_circuit_has(study: Study) -> None:
    result = study.result
    frame = study.frame("circuit-edges")
    assert list(zip(frame["writer"], frame["receiver"], strict=True)) == [(e.writer, e.receiver) for e in result.edges]
    np.testing.assert_allclose(frame["effect (logits)"], result.effects.point)
    nodes = node_frame(result)
    assert nodes["edges in"].sum() == nodes["edges out"].sum() == len(result.circuit)
    assert nodes["in (logits)"].sum() == pytest.approx(np.abs(result.effects.point).sum())
    by_kind = receiver_frame(result)
    assert by_kind["edges"].sum() == len(result.circuit)
    assert by_kind["of all"].sum() == len(result.circuit.graph)
    controls = control_frame(result).set_index("what is kept by")
    assert controls.loc["the circuit, on its own pairs", "share of the metric"] == result.kept
    assert controls.loc["untrained twin, its own circuit", "edges"] == len(result.twin.shared.second)
    assert len(study.frame("circuit-pairs")) == len(PAIRS)
    assert len(study.frame("circuit-check")) == 12


def test_a_circuit_of_a_single_pair_says_that_it_is_judged_on_its_own() -> None:
    model = compiled_model(NAME)
    alone = {**SETTINGS, "pairs": SETTINGS["pairs"][:1]}
    batch = model.batch([PAIRS[0].clean], [PAIRS[0].clean_target])
    found = analyse("circuits", model, batch, settings=alone)
    said = [*found.section.findings, *(one.sentence for one in found.section.highlights)]
    said += [block.caption for block in found.section.blocks if isinstance(block, Figure)]
    assert not [one for one in said if "other pairs" in one or "not found on" in one]
    assert found.section.headline is not None
    assert found.section.headline.sureness == "not judged", "it was made to keep so much of its own pairs"
    assert "the same pairs" in found.section.findings[0]
    assert "the circuit, on the same pairs" in set(control_frame(found.result)["what is kept by"])


def test_the_picture_holds_every_edge_of_the_circuit_in_its_place(study: Study) -> None:
    result, cfg = study.result, study.result.cfg
    graph = layered(result)
    assert isinstance(graph, LayeredGraph)
    assert len(graph.edges) == len(result.circuit)
    drawn = {
        f"{graph.nodes[edge.start].name} -> {graph.nodes[edge.end].name}{'' if edge.kind == 'input' else '.' + edge.kind}"
        for edge in graph.edges
    }
    assert drawn == set(map(str, result.edges))
    columns = {node.name: node.column for node in graph.nodes}
    assert columns["source embedding"] == 0
    assert columns["EL0H0"] == columns["XL0H0"] == 1
    assert columns["logits"] == max(cfg.n_encoder_layers, cfg.n_decoder_layers) + 1
    figure = next(
        block for block in study.section.blocks if isinstance(block, Figure) and block.name == "circuit-graph"
    )
    assert isinstance(figure.chart, LayeredGraph)
    view = next(block for block in study.section.blocks if isinstance(block, View))
    assert view.html.count('class="edge"') == len(graph.edges)
    assert "<iframe" in study["circuit-graph (view)"]._repr_html_()


def test_a_page_of_its_own_renames_all_that_becomes_a_file(study: Study) -> None:
    files = render(circuit_report(study.result, "interp circuit", "toy", "mine"))
    assert all("/mine-circuit-" in name or name == "index.html" for name in files)
    assert b'id="figure-mine-circuit-graph"' in files["index.html"]


def test_the_twin_is_asked_about_the_same_pairs_and_draws_no_random_circuits() -> None:
    model = compiled_model(NAME)
    settings = fit(model, [], CircuitSettings(**{**SETTINGS, "check": 0}))
    arrays = experiment(untrained_twin(model, 3), [], settings)
    assert "same_size" not in arrays
    assert "exact" not in arrays
    assert arrays["scores"].shape == (4, len(arrays["circuit"]))
    assert arrays["whole"].mean() > arrays["empty"].mean()  # answer and foil change roles where that is needed


def test_pairs_are_chosen_once_for_the_model() -> None:
    model = compiled_model(NAME)
    wrong = {
        **asdict(PAIRS[0]),
        "id": "wrong",
        "clean_target": PAIRS[0].corrupted_target,
        "corrupted_target": PAIRS[0].clean_target,
    }
    settings = fit(model, [], CircuitSettings(pairs=[wrong, *SETTINGS["pairs"]], most_pairs=4))
    assert [pair.id for pair in settings.pairs] == [pair.id for pair in PAIRS[:4]]
    assert list(settings.refused) == ["wrong"]
    with pytest.raises(InputError, match="No pair is of kind 'gender'"):
        fit(model, [], CircuitSettings(pairs=SETTINGS["pairs"], kind="gender"))


def test_a_model_that_no_pair_turns_gets_a_section_that_says_so() -> None:
    model = untrained_twin(compiled_model(NAME), 0)
    study = analyse("circuits", model, model.batch([PAIRS[0].clean], [PAIRS[0].clean_target]), settings=SETTINGS)
    assert isinstance(study.result, NoCircuit)
    assert study.section.headline is not None
    assert study.section.headline.sureness == "not judged"
    assert "None of 8 pairs given is of use" in study.section.findings[0]
    assert not [block for block in study.section.blocks if isinstance(block, Table)]


def test_circuits_run_when_they_are_named() -> None:
    assert "circuits" in ANALYSES
    assert "circuits" not in DEFAULT
