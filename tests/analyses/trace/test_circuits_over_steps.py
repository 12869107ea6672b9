"""Circuits over steps where the truth is planted: the step of the answers, the step of the circuit, and its edges."""

from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analyses.circuits.summary import NoCircuit
from analyses.cli import app
from analyses.runs import make_config
from analyses.trace import find_run, trace_in_memory
from analyses.trace.circuit_histories import CircuitHistory, since
from analyses.trace.gathering import Watched
from analyses.trace.present.circuits import circuits_section
from analyses.trace.present.page import trace_sections
from interp.circuits import choose, score_edges
from interp.compiled import active, corrupted_pairs, find_program, plan_of
from interp.patching import parse_pairs
from interp.patching.minimal_pairs import pair_batch
from interp.prompts import parse_prompts
from tests.support.circuit_traces import PROGRAM, planted_circuit, written_inputs
from tests.support.traces import PAIRS, PROMPTS, TRACES, planted_run

STEPS = (0, 4, 8, 16, 32, 64, 128, 256)
ANSWERS, MOVES = 8, 64


def as_settings(text: str) -> dict[str, object]:
    found = parse_pairs(text, "pairs.jsonl")
    names = ("id", "clean", "corrupted", "clean_target", "corrupted_target", "row")
    return {"pairs": [{name: getattr(pair, name) for name in names} for pair in found]}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted_circuit(tmp_path_factory.mktemp("circuits") / "planted", STEPS, ANSWERS, MOVES)


@pytest.fixture(scope="module")
def watched(folder: Path) -> Watched:
    prompts, pairs = written_inputs(folder.parent)
    config = make_config(
        analyses="circuits", twins=2, settings={"circuits": as_settings(pairs.read_text(encoding="utf-8"))}
    )
    return trace_in_memory(find_run([str(folder)]), parse_prompts(prompts.read_bytes(), "jsonl", "prompts"), config)


@pytest.fixture(scope="module")
def history(watched: Watched) -> CircuitHistory:
    assert isinstance(watched.trace.circuits, CircuitHistory)
    return watched.trace.circuits


def test_the_steps_of_the_answers_and_of_the_circuit_are_found(history: CircuitHistory) -> None:
    """The answers come with the first compiled model; the last circuit only once heads have their own numbers."""
    answers, moves = STEPS.index(ANSWERS), STEPS.index(MOVES)
    assert history.answered == answers
    assert history.born == moves
    change = history.changes.main
    assert change is not None
    assert (change.place, change.low, change.high) == (answers, answers, answers)
    # Before, there is nothing to keep; in between the task is done by another circuit of the same size.
    assert np.isnan(history.kept.point[:answers]).all()
    assert np.isnan(history.needed[:answers]).all()
    assert (history.kept.point[answers:moves] < 0.5).all()
    assert (history.own.point[answers:] > 0.9).all()
    assert (history.kept.point[moves:] > 0.9).all()
    assert (history.random[moves:] < 0.5).all()
    assert len(set(history.needed[answers:].tolist())) == 1


def test_edges_of_the_truth_are_dated(history: CircuitHistory) -> None:
    plan = plan_of(find_program(PROGRAM))
    true = active(plan, corrupted_pairs(plan, "encoder", 16))
    assert set(history.edges) == true
    answers, moves = STEPS.index(ANSWERS), STEPS.index(MOVES)
    dated = dict(zip(history.edges, history.since, strict=True))
    # What is between no heads is the same in either order.
    assert {dated[edge] for edge in history.edges if "H" not in f"{edge.writer}{edge.receiver}"} <= {answers, 0}
    assert {dated[edge] for edge in history.edges if "H" in f"{edge.writer}{edge.receiver}"} == {moves}


def test_likeness_is_what_two_halves_of_the_pairs_allow(history: CircuitHistory) -> None:
    moves = STEPS.index(MOVES)
    assert (history.overlap[moves:] > 0.9).all()
    assert (history.overlap[:moves] < 0.5).all()
    assert history.by_chance < 0.5
    assert (history.rank[moves:] > history.rank[:moves].max() + 0.1).all()
    assert len(history.pairs) == 16


