"""The way from pairs to a circuit with its evidence, as a library call and as a command, and the files it leaves."""

import json
from dataclasses import replace
from pathlib import Path

import networkx
import pytest
from typer.testing import CliRunner

from analyses.cli import app
from interp.circuits import (
    Circuit,
    circuit_json,
    find_circuit,
    parse_circuit,
    score_in_batches,
    usable_pairs,
    why_too_few,
)
from interp.circuits.agreement import sampled_edges
from interp.compiled import active, corrupted_pairs
from interp.errors import InputError
from interp.patching.minimal_pairs import PromptPair
from interp.patching.pair_file import parse_pairs
from tests.support.compiled import compiled_model, planned

runner = CliRunner(env={"COLUMNS": "200", "TERMINAL_WIDTH": "200"})


@pytest.mark.slow
def test_a_circuit_is_found_and_judged_on_other_pairs() -> None:
    plan, model = planned("noisy-copy"), compiled_model("noisy-copy")
    pairs = corrupted_pairs(plan, "encoder", 12)
    found = find_circuit(model, pairs, sample=40, draws=20)
    assert set(found.circuit.edges) <= plan.edges()
    assert not {pair.id for pair in found.found_on} & {pair.id for pair in found.judged_on}
    assert found.kept >= 0.9
    assert found.judged > 0.8
    assert found.same_degree.quantile(0.9) < 0.5
    assert found.agreement is not None
    assert found.agreement.edges == 40
    assert found.agreement.error < 0.1
    for rank in (found.agreement.rank, found.agreement.both):
        assert -1 <= rank.low <= rank.point <= rank.high <= 1
    assert found.completeness.shape == (10,)
    assert not found.refused
    again = find_circuit(model, pairs, sample=0, draws=20)
    assert again.agreement is None
    assert again.circuit.edges == found.circuit.edges


def test_scores_hang_on_no_batch() -> None:
    model, pairs = compiled_model("noisy-copy"), corrupted_pairs(planned("noisy-copy"), "encoder", 5)
    whole, cut = (score_in_batches(model, pairs, "eap", batch_size=size) for size in (5, 2))
    assert (whole.values - cut.values).abs().max() < 1e-4


def test_pairs_that_do_not_turn_are_left_out_with_a_reason() -> None:
    model = compiled_model("copy")
    good = PromptPair("good", "", "copy: cat ant", "copy: ant cat", "cat", "ant")
    wrong = PromptPair("wrong", "", "copy: cat ant", "copy: ant cat", "ant", "cat")
    long = PromptPair("long", "", "copy: cat ant", "copy: cat", "cat", "ant")
    usable, refused = usable_pairs(model, [good, wrong, long])
    assert usable == (good,)
    assert "does not turn on the corruption" in refused["wrong"]
    assert "equally many" in refused["long"]
    with pytest.raises(InputError, match="None of 1 pairs is of use"):
        find_circuit(model, [wrong])
    other = PromptPair("other", "", "copy: dog ant", "copy: ant dog", "dog", "ant")
    with pytest.raises(InputError, match=r"Only 2 of 3 pairs are of use .* at least 4 must be"):
        find_circuit(model, [good, wrong, other], least=4)
    assert len(find_circuit(model, [good, wrong, other], sample=0, draws=1).found_on) == 2


def test_a_pair_given_again_counts_once_and_judges_no_circuit_that_was_found_on_it() -> None:
    model = compiled_model("copy")
    pair = PromptPair("first", "", "copy: cat ant", "copy: ant cat", "cat", "ant")
    again = replace(pair, id="again")
    turned = PromptPair("turned", "", pair.corrupted, pair.clean, pair.corrupted_target, pair.clean_target)
    other = PromptPair("other", "", "copy: dog ant", "copy: ant dog", "dog", "ant")
    usable, refused = usable_pairs(model, [pair, again, turned, other])
    assert usable == (pair, other)
    assert set(refused) == {"again", "turned"}
    assert refused["again"] == "Pair 'again' has the texts of pair 'first', which count once."
    found = find_circuit(model, [pair, again, turned, other], sample=0, draws=1, needed=0)
    assert found.alone.shape == (2,), "the n of its interval is what is independent"


@pytest.mark.parametrize(("usable", "says"), [(0, "None of 2 "), (1, "Only 1 of 3 pairs is"), (3, "Only 3 of 5 ")])
def test_too_few_pairs_are_counted(usable: int, says: str) -> None:
    refused = {"one": "It is too long.", "two": "It turns nothing."}
    assert (why_too_few(usable, refused, least=4) or "").startswith(says)
    assert why_too_few(usable + 4, refused, least=4) is None
    assert (why_too_few(usable, refused) is None) == (usable > 0)


