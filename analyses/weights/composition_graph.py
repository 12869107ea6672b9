"""What stands out in composition as a graph: heads in columns of layers, an edge for every pair beyond the null."""

from itertools import groupby

from analyses.circuits.graph import BANDS, head_nodes
from interp.circuits.composition import Compositions
from interp.report import Figure, GraphEdge, GraphNode, LayeredGraph, View
from interp.report.layered_graph import KINDS
from interp.report.numbers import number
from interp.report.views import graph_view

DRAWN = 80
"""Edges of the picture on paper."""


def composition_graph(found: Compositions) -> LayeredGraph:
    """The pairs that stand out as a layered graph, the largest z first, between all heads.

    Args:
        found: composition of all pairs of heads.
    """
    out = found.standing_out()
    used = {*out["first"], *out["second"]}
    nodes: list[GraphNode] = []
    for (kind, layer), heads in groupby(found.heads, lambda head: (head.kind, head.layer)):
        nodes += head_nodes([str(head) for head in heads], kind, layer, used)
    places = {node.name: place for place, node in enumerate(nodes)}
    columns = ("first", "second", "input", "z", "composition", "random")
    edges = [
        GraphEdge(
            places[first],
            places[second],
            slot,
            z,
            f"composition {number(composition)}, of random matrices {number(random)}",
        )
        for first, second, slot, z, composition, random in zip(*(out[name].tolist() for name in columns), strict=True)
    ]
    edges.sort(key=lambda edge: -abs(edge.score))
    layers = tuple(f"layer {layer}" for layer in range(1 + max(node.column for node in nodes)))
    return LayeredGraph(BANDS, layers, tuple(nodes), tuple(edges), "standard deviations above random")


def graph_blocks(found: Compositions, name: str) -> tuple[Figure, View] | tuple[()]:
    """The graph on paper and to explore; nothing where no pair stands out.

    Args:
        found: composition of all pairs of heads.
        name: slug with which the names of the blocks begin.
    """
    graph = composition_graph(found)
    if not graph.edges:
        return ()
    drawn = min(DRAWN, len(graph.edges))
    which = f"the {drawn} strongest of {len(graph.edges)}" if drawn < len(graph.edges) else f"all {len(graph.edges)}"
    first = graph.edges[0]
    writer, reader = graph.nodes[first.start].name, graph.nodes[first.end].name
    figure = Figure(
        name=f"{name}-graph",
        caption=(
            f"The pairs of heads that stand out, {which}: from the head that writes to the head that reads, encoder above, "
            "decoder below, one column a layer; in the decoder self-attention (H) and cross-attention (X) stand side by side. "
            "The color says whether queries, keys or values read, the width how far composition is above that of random "
            "matrices of the same singular values."
        ),
        alt=(
            f"Layered graph of {len(graph.edges)} edges between {len({end for e in graph.edges for end in (e.start, e.end)})} "
            f"of {len(graph.nodes)} heads; the strongest leads from {writer} to the {KINDS[first.kind][0]} of {reader}, z "
            f"{number(first.score)}."
        ),
        chart=graph.strongest(drawn),
    )
    view = View(
        name=f"{name}-graph",
        title="Explore the graph: threshold, single heads, how strongly they compose",
        html=graph_view(f"{name}-graph-view", graph, "composes", "composes less than random"),
        fallback=f"{name}-graph",
        mouse=False,
    )
    return figure, view
