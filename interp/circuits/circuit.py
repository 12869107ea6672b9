"""Circuits: sets of edges of one graph, chosen by scores, that can be run, compared, joined and cut down."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.axes import Logits
from interp.circuits.graph import LOGITS, SOURCE_EMBEDDING, TARGET_EMBEDDING, Edge, Graph
from interp.circuits.running import circuit_outputs
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import scored
from interp.patching.minimal_pairs import PairBatch
from interp.statistics import merge_ties
from interp.text.batch import Batch

Selection = Literal["top", "greedy"]


@dataclass(frozen=True, eq=False)
class Circuit:
    """A set of edges.

    Attributes:
        graph: the graph.
        kept: which of its edges.
    """

    graph: Graph
    kept: Bool[Tensor, " edge"]

    @classmethod
    def of(cls, graph: Graph, edges: Iterable[Edge | str]) -> "Circuit":
        """The circuit of some edges.

        Args:
            graph: the graph.
            edges: the edges, or their texts.
        """
        kept = torch.zeros(len(graph), dtype=torch.bool)
        kept[[graph.number(edge) for edge in edges]] = True
        return cls(graph, kept)

    def __len__(self) -> int:
        return int(self.kept.sum())

    def __and__(self, other: "Circuit") -> "Circuit":
        return Circuit(self.graph, self.kept & self._same(other).kept)

    def __or__(self, other: "Circuit") -> "Circuit":
        return Circuit(self.graph, self.kept | self._same(other).kept)

    def __sub__(self, other: "Circuit") -> "Circuit":
        return Circuit(self.graph, self.kept & ~self._same(other).kept)

    def _same(self, other: "Circuit") -> "Circuit":
        if other.graph.edges != self.graph.edges:
            raise InputError(
                "These circuits are of graphs of different shapes; compare circuits of one model, or of its twins."
            )
        return other

    @property
    def edges(self) -> tuple[Edge, ...]:
        """The edges, in the order of the graph."""
        return tuple(self.graph.edges[number] for number in self.kept.nonzero().flatten().tolist())

    @property
    def nodes(self) -> tuple[str, ...]:
        """The nodes at their ends, in the order of the graph, logits last."""
        ends = {end for edge in self.edges for end in (edge.writer, edge.node)}
        return tuple(node for node in (*self.graph.writers, LOGITS) if node in ends)

    def overlap(self, other: "Circuit") -> float:
        """Edges in both over edges in either (Jaccard); 1 for two empty circuits.

        Args:
            other: a circuit of a graph of the same shape.
        """
        either = len(self | other)
        return len(self & other) / either if either else 1.0

    def pruned(self) -> "Circuit":
        """Without the edges through which nothing flows: from nodes that nothing reaches, to nodes that reach no logits."""
        edges, kept = self.edges, set(self.edges)
        while True:
            fed = {SOURCE_EMBEDDING, TARGET_EMBEDDING} | {edge.node for edge in kept}
            heard = {LOGITS} | {edge.writer for edge in kept}
            alive = {edge for edge in kept if edge.writer in fed and edge.node in heard}
            if alive == kept:
                return Circuit.of(self.graph, (edge for edge in edges if edge in kept))
            kept = alive

    @torch.no_grad()
    def run(self, model: HookedEncoderDecoder, clean: Batch | PairBatch, corrupted: Batch | None = None) -> Logits:
        """The logits [batch target vocab] of the clean batch with every edge outside the circuit corrupted.

        Args:
            model: a model of the graph's shape.
            clean: the batch, or pairs with both sides.
            corrupted: what flows along the other edges; of the same shape. None for pairs, which have it.

        Raises:
            InputError: if the model has another graph, the batches differ in shape, or there is no corrupted side, or two.
        """
        if isinstance(clean, PairBatch) == isinstance(corrupted, Batch):
            raise InputError(
                "A circuit runs on a clean batch and a corrupted one, or on pairs, which have both; "
                f"got {type(clean).__name__} and {type(corrupted).__name__}."
            )
        live, other = (clean.clean, clean.corrupted) if isinstance(clean, PairBatch) else (clean, corrupted)
        assert other is not None  # said above
        return scored(model, circuit_outputs(model, self.graph, self.kept, live, other))


def choose(
    graph: Graph, worth: Float[Tensor, " edge"], count: int, selection: Selection = "top", absolute: bool = True
) -> Circuit:
    """The circuit of the best edges, without what is not connected.

    Args:
        graph: the graph.
        worth: of its edges, above 0 for what an answer needs (`EdgeScores.worth`).
        count: most edges; fewer where some are not connected.
        selection: `top` takes the best of all and drops what nothing flows through; `greedy` starts at the logits and takes the
            best edge into a node that is in already, so that it is always connected.
        absolute: whether size alone decides; otherwise edges that harm the answer come last.
    """
    worth = torch.from_numpy(merge_ties((worth.abs() if absolute else worth).double().cpu().numpy()))
    if selection == "top":
        kept = torch.zeros(len(graph), dtype=torch.bool)
        kept[worth.argsort(descending=True, stable=True)[:count].cpu()] = True
        return Circuit(graph, kept).pruned()
    return _greedy(graph, worth.tolist(), count).pruned()


def _greedy(graph: Graph, worth: Sequence[float], count: int) -> Circuit:
    into: dict[str, list[int]] = {}
    for number, edge in enumerate(graph.edges):
        into.setdefault(edge.node, []).append(number)
    chosen: list[int] = []
    inside, open_edges = {LOGITS}, [(-worth[number], number) for number in into[LOGITS]]
    heapify(open_edges)  # the best first, of equals the first in the graph
    while open_edges and len(chosen) < count:
        best = heappop(open_edges)[1]
        chosen.append(best)
        writer = graph.edges[best].writer
        if writer not in inside:
            inside.add(writer)
            for number in into.get(writer, ()):
                heappush(open_edges, (-worth[number], number))
    kept = torch.zeros(len(graph), dtype=torch.bool)
    kept[chosen] = True
    return Circuit(graph, kept)


def random_circuit(circuit: Circuit, generator: torch.Generator, alike: Literal["size", "degree"] = "size") -> Circuit:
    """A random circuit, for comparison.

    Args:
        circuit: the circuit that it is compared with.
        generator: of random numbers.
        alike: `size` grows a connected circuit of as many edges from the logits; `degree` gives every receiver of the circuit as
            many writers as it has there, others by chance.
    """
    graph = circuit.graph
    luck = torch.rand(len(graph), generator=generator)
    if alike == "size":
        return _greedy(graph, luck.tolist(), len(circuit))
    kept = torch.zeros(len(graph), dtype=torch.bool)
    receivers = graph.places[:, 0]
    for receiver in receivers[circuit.kept].unique().tolist():
        own = (receivers == receiver).nonzero().flatten()
        kept[own[luck[own].argsort()[: int(circuit.kept[own].sum())]]] = True
    return Circuit(graph, kept)
