"""How good is a circuit? What it keeps, whether anything it lacks matters, and whether all that it has does.

With m the metric, a mean over pairs, M the model, and the empty circuit the one in which all edges are corrupted:

    faithfulness    f(C) = (m(C) - m(empty)) / (m(M) - m(empty)); not clipped
    CPR, CMD        the integrals of f(C_k) and of |1 - f(C_k)| over k, the share of edges, by trapezoids over `SHARES`
                    (Mueller et al. 2025); f = 1 everywhere gives .999 and 0, f = k gives .5 and .5
    completeness    |m(C without K) - m(M without K)| for random parts K of C (Wang et al. 2022): what is knocked out of the
                    circuit should hurt the model as much
    minimality      of an edge v, the largest |m(C without K and v) - m(C without K)| over random parts K of C without v, the
                    empty one among them (Wang et al. 2022)

The last two are divided by |m(M) - m(empty)|. Knocked out means corrupted. The null is a random connected circuit of the same
size, or one of the same degrees: uniformly drawn edges mostly hang together with nothing.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from interp.circuits.circuit import Circuit, Selection, choose, random_circuit
from interp.circuits.edge_attribution import EdgeScores
from interp.circuits.graph import Edge, Graph, graph_of
from interp.circuits.metric import Metric, at_rows
from interp.circuits.running import Writes, circuit_outputs, corrupted_writes
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.minimal_pairs import PairBatch

SHARES = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0)
"""Shares of edges at which circuits are judged (Mueller et al. 2025)."""


@dataclass(frozen=True, eq=False)
class Judge:
    """Runs circuits of one model on one set of pairs.

    Attributes:
        model: the model.
        graph: its graph.
        metric: what is measured, and on which pairs.
        corrupted: what the corrupted runs write.
        whole: the metric of the whole model, of every pair.
        empty: the metric with every edge corrupted.
    """

    model: HookedEncoderDecoder
    graph: Graph
    metric: Metric
    corrupted: Writes
    whole: Float[Tensor, " pair"]
    empty: Float[Tensor, " pair"]

    @classmethod
    def of(cls, model: HookedEncoderDecoder, pairs: PairBatch, metric: str = "logit-difference") -> "Judge":
        """A judge.

        Args:
            model: the model.
            pairs: the pairs; others than those a circuit was found on, if it is to say anything about new ones.
            metric: see `Metric`.

        Raises:
            InputError: if the corruption does not change the metric.
        """
        graph, measure = graph_of(model.cfg), Metric.of(model, pairs, metric)
        writes, blank = corrupted_writes(model, graph, pairs.corrupted), torch.zeros(0)
        unready = cls(model, graph, measure, writes, blank, blank)
        everything = Circuit(graph, torch.ones(len(graph), dtype=torch.bool))
        judge = cls(
            model, graph, measure, writes, unready.measure(everything), unready.measure(everything - everything)
        )
        if abs(judge.scale) < 1e-6:
            raise InputError(
                f"The corruption changes the mean metric by {judge.scale:.1e} only, so no circuit can be judged by what it "
                "keeps; give pairs whose answers differ."
            )
        return judge

    @property
    def scale(self) -> float:
        """m(M) - m(empty), means over pairs."""
        return float(self.whole.mean() - self.empty.mean())

    def measure(self, circuit: Circuit) -> Float[Tensor, " pair"]:
        """The metric of every pair with the circuit alone.

        Args:
            circuit: a circuit of the graph.
        """
        pairs = self.metric.pairs
        outputs = circuit_outputs(self.model, self.graph, circuit.kept, pairs.clean, self.corrupted)
        return self.metric(self.model, at_rows(pairs, outputs).unsqueeze(2))[0]

    def faithfulness(self, circuit: Circuit) -> float:
        """The share of the metric that the circuit keeps.

        Args:
            circuit: a circuit of the graph.
        """
        return float(self.measure(circuit).mean() - self.empty.mean()) / self.scale

    def completeness(self, circuit: Circuit, draws: int = 20, seed: int = 0) -> Float[Tensor, " draw"]:
        """For random halves of the circuit knocked out of both, how far circuit and model are apart, in units of `scale`.

        Args:
            circuit: a circuit of the graph.
            draws: how many parts.
            seed: of the draw.
        """
        everything = Circuit(self.graph, torch.ones(len(self.graph), dtype=torch.bool))
        parts = _parts(circuit, draws, seed)
        found = [self.measure(circuit - part).mean() - self.measure(everything - part).mean() for part in parts]
        return torch.stack(found).abs().cpu() / abs(self.scale) if found else torch.zeros(0)

    def minimality(
        self, circuit: Circuit, draws: int = 4, seed: int = 0, edges: Sequence[Edge] | None = None
    ) -> Float[Tensor, " edge"]:
        """For every edge, the most that it matters with the circuit less random halves of the others, in units of `scale`.

        Args:
            circuit: a circuit of the graph.
            draws: how many parts, beside the empty one.
            seed: of the draw.
            edges: by default those of the circuit; others are added to it, which tells how much an edge can matter that it lacks.
        """
        asked = circuit.edges if edges is None else tuple(edges)
        largest = torch.zeros(len(asked))
        for part in (circuit - circuit, *_parts(circuit, draws, seed)):
            less = circuit - part
            without = self.measure(less).mean()
            for place, edge in enumerate(asked):
                one = Circuit.of(self.graph, [edge])
                # The part is of the others: whether the edge was among it only decides which of the two was measured.
                other = self.measure(less - one if less.kept[self.graph.number(edge)] else less | one).mean()
                largest[place] = max(float(largest[place]), abs(float(other - without)))
        return largest / abs(self.scale)

    def null(self, circuit: Circuit, draws: int = 100, seed: int = 0, alike: str = "size") -> Float[Tensor, " draw"]:
        """The faithfulness of random circuits.

        Args:
            circuit: the circuit that they are like.
            draws: how many.
            seed: of the draw.
            alike: in `size` or in `degree`, see `random_circuit`.

        Raises:
            InputError: if they are to be alike in something else.
        """
        if alike not in ("size", "degree"):
            raise InputError(f"Random circuits are alike in {alike!r}; choose size or degree.")
        generator = torch.Generator().manual_seed(seed)
        like = "size" if alike == "size" else "degree"
        return torch.tensor([self.faithfulness(random_circuit(circuit, generator, like)) for _ in range(draws)])  # type: ignore[arg-type]


def _parts(circuit: Circuit, draws: int, seed: int) -> list[Circuit]:
    """Random parts of a circuit, each edge in with probability one half."""
    generator = torch.Generator().manual_seed(seed)
    return [
        Circuit(circuit.graph, circuit.kept & (torch.rand(len(circuit.kept), generator=generator) < 0.5))
        for _ in range(draws)
    ]


@dataclass(frozen=True, slots=True)
class Curve:
    """Faithfulness over size.

    Attributes:
        shares: shares of edges that were asked for.
        sizes: edges that circuits of that share have once they are pruned.
        values: their faithfulness.
    """

    shares: tuple[float, ...]
    sizes: tuple[int, ...]
    values: tuple[float, ...]

    @property
    def cpr(self) -> float:
        """The integral of faithfulness over the share of edges; higher is better."""
        return _trapezoids(self.shares, self.values)

    @property
    def cmd(self) -> float:
        """The integral of the distance of faithfulness from 1; 0 is best."""
        return _trapezoids(self.shares, [abs(1 - value) for value in self.values])


def _trapezoids(x: Sequence[float], y: Sequence[float]) -> float:
    steps = zip(x, x[1:], y, y[1:], strict=False)
    return sum((right - left) * (one + other) / 2 for left, right, one, other in steps)


def faithfulness_curve(
    judge: Judge,
    scores: EdgeScores,
    shares: Sequence[float] = SHARES,
    selection: Selection = "top",
    absolute: bool = True,
) -> Curve:
    """The faithfulness of the best edges, for more and more of them.

    Args:
        judge: runs the circuits.
        scores: of the edges.
        shares: of all edges, ascending; at least one edge is taken.
        selection: see `choose`.
        absolute: see `choose`.
    """
    counts = [max(round(share * len(scores.graph)), 1) for share in shares]
    circuits = [choose(scores.graph, scores.worth, count, selection, absolute) for count in counts]
    return Curve(tuple(shares), tuple(map(len, circuits)), tuple(judge.faithfulness(circuit) for circuit in circuits))


def smallest_circuit(judge: Judge, scores: EdgeScores, keeps: float = 0.9, selection: Selection = "greedy") -> Circuit:
    """A small circuit that keeps so much of the metric: its size is doubled until it does, and then halved in between.

    Args:
        judge: runs the circuits.
        scores: of the edges.
        keeps: faithfulness that is enough.
        selection: see `choose`.

    Returns:
        The smallest circuit that was met and keeps enough; the whole graph where none does.
    """

    def best(count: int) -> Circuit:
        return choose(scores.graph, scores.worth, count, selection, absolute=False)

    enough = 1
    while enough < len(scores.graph) and judge.faithfulness(best(enough)) < keeps:
        enough *= 2
    enough, too_few = min(enough, len(scores.graph)), enough // 2
    while enough - too_few > 1:
        middle = (enough + too_few) // 2
        if judge.faithfulness(best(middle)) < keeps:
            too_few = middle
        else:
            enough = middle
    return best(enough)
