"""The circuit as a layered graph: encoder above, decoder below, one column a layer."""

from collections.abc import Iterator

import numpy as np

from analyses.circuits.summary import AnswerCircuit
from interp.axes import AttentionKind
from interp.circuits import Edge
from interp.circuits.graph import LOGITS, SOURCE_EMBEDDING, TARGET_EMBEDDING, Graph, WriterStep
from interp.families.config import ModelConfig
from interp.report import EdgeKind, GraphEdge, GraphNode, LayeredGraph
from interp.report.numbers import between, number

BANDS = ("Encoder", "Decoder")

_MOST_HEADS = 16
"""Heads of an attention that all have a place; of more, those of the circuit do."""

_LANES: dict[AttentionKind, int] = {"encoder": 0, "decoder": 0, "cross": 1}
_LETTERS: dict[AttentionKind, str] = {"encoder": "H", "decoder": "H", "cross": "X"}
_MLP_LANE = 2


def layered(result: AnswerCircuit) -> LayeredGraph:
    """The circuit's edges, the strongest first, between all nodes of the model.

    Args:
        result: the circuit.
    """
    graph, cfg = result.circuit.graph, result.cfg
    nodes = tuple(_nodes(graph, cfg, set(result.circuit.nodes)))
    places = {node.name: place for place, node in enumerate(nodes)}
    layers = max(cfg.n_encoder_layers, cfg.n_decoder_layers)
    exact = {} if result.check is None else dict(zip(result.check.numbers, result.check.exact.tolist(), strict=True))
    edges = [
        GraphEdge(
            start=places[edge.writer],
            end=places[edge.node],
            kind=kind_of(edge),
            score=result.sign * float(result.effects.point[place]),
            note=_note(result, place, exact.get(result.numbers[place])),
        )
        for place, edge in enumerate(result.edges)
    ]
    edges.sort(key=lambda edge: -abs(edge.score))
    columns = ("in", *(f"layer {layer}" for layer in range(layers)), "out")
    return LayeredGraph(BANDS, columns, nodes, tuple(edges), result.unit)


def kind_of(edge: Edge) -> EdgeKind:
    """As what an edge is read.

    Args:
        edge: the edge.
    """
    slot = edge.receiver.partition(".")[2]
    return slot if slot in ("q", "k", "v") else "input"  # type: ignore[return-value]


def _note(result: AnswerCircuit, place: int, exact: float | None) -> str:
    """What pointing at an edge tells besides its score."""
    effect = result.effects[place]
    parts = [f"corrupting it changes the metric by {number(float(effect.point))}"]
    if np.isfinite(effect.low):
        parts[0] += f", {between(effect.low, effect.high, write=number)} over pairs"
    if np.isfinite(effect.control_low):
        parts.append(f"untrained twin {number(float(effect.control_mean))}")
    if exact is not None:
        parts.append(f"patched exactly {number(exact)}")
    weight = float(result.weights[place])
    if np.isfinite(weight):
        parts.append(f"weights compose {number(weight)}, by chance {number(result.cfg.d_model**-0.5)}")
    return "; ".join(parts)


def _nodes(graph: Graph, cfg: ModelConfig, used: set[str]) -> Iterator[GraphNode]:
    tall = max(_rows(step, used) for step in graph.steps)
    last = max(cfg.n_encoder_layers, cfg.n_decoder_layers) + 1
    middle = (tall - 1) / 2
    for step in graph.steps:
        band = BANDS.index(step.stack.capitalize())
        if step.layer is None:
            yield GraphNode(step.writers[0], "src" if band == 0 else "tgt", band, 0, 0, middle)
        elif step.attention is None:
            yield GraphNode(step.writers[0], "MLP", band, step.layer + 1, _MLP_LANE, middle)
        else:
            yield from _heads(step, step.attention, band, step.layer + 1, used)
    yield GraphNode(LOGITS, "logits", 1, last, 0, middle)


def _heads(step: WriterStep, kind: AttentionKind, band: int, column: int, used: set[str]) -> Iterator[GraphNode]:
    shown = _shown(step, used)
    for row, head in enumerate(shown):
        yield GraphNode(step.writers[head], f"{_LETTERS[kind]}{head}", band, column, _LANES[kind], float(row))


def _shown(step: WriterStep, used: set[str]) -> list[int]:
    every = range(len(step.writers))
    return list(every) if len(every) <= _MOST_HEADS else [head for head in every if step.writers[head] in used]


def _rows(step: WriterStep, used: set[str]) -> int:
    return len(_shown(step, used))


EMBEDDINGS = (SOURCE_EMBEDDING, TARGET_EMBEDDING)