def test_the_sample_has_every_kind_of_receiver() -> None:
    model = compiled_model("noisy-translate")
    scores = score_in_batches(model, corrupted_pairs(planned("noisy-translate"), "encoder", 2), "eap")
    chosen = [scores.graph.edges[number].receiver for number in sampled_edges(scores.graph, 30, 0)]
    kinds = [receiver.partition(".")[2] or receiver[3:] for receiver in chosen]
    assert {"q", "k", "v", "MLP"} <= set(kinds)
    assert chosen.count("logits") == 6


@pytest.mark.slow
def test_the_command_writes_the_circuit(tmp_path: Path) -> None:
    folder, pairs = tmp_path / "model", tmp_path / "pairs.jsonl"
    made = runner.invoke(app, ["compiled", "make", "copy", str(folder), "--pairs", str(pairs), "--count", "8"])
    assert made.exit_code == 0, made.stderr
    assert json.loads((folder / "circuit.json").read_text())["edges"] == sorted(map(str, planned("copy").edges()))
    assert "noisy-copy" in runner.invoke(app, ["compiled", "list"]).stdout
    out, graph = tmp_path / "c.json", tmp_path / "c.graphml"
    words = [
        "circuit",
        "--pairs",
        str(pairs),
        "--model",
        str(folder),
        "--draws",
        "5",
        "--device",
        "cpu",
        "--check",
        "23",
    ]
    page = tmp_path / "my page.html"
    done = runner.invoke(app, [*words, "--out", str(out), "--graphml", str(graph), "--page", str(page)])
    assert done.exit_code == 0, done.stderr
    assert "untrained twin" in done.stdout
    assert 'id="figure-my-page-circuit-graph"' in page.read_text(encoding="utf-8")
    assert (tmp_path / "tables" / "my-page-circuit-edges.csv").exists()
    assert "4 of 23 edges" in done.stdout
    written = json.loads(out.read_text())
    edges = {f"{edge['writer']} -> {edge['receiver']}" for edge in written["edges"]}
    assert edges == {str(edge) for edge in active(planned("copy"), parse_pairs(pairs.read_text(), "p"))}
    assert written["faithfulness"]["judged"] == pytest.approx(1, abs=0.01)
    drawn = networkx.read_graphml(graph)
    assert {(a, b, key) for a, b, key in networkx.MultiDiGraph(drawn).edges(data="input")} == {
        ("source embedding", "EL0H0", "v"),
        ("source embedding", "XL0H0", "v"),
        ("EL0H0", "XL0H0", "k"),
        ("XL0H0", "logits", "input"),
    }
    assert drawn.nodes["EL0H0"] == {"stack": "encoder", "layer": 0}
    again = runner.invoke(app, [*words, "--no-twin", "--against", str(out), "--check", "0", "--draws", "1"])
    assert "4 of 4 edges are among the 4 of the other" in again.stdout
    assert "untrained twin" not in again.stdout
    refused = runner.invoke(app, [*words, "--out", str(out)])
    assert refused.exit_code == 2
    assert "exists; give another" in refused.stderr
    assert runner.invoke(app, [*words, "--metric", "kl", "--method", "eap"]).exit_code == 2
    assert "No pair is of kind" in runner.invoke(app, [*words, "--kind", "gender"]).stderr


def test_a_written_circuit_is_read_again() -> None:
    model = compiled_model("copy")
    scores = score_in_batches(model, corrupted_pairs(planned("copy"), "encoder", 2), "eap")
    circuit = Circuit.of(scores.graph, planned("copy").edges())
    assert parse_circuit(circuit_json(circuit, scores), circuit).edges == circuit.edges
    assert parse_circuit('{"edges": ["XL0H0 -> logits"]}', circuit).nodes == ("XL0H0", "logits")
    for text in ("[]", '{"edges": [], "edges": []}', "[" * 100_000):
        with pytest.raises(InputError, match="no circuit"):
            parse_circuit(text, circuit)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "has no pairs"),
        ("{", "line 1 of 'p' is no JSON"),
        ('{"clean": "a", "clean": "b"}', "line 1 of 'p' cannot be read .key 'clean' appears twice."),
        ("[" * 100_000, "line 1 of 'p' cannot be read .nested too deeply."),
        ("[]", "is no object"),
        ('{"clean": "a"}', "no text 'corrupted'"),
        ('{"clean": "a", "corrupted": "b", "clean_target": "c", "corrupted_target": 3}', "no text 'corrupted_target'"),
        ('{"clean": "a", "corupted": "b"}', "did you mean 'corrupted'"),
        ('{"clean": "a", "corrupted": "b", "clean_target": "c", "corrupted_target": "d", "row": true}', "has row True"),
    ],
)
def test_files_of_pairs_are_refused_by_line(line: str, said: str) -> None:
    with pytest.raises(InputError, match=said):
        parse_pairs(line, "p")


def test_pairs_get_names() -> None:
    line = '{"clean": "a", "corrupted": "b", "clean_target": "c", "corrupted_target": "d"}'
    first, second = parse_pairs(f"{line}\n\n{line}\n", "p")
    assert (first.id, second.id, first.kind, first.row) == ("pair-1", "pair-2", "given", None)
