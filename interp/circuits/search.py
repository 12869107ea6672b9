"""From minimal pairs to a circuit with its evidence: scored on one half of the pairs, judged on the other.

pairs     that the model can tell apart: the answer leads by `LEAST_LEAD` on the clean side, and by twice that less on the
corrupted one
scores    on the first, third, ... pair; the circuit is the smallest, greedily grown, that keeps enough of the metric there
judged    on the other pairs: what the circuit keeps, and what random circuits of its size and of its degrees keep
exact     a sample of edges, as many of every kind of receiver, patched one by one: how well do scores rank and measure them
control   the same on an untrained twin, which knows no answers: on all pairs, answer and foil exchanged where that is needed
for the corruption to cost the lead
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.circuits.agreement import Agreement, agreement_of
from interp.circuits.circuit import Circuit
from interp.circuits.edge_attribution import EdgeScores, score_edges
from interp.circuits.evaluation import Curve, Judge, faithfulness_curve, smallest_circuit
from interp.circuits.graph import Edge
from interp.circuits.pairs import batch_of, halves, in_batches, swapped_pairs, usable_pairs, why_too_few
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.minimal_pairs import PromptPair

_PARTS = 10
"""Random halves of the circuit that are knocked out."""

_HALVES_AROUND = 2
"""Random halves of the circuit without which single edges are asked about, beside the whole."""


@dataclass(frozen=True, eq=False)
class Minimality:
    """How much single edges matter, of the circuit and of others between its nodes; see `Judge.minimality`.

    Attributes:
        inside: edges of the circuit, drawn at random.
        values: how much each matters.
        outside: edges that the circuit lacks.
        controls: how much each of them matters where it is put in.
    """

    inside: tuple[Edge, ...]
    values: Float[Tensor, " edge"]
    outside: tuple[Edge, ...]
    controls: Float[Tensor, " other"]


def minimality_of(judge: Judge, circuit: Circuit, sample: int, seed: int = 0) -> Minimality:
    """How much a sample of a circuit's edges matters, and as many that it lacks.

    Args:
        judge: runs the circuits.
        circuit: the circuit.
        sample: most edges of each.
        seed: of the draw.
    """
    generator, nodes = torch.Generator().manual_seed(seed), set(circuit.nodes)
    own = set(circuit.edges)
    between = [edge for edge in circuit.graph.edges if {edge.writer, edge.node} <= nodes and edge not in own]
    inside, outside = (
        tuple(some[place] for place in sorted(torch.randperm(len(some), generator=generator)[:sample].tolist()))
        for some in (circuit.edges, between)
    )
    values = judge.minimality(circuit, _HALVES_AROUND, seed, (*inside, *outside))
    return Minimality(inside, values[: len(inside)], outside, values[len(inside) :])


@dataclass(frozen=True, eq=False)
class CircuitSearch:
    """A circuit, and how good it is.

    Attributes:
        scores: of all edges, on the pairs that the circuit was found on.
        circuit: the circuit.
        kept: its faithfulness on these pairs.
        alone: the metric with the circuit alone, of every one of the other pairs.
        whole: the same with the whole model.
        empty: the same with every edge corrupted.
        same_size: faithfulness of random circuits of its size, on the other pairs; none of a control.
        same_degree: of random circuits of its degrees.
        completeness: see `Judge.completeness`, on the other pairs; none of a control.
        minimality: of single edges, on the other pairs; None where none was sampled.
        signed: faithfulness over size, edges that harm the answer last.
        absolute: the same, edges by size of their scores alone.
        agreement: with exact patching; None where no edge was sampled.
        found_on: the pairs that it was found on.
        judged_on: the other pairs; the same ones where there are fewer than four.
        refused: pair's id -> why it was left out.
    """

    scores: EdgeScores
    circuit: Circuit
    kept: float
    alone: Float[Tensor, " pair"]
    whole: Float[Tensor, " pair"]
    empty: Float[Tensor, " pair"]
    same_size: Float[Tensor, " draw"]
    same_degree: Float[Tensor, " draw"]
    completeness: Float[Tensor, " part"]
    minimality: Minimality | None
    signed: Curve
    absolute: Curve
    agreement: Agreement | None
    found_on: tuple[PromptPair, ...]
    judged_on: tuple[PromptPair, ...]
    refused: dict[str, str]

    @property
    def judged(self) -> float:
        """The circuit's faithfulness on the other pairs."""
        whole, empty = float(self.whole.mean()), float(self.empty.mean())
        return (float(self.alone.mean()) - empty) / (whole - empty)


