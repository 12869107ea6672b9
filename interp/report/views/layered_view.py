"""A layered graph to explore: a slider for how strong edges must be, one choice, and what a node or an edge is, by mouse or keys.

Plain SVG with one small script and no library. Without scripts it shows the edges that it begins with. Numbers and places reach
the script as attributes; words stand in the markup as text, and the script only moves them.
"""

from collections.abc import Iterator

from markupsafe import Markup

from interp.report.escaping import fill
from interp.report.layered_graph import KINDS, GraphLayout, LayeredGraph, edge_width
from interp.report.numbers import decimals_for, print_number
from interp.report.palette import HUES

SHOWN_FIRST = 60
"""Edges that are shown to begin with."""

MOST = 600
"""Edges that a view holds, the strongest ones."""

_LANE, _ROW = 46.0, 26.0
_HALF = (18.0, 9.5)
_WIDEST = 7.0


def graph_view(
    root: str, graph: LayeredGraph, working: str = "carries the answer", against: str = "works against it"
) -> Markup:
    """A fragment for `interp.report.View`.

    Args:
        root: identifier of the fragment, its own on every page.
        graph: the graph.
        working: what an edge does whose score is above 0.
        against: what one does whose score is below 0.
    """
    shown = graph.strongest(MOST)
    layout = GraphLayout.of(shown)
    decimals = decimals_for([abs(edge.score) for edge in shown.edges])
    return fill(
        "graph_view.html.jinja",
        root=root,
        width=round(_LANE * layout.width),
        height=round(_ROW * layout.height),
        bands=[(name, round(_ROW * (top + 0.35), 1)) for name, top in zip(shown.bands, layout.bands, strict=True)],
        headings=_headings(shown, layout),
        nodes=[
            (node, round(_LANE * x, 1), round(_ROW * y, 1))
            for node, (x, y) in zip(shown.nodes, layout.nodes, strict=True)
        ],
        half=_HALF,
        edges=list(_edges(shown, layout, decimals)),
        kinds=[(kind, name, HUES[hue]) for kind, (name, hue) in ((kind, KINDS[kind]) for kind in shown.kinds)],
        first=min(SHOWN_FIRST, len(shown.edges)),
        total=len(graph.edges),
        unit=shown.unit,
        working=working,
        against=against,
        any_against=any(edge.score < 0 for edge in shown.edges),
    )


def _headings(graph: LayeredGraph, layout: GraphLayout) -> list[tuple[str, float, float]]:
    """Name and place of every column, once in each band that uses it."""
    used = sorted({(node.band, node.column) for node in graph.nodes})
    return [
        (graph.columns[column], round(_LANE * layout.columns[column], 1), round(_ROW * (layout.bands[band] + 1.15), 1))
        for band, column in used
    ]


def _edges(graph: LayeredGraph, layout: GraphLayout, decimals: int) -> Iterator[dict[str, object]]:
    half = _HALF[0] / _LANE, _HALF[1] / _ROW
    for edge in graph.edges:
        (x, y), *rest = layout.curve(graph, edge, half)
        points = " ".join(f"{_LANE * to_x:.1f},{_ROW * to_y:.1f}" for to_x, to_y in rest)
        share = edge_width(graph, edge)
        receiver = graph.nodes[edge.end].name
        name = f"{graph.nodes[edge.start].name} → {receiver}{'' if edge.kind == 'input' else f'.{edge.kind}'}"
        yield {
            "start": edge.start,
            "end": edge.end,
            "kind": edge.kind,
            "name": name,
            "color": HUES[KINDS[edge.kind][1]],
            "against": edge.score < 0,
            "score": print_number(abs(edge.score), decimals),
            "note": edge.note,
            "d": f"M{_LANE * x:.1f},{_ROW * y:.1f}C{points}",
            "width": round(0.6 + (_WIDEST - 0.6) * share, 2),
            "opacity": round(0.3 + 0.6 * share, 2),
        }
