"""Circuits that are known: found, kept, compared and judged on compiled programs."""

import pytest
import torch

from interp.circuits import (
    SHARES,
    Circuit,
    Curve,
    EdgeScores,
    Judge,
    choose,
    faithfulness_curve,
    graph_of,
    patch_edges,
    random_circuit,
    score_edges,
    smallest_circuit,
)
from interp.compiled import PROGRAMS, active, corrupted_pairs, effects
from interp.errors import InputError
from interp.patching.minimal_pairs import PairBatch, pair_batch
from tests.support.compiled import compiled_model, planned
from tests.support.models import tiny

STACKS = ("encoder", "decoder")
NOISY = ("noisy-copy", "noisy-translate")


def pairs_of(name: str, stack: str, count: int = 16) -> PairBatch:
    return pair_batch(compiled_model(name), corrupted_pairs(planned(name), stack, count))


def auroc(name: str, pairs: PairBatch, values: torch.Tensor) -> float:
    """P(a true edge has the larger size), ties half: edges that this corruption makes active against all others."""
    graph, true = graph_of(compiled_model(name).cfg), active(planned(name), pairs.pairs)
    inside = torch.tensor([edge in true for edge in graph.edges])
    first, other = values[inside].abs().unsqueeze(1), values[~inside].abs()
    return float(((first > other).double() + 0.5 * (first == other)).mean())


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", PROGRAMS)
def test_exact_patching_finds_the_true_edges_and_no_other(name: str, stack: str) -> None:
    plan, pairs = planned(name), pairs_of(name, stack)
    graph = graph_of(compiled_model(name).cfg)
    values = patch_edges(compiled_model(name), pairs).mean(0)
    assert auroc(name, pairs, values) == 1.0
    by_hand = effects(plan, pairs.pairs)
    wanted = torch.tensor([by_hand.get(edge, 0.0) for edge in graph.edges])
    error = float((values - wanted).norm() / wanted.norm())
    assert error < (0.005 if plan.program.noise is None else 0.25)
    if plan.program.noise is None:
        outside = torch.tensor([edge not in plan.edges() for edge in graph.edges])
        assert values[outside].abs().max() < 1e-3


@pytest.mark.parametrize("stack", STACKS)
@pytest.mark.parametrize("name", NOISY)
def test_integrated_gradients_find_them_with_their_values(name: str, stack: str) -> None:
    model, pairs = compiled_model(name), pairs_of(name, stack)
    exact, scores = patch_edges(model, pairs).mean(0), score_edges(model, pairs, "eap-ig")
    assert auroc(name, pairs, scores.mean) >= 0.95
    assert (scores.mean - exact).norm() / exact.norm() < 0.1
    assert scores.steps >= 20
    assert scores.change < 0.02


def test_saturation_hides_queries_from_plain_gradients() -> None:
    """Of the two edges that a corrupted beginning of the target makes active, EAP sees the one behind the softmax."""
    model, pairs = compiled_model("copy"), pairs_of("copy", "decoder")
    graph = graph_of(model.cfg)
    ends = [graph.number(edge) for edge in ("embedding -> XL0H0.q", "XL0H0 -> logits")]
    exact, plain, integrated = (
        score_edges(model, pairs, method).mean[ends].tolist() for method in ("exact", "eap", "eap-ig")
    )
    assert exact[0] == pytest.approx(exact[1], rel=1e-3)
    assert abs(plain[0]) < 0.05 * abs(exact[0])
    assert plain[1] == pytest.approx(exact[1], rel=0.01)
    assert integrated == pytest.approx(exact, rel=0.02)


@pytest.mark.slow
def test_the_true_circuit_keeps_everything_and_every_part_of_it_matters() -> None:
    model, pairs = compiled_model("translate"), pairs_of("translate", "encoder")
    judge = Judge.of(model, pairs)
    true = Circuit.of(judge.graph, planned("translate").edges())
    assert judge.faithfulness(true) == pytest.approx(1, abs=1e-3)
    assert judge.faithfulness(true - true) == 0
    assert judge.completeness(true, 5).max() < 1e-3
    seen = active(planned("translate"), pairs.pairs)
    matters = dict(zip(true.edges, judge.minimality(true, 3).tolist(), strict=True))
    assert all((value > 0.05) == (edge in seen) for edge, value in matters.items()), matters
    first = [edge for edge in true.edges if edge in seen][:1]
    assert judge.minimality(true, 3, edges=first).tolist() == pytest.approx([matters[first[0]]], abs=1e-6)
    empty = true - true
    cut = abs(float((judge.measure(true - Circuit.of(judge.graph, first)) - judge.measure(true)).mean())) / abs(
        judge.scale
    )
    assert judge.minimality(true, 0, edges=first).tolist() == pytest.approx([cut], abs=1e-6)
    assert judge.minimality(empty, 0, edges=first).tolist() == pytest.approx([0], abs=1e-6)  # alone it leads nowhere
    without = true - Circuit.of(judge.graph, ["XL0H0 -> logits"])
    assert judge.faithfulness(without) == 0
    lacking = true - Circuit.of(judge.graph, ["EL1H0 -> XL0H0.k"])
    assert judge.completeness(lacking, 20).max() > 0.1
    # A random circuit of its size may happen on the few edges of so small a graph; hardly ever does it.
    for alike in ("size", "degree"):
        assert judge.null(true, 20, alike=alike).quantile(0.8) < 0.5
    with pytest.raises(InputError, match="choose size or degree"):
        judge.null(true, 1, alike="shape")


