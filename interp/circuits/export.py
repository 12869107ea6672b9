"""Circuits as files: JSON of edges with their scores, and GraphML for graph programs."""

import json
from typing import Any

import networkx

from interp.circuits.circuit import Circuit
from interp.circuits.edge_attribution import EdgeScores
from interp.circuits.graph import LOGITS, Edge
from interp.errors import InputError
from interp.input_files import without_repeats


def circuit_json(circuit: Circuit, scores: EdgeScores, facts: dict[str, Any] | None = None) -> str:
    """The edges of a circuit with their scores, the strongest first, as JSON.

    Args:
        circuit: the circuit.
        scores: of all edges.
        facts: what else is to be said, such as how faithful it is.
    """
    mean = scores.mean.tolist()
    edges = sorted(circuit.edges, key=lambda edge: (-abs(mean[circuit.graph.number(edge)]), edge))
    found = {
        "method": scores.method,
        "metric": scores.metric,
        "graph": {"writers": len(circuit.graph.writers), "edges": len(circuit.graph)},
        **(facts or {}),
        "nodes": list(circuit.nodes),
        "edges": [
            {"writer": edge.writer, "receiver": edge.receiver, "score": round(mean[circuit.graph.number(edge)], 6)}
            for edge in edges
        ],
    }
    return json.dumps(found, indent=1, ensure_ascii=False) + "\n"


def parse_circuit(text: str, circuit: Circuit) -> Circuit:
    """The circuit that a JSON file names, in the graph of another.

    Args:
        text: what `circuit_json` wrote, or `interp compiled make`.
        circuit: any circuit of the graph.

    Raises:
        InputError: if it is no such file, or names an edge that the graph has not.
    """
    try:
        edges = json.loads(text, object_pairs_hook=without_repeats)["edges"]
        named = [edge if isinstance(edge, str) else Edge(edge["writer"], edge["receiver"]) for edge in edges]
    except (ValueError, RecursionError, KeyError, TypeError) as error:
        raise InputError("This is no circuit; give the JSON file that `interp circuit --out` wrote.") from error
    return Circuit.of(circuit.graph, named)


def circuit_graphml(circuit: Circuit, scores: EdgeScores) -> str:
    """A circuit as GraphML: heads, MLPs, embeddings and logits, with one edge for every input (`input`) that one reads.

    Args:
        circuit: the circuit.
        scores: of all edges.
    """
    mean, graph = scores.mean.tolist(), networkx.MultiDiGraph()
    where = {label: step for step in circuit.graph.steps for label in step.writers}
    for node in circuit.nodes:
        step = where.get(node)
        layer = -1 if step is None or step.layer is None else step.layer
        stack = "decoder" if node == LOGITS or step is None else step.stack
        graph.add_node(node, stack=stack, layer=layer)
    for edge in circuit.edges:
        slot = edge.receiver.partition(".")[2] or "input"
        graph.add_edge(edge.writer, edge.node, key=slot, input=slot, score=float(mean[circuit.graph.number(edge)]))
    return "\n".join(networkx.generate_graphml(graph, prettyprint=True)) + "\n"
