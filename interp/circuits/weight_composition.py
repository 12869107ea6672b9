"""How strongly the weights of an edge's two ends compose, whatever the input (Elhage et al. 2021).

    weight of an edge = ||A B||_F / (||A||_F ||B||_F)

with A the writer's output matrix (W_O of a head, W_out of an MLP), and B the receiver's matrix (W_Q, W_K or W_V of a head, W_in
of an MLP; the gate's where there is one) behind the gains of the norms between them. Matrices that know nothing of each other
give 1/sqrt(d_model) on average (of the square). Embeddings write no matrix's product, and the logits read by the whole
vocabulary: their edges have no such weight.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.circuits.graph import LOGITS, Edge, Graph, Port, WriterStep, graph_of
from interp.circuits.streams import Reader
from interp.model.factored_matrix import mlp_weights
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import norm_gain, output_weights


@torch.no_grad()
def edge_weights(model: HookedEncoderDecoder, edges: Sequence[Edge | str]) -> Float[Tensor, " edge"]:
    """The composition of every edge's two ends, from 0 to 1; NaN from embeddings and into the logits.

    Args:
        model: the model.
        edges: the edges.

    Raises:
        InputError: if an edge is none of the graph.
    """
    graph = graph_of(model.cfg)
    return torch.tensor([_weight(model, graph, graph.edges[graph.number(edge)]) for edge in edges])


def _weight(model: HookedEncoderDecoder, graph: Graph, edge: Edge) -> float:
    step = next(step for step in graph.steps if edge.writer in step.writers)
    if step.layer is None or edge.receiver == LOGITS:
        return float("nan")
    port = next(port for port in graph.ports if edge.receiver in port.receivers)
    written = _written(model, step, step.writers.index(edge.writer)) * _gains(model, port, step)
    receiver = port.receivers.index(edge.receiver)
    read = Reader.of(model, port).weights[0][receiver].to(written)
    whole = torch.linalg.matrix_norm(written) * torch.linalg.matrix_norm(read)
    return float(torch.linalg.matrix_norm(written @ read) / whole)


def _written(model: HookedEncoderDecoder, step: WriterStep, writer: int) -> Float[Tensor, "inner d_model"]:
    assert step.layer is not None
    if step.attention is None:
        return mlp_weights(model, step.stack, step.layer).W_out
    return output_weights(model, step.attention, step.layer)[writer]


def _gains(model: HookedEncoderDecoder, port: Port, step: WriterStep) -> Float[Tensor, " d_model"]:
    """The product of the gains of all norms between a writer and a reader."""
    behind = port.course[port.course.index(step) + 1 :]
    gains = [norm_gain(model, norm) for norm in behind if isinstance(norm, str)]
    return torch.stack(gains).prod(0)
