"""The circuit as a layered graph: encoder above, decoder below, one column a layer."""

from collections.abc import Collection, Iterator, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from analyses.circuits.summary import AnswerCircuit
from interp.axes import AttentionKind
from interp.circuits import Circuit, Edge
from interp.circuits.graph import LOGITS, Graph
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
    exact = {} if result.check is None else dict(zip(result.check.numbers, result.check.exact.tolist(), strict=True))
    order = {number: place for place, number in enumerate(result.numbers)}
    # `numbers` are the strongest first; the graph's order is that of the circuit's edges.
    places = [order[number] for number in sorted(result.numbers)]
    notes = [_note(result, place, exact.get(result.numbers[place])) for place in places]
    return picture(result.circuit, result.sign * result.effects.point[places], result.cfg, notes, result.unit)


def picture(
    circuit: Circuit,
    worth: Float[np.ndarray, " edge"] | Float[Tensor, " edge"],
    cfg: ModelConfig,
    notes: Sequence[str] = (),
    unit: str = "logits",
) -> LayeredGraph:
    """Any circuit as a layered graph.

    Args:
        circuit: the circuit.
        worth: of its edges in the order of the graph, above 0 for what the answer needs.
        cfg: the model's facts.
        notes: what else is known of them.
        unit: of the worth.
    """
    nodes = tuple(_nodes(circuit.graph, cfg, set(circuit.nodes)))
    places = {node.name: place for place, node in enumerate(nodes)}
    texts = notes or [""] * len(circuit)
    edges = [
        GraphEdge(places[edge.writer], places[edge.node], kind_of(edge), float(value), note)
        for edge, value, note in zip(circuit.edges, worth, texts, strict=True)
    ]
    edges.sort(key=lambda edge: -abs(edge.score))
    layers = max(cfg.n_encoder_layers, cfg.n_decoder_layers)
    columns = ("in", *(f"layer {layer}" for layer in range(layers)), "out")
    return LayeredGraph(BANDS, columns, nodes, tuple(edges), unit)


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
    tall = max(len(_shown(step.writers, used)) for step in graph.steps)
    last = max(cfg.n_encoder_layers, cfg.n_decoder_layers) + 1
    middle = (tall - 1) / 2
    for step in graph.steps:
        band = BANDS.index(step.stack.capitalize())
        if step.layer is None:
            yield GraphNode(step.writers[0], "src" if band == 0 else "tgt", band, 0, 0, middle)
        elif step.attention is None:
            yield GraphNode(step.writers[0], "MLP", band, step.layer + 1, _MLP_LANE, middle)
        else:
            yield from head_nodes(step.writers, step.attention, step.layer + 1, used)
    yield GraphNode(LOGITS, "logits", 1, last, 0, middle)


def head_nodes(heads: Sequence[str], kind: AttentionKind, column: int, used: Collection[str]) -> Iterator[GraphNode]:
    """The heads of one attention in their lane; of very many only those that edges touch.

    Args:
        heads: their names, all of the attention.
        kind: of the attention.
        column: where they stand.
        used: names of the nodes that edges touch.
    """
    band = BANDS.index("Encoder" if kind == "encoder" else "Decoder")
    for row, head in enumerate(_shown(heads, used)):
        yield GraphNode(heads[head], f"{_LETTERS[kind]}{head}", band, column, _LANES[kind], float(row))


def _shown(names: Sequence[str], used: Collection[str]) -> list[int]:
    every = range(len(names))
    return list(every) if len(every) <= _MOST_HEADS else [place for place in every if names[place] in used]