def test_a_small_circuit_is_found_that_is_the_true_one() -> None:
    model, pairs = compiled_model("copy"), pairs_of("copy", "encoder")
    judge, scores = Judge.of(model, pairs), score_edges(model, pairs, "exact")
    found = smallest_circuit(judge, scores)
    assert set(found.edges) == active(planned("copy"), pairs.pairs)
    curve = faithfulness_curve(judge, scores)
    assert curve.values[-1] == pytest.approx(1, abs=1e-5)
    assert curve.sizes[-1] == len(scores.graph)


def test_the_integrals_have_their_anchors() -> None:
    """f = 1 everywhere, f = k, and nothing before the whole model (Mueller et al. 2025)."""
    sizes = (1,) * len(SHARES)
    for values, cpr, cmd in (((1.0,) * 10, 0.999, 0.0), (SHARES, 0.5, 0.499), ((0.0,) * 9 + (1.0,), 0.25, 0.749)):
        curve = Curve(SHARES, sizes, values)
        assert (curve.cpr, curve.cmd) == (pytest.approx(cpr, abs=1e-3), pytest.approx(cmd, abs=1e-3))


def test_circuits_are_sets_of_edges() -> None:
    graph = graph_of(tiny("t5").cfg)
    one = Circuit.of(graph, ["EL0H1 -> XL0H0.k", "XL0H0 -> logits", "embedding -> XL0H0.q"])
    other = Circuit.of(graph, ["XL0H0 -> logits", "embedding -> logits"])
    assert (len(one & other), len(one | other), len(one - other), one.overlap(other)) == (1, 4, 2, 0.25)
    assert one.nodes == ("EL0H1", "embedding", "XL0H0", "logits")
    # Nothing feeds EL0H1, and without it the head has still its query.
    assert [str(edge) for edge in one.pruned().edges] == ["embedding -> XL0H0.q", "XL0H0 -> logits"]
    with pytest.raises(InputError, match="different shapes"):
        one & Circuit.of(graph_of(tiny("bart").cfg), [])


def test_selection() -> None:
    graph = graph_of(tiny("t5").cfg)
    worth = torch.zeros(len(graph))
    for edge, value in {"XL0H0 -> logits": -3.0, "embedding -> logits": 2.0, "embedding -> XL0H0.q": 1.0}.items():
        worth[graph.number(edge)] = value
    worth[graph.number("source embedding -> EL1MLP")] = 5.0
    names = {
        kind: {str(edge) for edge in choose(graph, worth, count, kind, absolute).edges}
        for kind, count, absolute in (("top", 4, True), ("greedy", 3, True))
    }
    assert names["top"] == names["greedy"] == {"XL0H0 -> logits", "embedding -> logits", "embedding -> XL0H0.q"}
    assert [str(edge) for edge in choose(graph, worth, 2, "top", absolute=False).edges] == ["embedding -> logits"]


def test_random_circuits_are_like_the_circuit() -> None:
    graph, generator = graph_of(tiny("t5").cfg), torch.Generator().manual_seed(0)
    circuit = choose(graph, torch.rand(len(graph), generator=generator), 300)
    size = random_circuit(circuit, generator)
    degree = random_circuit(circuit, generator, "degree")
    assert len(size) == len(degree) == len(circuit)
    heard = {edge.writer for edge in size.edges}
    assert {edge.node for edge in size.edges} <= heard | {"logits"}

    def degrees(one: Circuit) -> list[str]:
        return sorted(edge.receiver for edge in one.edges)

    assert degrees(degree) == degrees(circuit)
    assert degree.overlap(circuit) < 0.5


def test_pairs_that_change_nothing_are_refused() -> None:
    model, pairs = compiled_model("copy"), pairs_of("copy", "encoder", 4)
    same = PairBatch(pairs.pairs, pairs.clean, pairs.clean, pairs.rows, pairs.answers, pairs.foils)
    with pytest.raises(InputError, match="changes the mean metric by"):
        Judge.of(model, same)


def test_scores_know_what_the_answer_needs() -> None:
    graph = graph_of(tiny("t5").cfg)
    values = torch.zeros(1, len(graph))
    values[0, 0] = -1.0
    assert EdgeScores(graph, values, "eap", 1).worth[0] == 1
    assert EdgeScores(graph, -values, "eap", 1, metric="kl").worth[0] == 1
