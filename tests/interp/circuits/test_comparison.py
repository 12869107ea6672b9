"""Circuits compared and run from the model, weights of edges, and the two exact effects that an edge has."""

import pytest
import torch

from interp.circuits import (
    Circuit,
    agreement_of,
    choose,
    compare,
    edge_weights,
    graph_of,
    patch_edges,
    score_in_batches,
)
from interp.circuits.pairs import batch_of, leads, swapped_pairs
from interp.compiled import corrupted_pairs
from interp.errors import InputError
from interp.patching import pair_batch
from tests.support.compiled import compiled_model, planned
from tests.support.models import tiny

NAME = "copy"
PAIRS = corrupted_pairs(planned(NAME), "encoder", 4)


def test_what_two_circuits_share_stands_beside_chance() -> None:
    graph = graph_of(tiny("t5").cfg)
    first, second = (Circuit.of(graph, graph.edges[start : start + 20]) for start in (0, 15))
    found = compare(first, second)
    assert found.both.edges == graph.edges[15:20]
    assert found.overlap == 5 / 35
    assert found.by_chance == 400 / len(graph)
    assert 0 < found.p_value < 0.05
    frame = found.to_frame()
    assert frame["in"].value_counts().to_dict() == {"both": 5, "first": 15, "second": 15}
    with pytest.raises(InputError, match="different shapes"):
        compare(first, Circuit.of(graph_of(compiled_model(NAME).cfg), ()))


def test_a_model_runs_with_a_circuit_on_pairs_or_on_two_batches() -> None:
    model, batch = compiled_model(NAME), pair_batch(compiled_model(NAME), PAIRS)
    graph = graph_of(model.cfg)
    everything = Circuit(graph, torch.ones(len(graph), dtype=torch.bool))
    whole = model.run_with_circuit(everything, batch)
    torch.testing.assert_close(whole, model(batch.clean))
    torch.testing.assert_close(model.run_with_circuit(everything - everything, batch), model(batch.corrupted))
    torch.testing.assert_close(model.run_with_circuit(everything, batch.clean, batch.corrupted), whole)
    for wrong in ((batch.clean,), (batch, batch.corrupted)):
        with pytest.raises(InputError, match="runs on a clean batch and a corrupted one"):
            model.run_with_circuit(everything, *wrong)


def test_weights_of_an_edge_are_the_composition_of_its_ends() -> None:
    model = tiny("t5")
    weight = edge_weights(model, ["DL0H1 -> DL1H2.v", "embedding -> DL1H2.v", "DL0H1 -> logits", "EL0MLP -> XL1H0.k"])
    assert weight.isnan().tolist() == [False, True, True, False]
    assert ((weight[[0, 3]] > 0) & (weight[[0, 3]] < 1)).all()
    # An orthogonal reader loses nothing: made so, the composition is that of W_O with itself.
    attention = model.hf.decoder.block[1].layer[0].SelfAttention
    model.hf.decoder.block[1].layer[0].layer_norm.weight.fill_(1.0)
    source = model.hf.decoder.block[0].layer[0].SelfAttention.o.weight
    d_kv = source.shape[1] // model.cfg.n_decoder_heads
    right = torch.linalg.svd(source[:, d_kv : 2 * d_kv].t(), full_matrices=False).Vh
    attention.v.weight[2 * d_kv : 3 * d_kv] = right
    expected = 1 / torch.tensor(float(d_kv)).sqrt()
    assert edge_weights(model, ["DL0H1 -> DL1H2.v"])[0] == pytest.approx(float(expected), rel=1e-4)


def test_an_edge_restored_is_the_effect_in_the_corrupted_run() -> None:
    model = compiled_model(NAME)
    scores = score_in_batches(model, PAIRS, "eap")
    found = agreement_of(model, PAIRS, scores, sample=10)
    edges = [scores.graph.edges[number] for number in found.numbers]
    batch = pair_batch(model, PAIRS)
    torch.testing.assert_close(found.exact.float(), patch_edges(model, batch, edges))
    backwards = [
        type(pair)(pair.id, pair.kind, pair.corrupted, pair.clean, pair.corrupted_target, pair.clean_target, pair.row)
        for pair in PAIRS
    ]
    # With sides, answer and foil exchanged the lead changes its sign twice.
    there = patch_edges(model, pair_batch(model, backwards), edges)
    torch.testing.assert_close(found.restored.float(), there, atol=1e-4, rtol=1e-4)


def test_answer_and_foil_change_roles_where_the_corruption_helps() -> None:
    model = compiled_model(NAME)
    wrong = [
        type(pair)(pair.id, pair.kind, pair.clean, pair.corrupted, pair.corrupted_target, pair.clean_target, pair.row)
        for pair in PAIRS[:2]
    ]
    assert swapped_pairs(model, PAIRS) == frozenset()
    assert swapped_pairs(model, [*wrong, *PAIRS[2:]]) == frozenset(wrong)
    turned, right = batch_of(model, wrong, frozenset(wrong)), pair_batch(model, PAIRS[:2])
    assert torch.equal(turned.answers, right.answers)
    assert torch.equal(turned.foils, right.foils)
    assert all(clean > corrupted for clean, corrupted in leads(model, PAIRS))


def test_what_rounding_alone_tells_apart_is_chosen_in_the_order_of_the_graph() -> None:
    graph = graph_of(compiled_model(NAME).cfg)
    worth = torch.ones(len(graph))
    moved = worth + 1e-6 * torch.rand(len(graph), generator=torch.Generator().manual_seed(0))
    assert choose(graph, worth, 9, "greedy").edges == choose(graph, moved, 9, "greedy").edges
