"""Figures: the circuit in layers, what is kept over size, and scores beside exact patching."""

import numpy as np

from analyses.circuits.graph import layered
from analyses.circuits.summary import AnswerCircuit, ExactCheck
from interp.circuits import Curve
from interp.report import Figure, LinePlot, PointGroup, ScatterPlot, Series, View
from interp.report.numbers import fixed, number
from interp.report.views import graph_view

GRAPH = "circuit-graph"

DRAWN = 60
"""Edges of the picture on paper."""


def graph_figure(result: AnswerCircuit) -> Figure:
    """The strongest edges in layers."""
    graph, first = layered(result), result.edges[0]
    drawn = min(DRAWN, len(graph.edges))
    which = f"the {drawn} strongest of its {len(graph.edges)} edges" if drawn < len(graph.edges) else "all its edges"
    effect = number(float(result.effects.point[0]))
    return Figure(
        name=GRAPH,
        caption=(
            f"The circuit, {which}: from whoever writes to whoever reads, encoder above, decoder below, one column a layer. In a "
            "layer of the encoder heads (H) and the MLP stand side by side, in one of the decoder self-attention (H), "
            "cross-attention (X) and the MLP; src and tgt are the embeddings. Edges out of the encoder end in keys and values of "
            "cross-attention. The wider, the larger the effect; the color says as what it is read."
        ),
        alt=(
            f"Layered graph of {len(graph.edges)} edges between {len(result.circuit.nodes)} nodes; the strongest is {first}, "
            f"whose corruption changes the metric by {effect} {result.unit}."
        ),
        chart=graph.strongest(drawn),
    )


def graph_explorer(result: AnswerCircuit) -> View:
    """The same to explore."""
    return View(
        name=GRAPH,
        title="Explore the circuit: threshold, single nodes, scores",
        html=graph_view("circuit-graph-view", layered(result)),
        fallback=GRAPH,
        mouse=False,
    )


def curve_figure(result: AnswerCircuit) -> Figure:
    """Faithfulness over size, beside the twin's."""
    signed, absolute = result.curves["signed"], result.curves["absolute"]
    lines = [_line("edges that harm last", signed), _line("edges by size", absolute)]
    if result.twin is not None:
        lines.append(_line("untrained twin", result.twin.curves["signed"], control=True))
    half = next((share for share, value in zip(signed.shares, signed.values, strict=True) if value >= 0.5), 1.0)
    return Figure(
        name="circuit-sizes",
        caption=(
            f"Share of the metric that the best edges keep on {result.judge_name}, the more of them the better. The twin's is "
            "the share of its own, with edges found on it."
        ),
        alt=f"Lines of faithfulness over the share of edges; half of the metric is kept from {100 * half:g} % of the edges on.",
        chart=LinePlot(
            tuple(lines),
            "share of all edges",
            "share of the metric kept",
            tuple(f"{100 * share:g} %" for share in signed.shares),
        ),
    )


def _line(label: str, curve: Curve, control: bool = False) -> Series:
    places = np.arange(len(curve.values), dtype=float)
    return Series(label, places, np.array(curve.values), style="control" if control else "model")


def check_figure(result: AnswerCircuit, check: ExactCheck) -> Figure:
    """Scores beside the exact effects of the same edges."""
    edges = [str(result.circuit.graph.edges[number]) for number in check.numbers]
    strongest = np.argsort(-np.abs(check.exact), kind="stable")[:4]
    names = tuple(edge if place in strongest else "" for place, edge in enumerate(edges))
    return Figure(
        name="circuit-check",
        caption=(
            f"Scores of {len(edges)} edges, as many of every kind of receiver, beside what patching each of them does, means "
            "over pairs; on the diagonal both agree."
        ),
        alt=f"Points of scores over exact effects: rank correlation {fixed(check.rank[0])}, relative error {fixed(check.error)}.",
        chart=ScatterPlot(
            (PointGroup("edges", check.exact, check.scores, names),),
            f"patched exactly ({result.unit})",
            f"{result.settings.method} ({result.unit})",
            diagonal=True,
        ),
    )
