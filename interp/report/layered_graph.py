"""A graph whose nodes stand in layers: what it is, and where its nodes and edges lie, on paper and on the page alike.

Two bands lie one below the other, each with one column a layer and up to three lanes in it; edges run from the right of a node
to the left of another, and between bands from the foot of one to the head of the other. Places are in units of one lane's
width and one row's height; whoever draws decides how large these are.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from interp.report.palette import Hue

EdgeKind = Literal["q", "k", "v", "input"]

KINDS: Mapping[EdgeKind, tuple[str, Hue]] = {
    "q": ("queries", "blue"),
    "k": ("keys", "orange"),
    "v": ("values", "green"),
    "input": ("MLPs and logits", "purple"),
}
"""What an edge is read as, by what receives it: its name and its hue."""

LANES = 3
"""Lanes of a column."""

_BESIDE: Mapping[EdgeKind, float] = {"q": -0.6, "k": 0.0, "v": 0.6, "input": 0.0}
"""Where on the side of a node edges of a kind end, so that queries, keys and values from one writer lie side by side."""

_GAP = 0.7
"""Lanes left free between columns."""

_HEADING = 1.6
"""Rows above the nodes of a band, for its name and the names of its columns."""


@dataclass(frozen=True, slots=True)
class GraphNode:
    """A node.

    Attributes:
        name: its name, unique in the graph, `XL2H4`.
        short: what is written in it.
        band: number of its band, from the top.
        column: number of its column, from the left.
        lane: its lane in the column.
        row: its row in the band; halves stand between.
    """

    name: str
    short: str
    band: int
    column: int
    lane: int
    row: float


@dataclass(frozen=True, slots=True)
class GraphEdge:
    """An edge.

    Attributes:
        start: number of the node that writes.
        end: number of the node that reads.
        kind: as what it is read.
        score: what it is worth; below 0 it works against the others.
        note: what else is known of it, such as its interval.
    """

    start: int
    end: int
    kind: EdgeKind
    score: float
    note: str = ""


@dataclass(frozen=True)
class LayeredGraph:
    """A graph in layers.

    Attributes:
        bands: names of the bands, from the top.
        columns: names of the columns, from the left.
        nodes: the nodes.
        edges: the edges, the strongest first.
        unit: of the scores.

    Raises:
        ValueError: without nodes, with two nodes of a name or in a place, with ends that do not exist, or with edges that are
            not in order.
    """

    bands: tuple[str, ...]
    columns: tuple[str, ...]
    nodes: tuple[GraphNode, ...]
    edges: tuple[GraphEdge, ...]
    unit: str

    def __post_init__(self) -> None:
        places = {(node.band, node.column, node.lane, node.row) for node in self.nodes}
        if not self.nodes or len({node.name for node in self.nodes}) < len(self.nodes) or len(places) < len(self.nodes):
            raise ValueError("LayeredGraph.nodes must be nodes with names and places of their own, and at least one.")
        for node in self.nodes:
            if not (0 <= node.band < len(self.bands) and 0 <= node.column < len(self.columns) and node.lane < LANES):
                raise ValueError(f"The node {node.name!r} stands outside the bands, columns and lanes of its graph.")
        sizes = [abs(edge.score) for edge in self.edges]
        if sizes != sorted(sizes, reverse=True):
            raise ValueError("LayeredGraph.edges must come strongest first.")
        ends = {end for edge in self.edges for end in (edge.start, edge.end)}
        if ends and not 0 <= min(ends) <= max(ends) < len(self.nodes):
            raise ValueError(f"LayeredGraph.edges end at node {max(ends)}; there are {len(self.nodes)} nodes.")

    @property
    def kinds(self) -> tuple[EdgeKind, ...]:
        """As what its edges are read, in the order of `KINDS`."""
        found = {edge.kind for edge in self.edges}
        return tuple(kind for kind in KINDS if kind in found)

    def strongest(self, count: int) -> "LayeredGraph":
        """The same graph with its strongest edges only, all nodes in their places.

        Args:
            count: most edges.
        """
        return LayeredGraph(self.bands, self.columns, self.nodes, self.edges[:count], self.unit)


@dataclass(frozen=True, slots=True)
class GraphLayout:
    """Where everything lies, in lanes from the left and rows from the top.

    Attributes:
        width: of the whole.
        height: of the whole.
        nodes: the middle of every node.
        columns: the middle of every column.
        bands: the top of every band.
    """

    width: float
    height: float
    nodes: tuple[tuple[float, float], ...]
    columns: tuple[float, ...]
    bands: tuple[float, ...]

    @classmethod
    def of(cls, graph: LayeredGraph) -> "GraphLayout":
        """The layout of a graph; a column is as wide as the lanes that it uses.

        Args:
            graph: the graph.
        """
        lanes = [
            sorted({node.lane for node in graph.nodes if node.column == column}) or [0]
            for column in range(len(graph.columns))
        ]
        starts, left = [], 0.0
        for used in lanes:
            starts.append(left)
            left += len(used) + _GAP
        tops, top = [], 0.0
        for band in range(len(graph.bands)):
            tops.append(top)
            top += _HEADING + 1 + max((node.row for node in graph.nodes if node.band == band), default=0.0) + _GAP
        places = tuple(
            (
                starts[node.column] + lanes[node.column].index(node.lane) + 0.5,
                tops[node.band] + _HEADING + node.row + 0.5,
            )
            for node in graph.nodes
        )
        middles = tuple(start + len(used) / 2 for start, used in zip(starts, lanes, strict=True))
        return cls(left - _GAP, top - _GAP, places, middles, tuple(tops))

    def curve(self, graph: LayeredGraph, edge: GraphEdge, half: tuple[float, float]) -> tuple[tuple[float, float], ...]:
        """The four points of an edge's Bézier curve.

        Args:
            graph: the graph.
            edge: the edge.
            half: half the width and half the height of a node.
        """
        (x, y), (to_x, to_y) = self.nodes[edge.start], self.nodes[edge.end]
        beside = _BESIDE[edge.kind]
        if graph.nodes[edge.start].band != graph.nodes[edge.end].band:
            reach = max((to_y - y) / 2, 1.0)
            return (
                (x, y + half[1]),
                (x, y + reach),
                (to_x + beside * half[0], to_y - reach),
                (to_x + beside * half[0], to_y - half[1]),
            )
        x, to_x, to_y = x + half[0], to_x - half[0], to_y + beside * half[1]
        reach = max((to_x - x) / 2, 0.3)
        return (x, y), (x + reach, y), (to_x - reach, to_y), (to_x, to_y)


def edge_width(graph: LayeredGraph, edge: GraphEdge) -> float:
    """How wide an edge is drawn, as a share of the widest: by the root of its score, so that weak ones are still seen.

    Args:
        graph: the graph.
        edge: one of its edges.
    """
    widest = abs(graph.edges[0].score)
    return 1.0 if widest == 0 else (abs(edge.score) / widest) ** 0.5