def score_in_batches(
    model: HookedEncoderDecoder,
    pairs: Sequence[PromptPair],
    method: str = "eap-ig",
    metric: str = "logit-difference",
    batch_size: int = 16,
    swapped: Collection[PromptPair] = (),
) -> EdgeScores:
    """Scores of all edges, for as many pairs as there are.

    Args:
        model: the model.
        pairs: the pairs.
        method: see `score_edges`.
        metric: see `Metric`.
        batch_size: pairs that run at once.
        swapped: see `batch_of`.
    """
    parts = [
        score_edges(model, batch_of(model, some, swapped), method, metric) for some in in_batches(pairs, batch_size)
    ]
    first = max(parts, key=lambda part: part.steps)
    change = max(part.change for part in parts)
    return EdgeScores(
        first.graph, torch.cat([part.values for part in parts]), first.method, first.steps, change, first.metric
    )


def find_circuit(
    model: HookedEncoderDecoder,
    pairs: Sequence[PromptPair],
    method: str = "eap-ig",
    metric: str = "logit-difference",
    keeps: float = 0.9,
    sample: int = 300,
    draws: int = 100,
    seed: int = 0,
    batch_size: int = 16,
    control: bool = False,
    needed: int = 24,
    least: int = 1,
) -> CircuitSearch:
    """The smallest circuit that keeps enough of an answer, with its evidence.

    Args:
        model: the model.
        pairs: candidates, see `usable_pairs`.
        method: see `score_edges`.
        metric: see `Metric`.
        keeps: faithfulness that is enough.
        sample: edges that are patched exactly; 0 for none. There are none where the method is exact itself.
        draws: random circuits of each kind.
        seed: of samples and random circuits.
        batch_size: pairs scored at once.
        control: whether the model is a control, an untrained twin: all pairs are taken, see `swapped_pairs`, and there are no
            random circuits, no completeness, no minimality and no check.
        needed: edges of the circuit, and as many others, of which it is asked how much they matter; 0 for none.
        least: how many pairs must be of use, see `why_too_few`; of a control, any.

    Raises:
        InputError: if too few pairs are of use.
    """
    usable, refused = _enough(model, pairs, least, control)
    swapped = swapped_pairs(model, usable) if control else frozenset()
    found_on, judged_on = halves(usable)
    scores = score_in_batches(model, found_on, method, metric, batch_size, swapped)
    finder, judge = (Judge.of(model, batch_of(model, half, swapped), metric) for half in (found_on, judged_on))
    circuit = smallest_circuit(finder, scores, keeps)
    draws, needed, exact = (0, 0, 0) if control else (draws, needed, sample * (method != "exact"))
    return CircuitSearch(
        scores=scores,
        circuit=circuit,
        kept=finder.faithfulness(circuit),
        alone=judge.measure(circuit),
        whole=judge.whole,
        empty=judge.empty,
        same_size=judge.null(circuit, draws, seed, "size"),
        same_degree=judge.null(circuit, draws, seed, "degree"),
        completeness=judge.completeness(circuit, 0 if control else _PARTS, seed),
        minimality=minimality_of(judge, circuit, needed, seed) if needed else None,
        signed=faithfulness_curve(judge, scores, absolute=False),
        absolute=faithfulness_curve(judge, scores),
        agreement=agreement_of(model, found_on, scores, exact, seed, batch_size, swapped) if exact else None,
        found_on=found_on,
        judged_on=judged_on,
        refused=refused,
    )


def _enough(
    model: HookedEncoderDecoder, pairs: Sequence[PromptPair], least: int, control: bool
) -> tuple[tuple[PromptPair, ...], dict[str, str]]:
    """The pairs of use, and why the others are of none; of a control all."""
    usable, refused = (tuple(pairs), {}) if control else usable_pairs(model, pairs)
    why = why_too_few(len(usable), refused, 1 if control else least)
    if why is not None:
        raise InputError(f"{why} Give pairs of the task that it was trained for.")
    return usable, refused
