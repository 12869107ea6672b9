"""Two circuits side by side: what they share, and how much of that chance alone would make."""

from dataclasses import dataclass

import pandas as pd
from scipy.stats import hypergeom

from interp.circuits.circuit import Circuit
from interp.report.framed import Framed


@dataclass(frozen=True, eq=False, repr=False)
class Comparison(Framed):
    """What two circuits of one graph share.

    Attributes:
        first: the one.
        second: the other.
    """

    first: Circuit
    second: Circuit

    @property
    def both(self) -> Circuit:
        """The edges of both."""
        return self.first & self.second

    @property
    def overlap(self) -> float:
        """Edges in both over edges in either (Jaccard)."""
        return self.first.overlap(self.second)

    @property
    def by_chance(self) -> float:
        """Edges that two circuits of these sizes share on average, drawn among all edges of the graph."""
        return len(self.first) * len(self.second) / len(self.first.graph)

    @property
    def p_value(self) -> float:
        """How often two such draws share at least as many edges (hypergeometric)."""
        sizes = len(self.first.graph), len(self.first), len(self.second)
        return float(hypergeom.sf(len(self.both) - 1, *sizes))

    def to_frame(self) -> pd.DataFrame:
        """One row an edge of either, with where it is."""
        places = ((self.both, "both"), (self.first - self.second, "first"), (self.second - self.first, "second"))
        rows = [(edge.writer, edge.receiver, place) for circuit, place in places for edge in circuit.edges]
        return pd.DataFrame(rows, columns=["writer", "receiver", "in"])


def compare(circuit: Circuit, other: Circuit) -> Comparison:
    """What two circuits share.

    Args:
        circuit: the one.
        other: the other, of a graph of the same shape.

    Raises:
        InputError: if the graphs differ in shape.
    """
    circuit.overlap(other)
    return Comparison(circuit, other)