def test_scores_of_a_moment_are_those_of_its_model_alone(watched: Watched, history: CircuitHistory) -> None:
    """The last moment's circuit is the greedy one of plain scores on the second half of the pairs."""
    batch = pair_batch(watched.model, history.pairs[1::2])
    scores = score_edges(watched.model, batch)
    assert choose(scores.graph, scores.worth, len(history.last), "greedy", absolute=False).edges == history.last.edges


def test_the_section_says_both_steps(watched: Watched) -> None:
    section = next(one for one in trace_sections(watched.trace) if one.name == "circuits")
    assert section.headline is not None
    assert section.headline.sentence == f"The circuit of the last step carries the answers from step {MOVES} on."
    assert section.headline.sureness == "beyond all controls"
    assert f"The answers turn on the corruption from step {ANSWERS} on" in section.findings[1]
    assert {block.name for block in section.blocks} >= {"trace-circuit-kept", "trace-circuit-edges"}


def test_pairs_that_the_last_moment_cannot_read_are_said(folder: Path) -> None:
    """Its tokenizer does not know these words, or the pairs do not turn its answer: a sentence, and no number."""
    prompts = parse_prompts(written_inputs(folder.parent)[0].read_bytes(), "jsonl", "prompts")
    settings = as_settings(PAIRS.read_text(encoding="utf-8"))
    config = make_config(analyses="circuits", twins=2, settings={"circuits": settings})
    trace = trace_in_memory(find_run([str(folder)]), prompts, config).trace
    assert isinstance(trace.circuits, NoCircuit)
    section = circuits_section(trace, trace.circuits)
    assert section.findings[0].startswith("None of 24 pairs given is of use for the last moment of planted. ")
    assert not section.blocks


@pytest.mark.parametrize(
    ("has", "place"), [([0, 0, 1], 2), ([1, 1, 1], 0), ([1, 0, 1], 2), ([0, 1, 0], None), ([0, 1, 1], 1)]
)
def test_since_is_the_moment_from_which_on_it_always_holds(has: list[int], place: int | None) -> None:
    assert since(np.array(has, dtype=bool)) == place


def test_pairs_without_circuits_and_a_kind_that_no_pair_has_are_refused(tmp_path: Path) -> None:
    run = planted_run(tmp_path / "run", (0, 1, 2), 2)
    asked = ["trace", str(run), "--prompts", str(PROMPTS), "--pairs", str(PAIRS), "--limit", "4", "--quiet"]
    done = CliRunner().invoke(app, [*asked, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "add circuits to --analyses" in done.stderr
    kind = ["--analyses", "circuits", "--set", "circuits.kind=gender"]
    done = CliRunner().invoke(app, [*asked, *kind, "--out", str(tmp_path / "out")])
    assert done.exit_code == 2
    assert "No pair is of kind 'gender'; there are noun or name." in done.stderr
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_page_with_circuits_is_written_and_goes_on_from_its_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from analyses.runs import read_manifest, verify_run
    from analyses.trace.circuit_following import Following

    steps = [str(TRACES / "seed-0" / f"step-{step}") for step in (0, 182, 922)]
    asked = [
        "trace",
        *steps,
        "--prompts",
        str(PROMPTS),
        "--pairs",
        str(PAIRS),
        "--analyses",
        "circuits",
        "--limit",
        "6",
    ]
    times: list[int] = []
    real = Following.at

    def dies_at_the_third(self, model):
        times.append(1)
        if len(times) == 3:
            raise KeyboardInterrupt
        return real(self, model)

    monkeypatch.setattr(Following, "at", dies_at_the_third)
    out = ["--twins", "2", "--quiet", "--out", str(tmp_path / "out")]
    assert CliRunner().invoke(app, [*asked, *out]).exit_code == 130
    assert CliRunner().invoke(app, [*asked, *out]).exit_code == 0
    assert len(times) == 4  # two, the one that died, and that one again
    assert verify_run(tmp_path / "out").whole
    assert (tmp_path / "out" / "tables" / "trace-circuit-moments.csv").is_file()
    assert "circuits" in read_manifest(tmp_path / "out").config["analyses"]
