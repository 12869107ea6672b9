"""How is a layered graph drawn on paper? Curves under boxes; their hue is what they are read as, broken ones work against."""

from collections.abc import Iterator
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, PathPatch
from matplotlib.path import Path

from interp.report.fonts import INK, MUTED, drawable, widest, width
from interp.report.heatmap_layout import LINE, MARGIN, NORMAL, SMALL
from interp.report.layered_graph import KINDS, GraphLayout, LayeredGraph, edge_width
from interp.report.palette import HUES

_ROW = 0.24  # height of a row in inches
_LANE_MOST = 0.62
_SMALLEST = 5.0  # points
_HALF_HEIGHT = 0.36  # of a box, in rows
_WIDEST = 4.2  # points
_SAMPLE = 0.28  # length of a line of the legend


def draw_graph(graph: LayeredGraph, inches: float) -> Figure:
    """Lay out and draw a graph.

    Args:
        graph: the graph.
        inches: the width of the figure; a graph of many layers is wider.
    """
    layout = GraphLayout.of(graph)
    names = tuple(drawable(node.short, 12) for node in graph.nodes)
    least = widest(names, _SMALLEST) + 0.06
    lane = min(max((inches - 2 * MARGIN) / layout.width, least), _LANE_MOST)
    size = (
        NORMAL
        if widest(names, NORMAL) + 0.08 <= lane
        else max(_SMALLEST, NORMAL * (lane - 0.06) / widest(names, NORMAL))
    )
    wide, lines = lane * layout.width + 2 * MARGIN, list(_wrapped(graph, inches))
    wide = max(wide, max(map(_line_width, lines), default=0.0) + 2 * MARGIN)
    below = len(lines) * 1.3 * LINE + 0.08
    tall = _ROW * layout.height + 2 * MARGIN + below
    figure = Figure(figsize=(wide, tall))
    axes = figure.add_axes((
        MARGIN / wide,
        (MARGIN + below) / tall,
        lane * layout.width / wide,
        _ROW * layout.height / tall,
    ))
    axes.set_axis_off()
    axes.set_xlim(0, layout.width)
    axes.set_ylim(layout.height, 0)
    half = ((widest(names, size) + 0.05) / 2 / lane, _HALF_HEIGHT)
    _draw_edges(axes, graph, layout, half)
    _draw_nodes(axes, graph, layout, names, size, half)
    _draw_headings(axes, graph, layout)
    for number, line in enumerate(lines):
        _draw_legend(figure, line, (wide, tall), below - (number + 0.6) * 1.3 * LINE + MARGIN / 2)
    return figure


def _draw_edges(axes: Axes, graph: LayeredGraph, layout: GraphLayout, half: tuple[float, float]) -> None:
    for edge in reversed(graph.edges):  # the strongest on top
        codes = [Path.MOVETO, Path.CURVE4, Path.CURVE4, Path.CURVE4]
        path = Path(layout.curve(graph, edge, half), codes)
        share = edge_width(graph, edge)
        style: dict[str, Any] = {"linestyle": (0, (2.2, 1.2))} if edge.score < 0 else {}
        color = HUES[KINDS[edge.kind][1]]
        axes.add_patch(
            PathPatch(
                path,
                fill=False,
                edgecolor=color,
                linewidth=0.3 + (_WIDEST - 0.3) * share,
                alpha=0.3 + 0.6 * share,
                **style,
            )
        )


def _draw_nodes(
    axes: Axes, graph: LayeredGraph, layout: GraphLayout, names: tuple[str, ...], size: float, half: tuple[float, float]
) -> None:
    """Boxes with their names; those that no edge touches are faint."""
    touched = {end for edge in graph.edges for end in (edge.start, edge.end)}
    for number, (name, (x, y)) in enumerate(zip(names, layout.nodes, strict=True)):
        ink = INK if number in touched else MUTED
        box = FancyBboxPatch(
            (x - half[0], y - half[1]),
            2 * half[0],
            2 * half[1],
            boxstyle="square,pad=0",
            facecolor="white",
            edgecolor=ink,
            linewidth=0.8 if number in touched else 0.3,
            alpha=1.0 if number in touched else 0.7,
            zorder=3,
        )
        axes.add_patch(box)
        axes.text(x, y, name, fontsize=size, color=ink, ha="center", va="center_baseline", zorder=4)


def _draw_headings(axes: Axes, graph: LayeredGraph, layout: GraphLayout) -> None:
    for band, (title, top) in enumerate(zip(graph.bands, layout.bands, strict=True)):
        axes.text(0, top + 0.35, title, fontsize=NORMAL, fontweight="bold", color=INK, va="center_baseline")
        used = {node.column for node in graph.nodes if node.band == band}
        for column in sorted(used):
            text = drawable(graph.columns[column], 12)
            axes.text(
                layout.columns[column],
                top + 1.15,
                text,
                fontsize=SMALL,
                color=MUTED,
                ha="center",
                va="center_baseline",
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.8},
                zorder=4,
            )


def _entries(graph: LayeredGraph) -> list[tuple[str, str, Any]]:
    """Every line of the legend that the graph needs: its words, its color and its dashes."""
    kinds: list[tuple[str, str, Any]] = [
        (f"into {name}", HUES[hue], "solid") for name, hue in (KINDS[kind] for kind in graph.kinds)
    ]
    against = any(edge.score < 0 for edge in graph.edges)
    return [*kinds, ("against the answer", MUTED, (0, (2.2, 1.2)))] if against else kinds


def _entry_width(words: str) -> float:
    return _SAMPLE + 0.06 + width(words, SMALL) + 0.2


def _line_width(line: list[tuple[str, str, Any]]) -> float:
    return sum(_entry_width(words) for words, _, _ in line)


def _wrapped(graph: LayeredGraph, inches: float) -> Iterator[list[tuple[str, str, Any]]]:
    line: list[tuple[str, str, Any]] = []
    for entry in _entries(graph):
        if line and _line_width([*line, entry]) > inches - 2 * MARGIN:
            yield line
            line = []
        line.append(entry)
    if line:
        yield line


def _draw_legend(figure: Figure, line: list[tuple[str, str, Any]], inches: tuple[float, float], y: float) -> None:
    x, (wide, tall) = MARGIN, inches
    for words, color, dashes in line:
        axes = figure.add_axes((x / wide, (y - LINE / 2) / tall, _SAMPLE / wide, LINE / tall))
        axes.set_axis_off()
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1)
        axes.plot([0, 1], [0.5, 0.5], color=color, linestyle=dashes, linewidth=2)
        figure.text((x + _SAMPLE + 0.06) / wide, y / tall, words, fontsize=SMALL, color=INK, va="center_baseline")
        x += _entry_width(words)
