"""Edges of the graph, patched and scored, against plain passes of transformers with torch's own hooks, and against each other."""

from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor

from interp.circuits import METHODS, Circuit, Edge, Graph, Judge, graph_of, patch_edges, score_edges
from interp.circuits.running import circuit_outputs
from interp.errors import InputError
from interp.hooks.names import HeadId
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.minimal_pairs import PairBatch, PromptPair
from interp.patching.path_patching import path_patch
from tests.support.models import BART_FAMILIES, FAMILIES, WHISPER_FAMILIES, random_batch, tiny, tiny_hf
from tests.support.plain_edges import PlainEdges

ALL = (*FAMILIES, *BART_FAMILIES, *WHISPER_FAMILIES)


def random_pairs(model: HookedEncoderDecoder) -> PairBatch:
    """Two pairs of different lengths whose sources and decoder inputs differ."""
    clean, corrupted = (random_batch(model, (9, 6), (5, 7), seed=seed) for seed in (0, 3))
    pair = PromptPair("random", "random", "a", "b", "c", "d")
    rows, answers, foils = (torch.tensor(two) for two in ((3, 5), (7, 9), (11, 12)))
    return PairBatch((pair, pair), clean, corrupted, rows, answers, foils)


def some_edges(graph: Graph, count: int, seed: int = 1) -> list[str]:
    """Edges drawn so that receivers of every kind are among them."""
    generator, chosen = torch.Generator().manual_seed(seed), []
    for port in graph.ports:
        inside = [n for n, (r, _) in enumerate(graph.places.tolist()) if port.span.start <= r < port.span.stop]
        picked = torch.randperm(len(inside), generator=generator)[: max(count // len(graph.ports), 1)]
        chosen += [str(graph.edges[inside[number]]) for number in picked.tolist()]
    return chosen


@cache
def wide(family: str) -> tuple[HookedEncoderDecoder, PairBatch, PlainEdges]:
    """A tiny model in float64, its pairs, and the same in plain transformers."""
    model = HookedEncoderDecoder(tiny_hf(family).double())
    pairs = random_pairs(model)
    return model, pairs, PlainEdges(tiny_hf(family).double(), pairs.clean, pairs.corrupted)


def difference(pairs: PairBatch, logits: Tensor) -> Tensor:
    prompts = torch.arange(len(pairs))
    return logits[prompts, pairs.rows, pairs.answers] - logits[prompts, pairs.rows, pairs.foils]


PLAIN = ("t5", "t5-deep-encoder", "v1.1", "bart")


@pytest.mark.parametrize("family", PLAIN)
def test_patched_edges_are_those_of_plain_passes(family: str) -> None:
    model, pairs, plain = wide(family)
    edges = some_edges(graph_of(model.cfg), 30)
    base = difference(pairs, plain.logits())
    wanted = torch.stack([difference(pairs, plain.patched(edge)) - base for edge in edges], 1)
    assert (wanted != 0).float().mean() > 0.7
    torch.testing.assert_close(patch_edges(model, pairs, edges), wanted, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("family", ["v1.1", "bart"])  # a ReLU has no slope at its kink
def test_scores_are_the_slope_of_plain_passes(family: str) -> None:
    """EAP is the derivative of the metric by the size of the corruption on one edge, at none."""
    model, pairs, plain = wide(family)
    edges = some_edges(graph_of(model.cfg), 30)
    scores = score_edges(model, pairs, "eap")
    got = scores.values[:, [scores.graph.number(edge) for edge in edges]]
    step = 0.005  # T5's norms are in single precision
    up, down = (
        torch.stack([difference(pairs, plain.patched(edge, sign * step)) for edge in edges], 1) for sign in (1, -1)
    )
    torch.testing.assert_close(got, (up - down) / (2 * step), atol=2e-4, rtol=1e-2)


@pytest.mark.parametrize("family", ALL)
def test_all_edges_together_are_the_two_runs(family: str) -> None:
    model = tiny(family)
    pairs, graph = random_pairs(model), graph_of(model.cfg)
    everything = Circuit(graph, torch.ones(len(graph), dtype=torch.bool))
    with torch.no_grad():
        clean, corrupted = model(pairs.clean), model(pairs.corrupted)
    mask = pairs.clean.target_mask
    torch.testing.assert_close(
        everything.run(model, pairs.clean, pairs.corrupted)[mask], clean[mask], atol=2e-5, rtol=1e-5
    )
    nothing = (everything - everything).run(model, pairs.clean, pairs.corrupted)
    torch.testing.assert_close(nothing[mask], corrupted[mask], atol=2e-5, rtol=1e-5)


@pytest.mark.parametrize("family", ALL)
def test_a_circuit_without_one_edge_is_the_edge_patched(family: str) -> None:
    model = tiny(family)
    pairs, graph = random_pairs(model), graph_of(model.cfg)
    edges, judge = some_edges(graph, 20), Judge.of(model, pairs)
    everything = Circuit(graph, torch.ones(len(graph), dtype=torch.bool))
    live = torch.stack([judge.measure(everything - Circuit.of(graph, [edge])) - judge.whole for edge in edges], 1)
    torch.testing.assert_close(patch_edges(model, pairs, edges), live, atol=1e-5, rtol=1e-4)


def test_edges_from_heads_are_strict_paths(tiny_t5: HookedEncoderDecoder) -> None:
    """The library's path patching, which holds all between, is the same for one sender and one receiver."""
    pairs = random_pairs(tiny_t5)
    with torch.no_grad():
        caches = [tiny_t5.run_with_cache(side)[1] for side in (pairs.clean, pairs.corrupted)]
        for sender, receiver in (("EL0H3", "XL1H2.k"), ("DL0H1", "XL2H4.q"), ("XL0H0", "DL2H3.v")):
            edits = path_patch(tiny_t5, pairs.clean, *caches, [sender], [receiver], through="residual")
            wanted = pairs.difference_of_logits(tiny_t5, tiny_t5.run_with_hooks(pairs.clean, edits))
            wanted = wanted - pairs.difference_of_logits(tiny_t5, tiny_t5(pairs.clean))
            got = patch_edges(tiny_t5, pairs, [Edge(sender, receiver)])[:, 0]
            torch.testing.assert_close(got, wanted, atol=5e-6, rtol=1e-4)


@pytest.mark.parametrize(("layers", "heads", "count"), [((1, 1), 2, 48), ((6, 6), 8, 18049), ((12, 12), 12, 161305)])
def test_the_graph_has_as_many_edges_as_counted_by_hand(layers: tuple[int, int], heads: int, count: int) -> None:
    cfg = replace(
        tiny("t5").cfg,
        n_encoder_layers=layers[0],
        n_decoder_layers=layers[1],
        n_encoder_heads=heads,
        n_decoder_heads=heads,
    )
    graph = graph_of(cfg)
    assert len(graph) == count
    if count == 48:
        assert len(set(graph.edges)) == 48
        assert {edge.writer for edge in graph.edges if edge.receiver == "XL0H1.k"} == {
            "source embedding",
            "EL0H0",
            "EL0H1",
            "EL0MLP",
        }
        assert {edge.writer for edge in graph.edges if edge.receiver == "XL0H1.q"} == {"embedding", "DL0H0", "DL0H1"}


def test_heads_of_one_layer_do_not_read_each_other() -> None:
    graph = graph_of(tiny("bart").cfg)
    for edge in graph.edges:
        if "H" in edge.writer and "." in edge.receiver:
            writer, reader = HeadId.parse(edge.writer), HeadId.parse(edge.node)
            if writer.kind == reader.kind:
                assert writer.layer < reader.layer, edge


@pytest.mark.parametrize("method", METHODS)
def test_what_the_corruption_leaves_alone_has_no_effect(method: str, tiny_t5: HookedEncoderDecoder) -> None:
    pairs = random_pairs(tiny_t5)
    same = replace(pairs.corrupted, decoder_input_ids=pairs.clean.decoder_input_ids)
    scores = score_edges(tiny_t5, replace(pairs, corrupted=same), method, steps=2, most_steps=2)
    writers = [edge.writer for edge in scores.graph.edges]
    of = {name: scores.values[:, [writer == name for writer in writers]] for name in ("embedding", "source embedding")}
    assert of["embedding"].abs().max() < 1e-6
    assert of["source embedding"].abs().max() > 1e-3


def test_the_divergence_is_in_nats_and_blind_at_the_model_itself(tiny_t5: HookedEncoderDecoder) -> None:
    pairs, edge = random_pairs(tiny_t5), "XL2H1 -> logits"
    with pytest.raises(InputError, match="gradient of the KL divergence is 0"):
        score_edges(tiny_t5, pairs, "eap", "kl")
    graph = graph_of(tiny_t5.cfg)
    everything = Circuit(graph, torch.ones(len(graph), dtype=torch.bool))
    without = (everything - Circuit.of(graph, [edge])).run(tiny_t5, pairs.clean, pairs.corrupted)
    said = [x[torch.arange(2), pairs.rows].log_softmax(-1) for x in (tiny_t5(pairs.clean), without)]
    wanted = (said[0].exp() * (said[0] - said[1])).sum(-1)
    torch.testing.assert_close(patch_edges(tiny_t5, pairs, [edge], "kl")[:, 0], wanted, atol=1e-6, rtol=1e-3)
    assert score_edges(tiny_t5, pairs, "eap-ig", "kl", most_steps=5).worth.abs().max() > 0


def test_bad_input_is_refused(tiny_t5: HookedEncoderDecoder) -> None:
    pairs, graph = random_pairs(tiny_t5), graph_of(tiny_t5.cfg)
    for wrong, said in (
        ("EL0H1", "is no edge"),
        ("EL0H1 -> XL0H9.k", "no receiver is called 'XL0H9.k'"),
        ("DL2H1 -> DL0H0.q", "does not come after"),
    ):
        with pytest.raises(InputError, match=said):
            patch_edges(tiny_t5, pairs, [wrong])
    with pytest.raises(InputError, match="No edges were given"):
        patch_edges(tiny_t5, pairs, [])
    for arguments, said in (
        ({"method": "eapig"}, "did you mean 'eap-ig'"),
        ({"metric": "ld"}, "No metric"),
        ({"steps": 0}, "0 steps"),
    ):
        with pytest.raises(InputError, match=said):
            score_edges(tiny_t5, pairs, **arguments)
    with pytest.raises(InputError, match="another shape"):
        circuit_outputs(tiny("v1.1", num_layers=3), graph, torch.ones(len(graph)).bool(), pairs.clean, pairs.corrupted)
    shorter = random_batch(tiny_t5, (8, 6), (5, 7))
    with pytest.raises(InputError, match="same shape"):
        Circuit.of(graph, []).run(tiny_t5, pairs.clean, shorter)
