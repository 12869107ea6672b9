"""The matrices of heads as they meet the streams: with the norms in their way folded in, up to what scales a whole row.

A norm held at its scale multiplies by its gain, and LayerNorm takes the mean off before. So what a head writes arrives at a
reader behind the gains of the norms between them, and what a projection reads it reads through the gain of the norm in front of
it (Elhage et al. 2021 for the matrices).
"""

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.logit_readout import at_least_float32
from interp.circuits.graph import Graph, HeadInput, Port
from interp.errors import InputError
from interp.hooks.names import HeadId, attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights, norm_gain


def head_ports(graph: Graph) -> dict[tuple[str, str], Port]:
    """(path of an attention, `q`, `k` or `v`) -> where its heads read.

    Args:
        graph: the model's graph.
    """
    return {(port.name, port.slot): port for port in graph.ports if port.attention is not None}


def norms_between(port: Port, writer: str | None = None) -> tuple[str, ...]:
    """The norms that a write passes on its way to a reader, the reader's own last; without a writer, that one alone.

    Args:
        port: where it is read.
        writer: name of the step that writes.
    """
    names = [step if isinstance(step, str) else step.name for step in port.course]
    norms = tuple(step for step in port.course if isinstance(step, str))
    if writer is None:
        return norms[-1:]
    return tuple(step for step in port.course[names.index(writer) + 1 :] if isinstance(step, str))


def through(
    model: HookedEncoderDecoder, norms: Sequence[str], vectors: Float[Tensor, "*rows d_model"]
) -> Float[Tensor, "*rows d_model"]:
    """What is left of writes behind norms, but for their scales.

    Args:
        model: the model.
        norms: paths, in the order of the pass.
        vectors: writes.
    """
    vectors = at_least_float32(vectors)
    for norm in norms:
        vectors = centered(model, vectors) * at_least_float32(norm_gain(model, norm))
    return vectors


def centered(model: HookedEncoderDecoder, vectors: Float[Tensor, "*rows d_model"]) -> Float[Tensor, "*rows d_model"]:
    """What a norm sees of vectors: all of them, or in LayerNorm what is left without their means.

    Args:
        model: the model.
        vectors: writes.
    """
    return vectors if model.cfg.norm == "rms" else vectors - vectors.mean(-1, keepdim=True)


def projection(model: HookedEncoderDecoder, port: Port) -> Float[Tensor, "head d_model d_head"]:
    """W_Q, W_K or W_V of the heads of a port, the gain of the norm in front folded in: they read what is normed, before its gain.

    Args:
        model: the model.
        port: where they read.
    """
    assert port.attention is not None
    assert port.layer is not None
    weights = attention_weights(model, port.attention, port.layer)
    return folded(model, port, getattr(weights, f"W_{port.slot.upper()}"))


def folded(
    model: HookedEncoderDecoder, port: Port, matrix: Float[Tensor, "*heads d_model columns"]
) -> Float[Tensor, "*heads d_model columns"]:
    """A matrix that reads at a port, with the gain of the norm in front folded in.

    Args:
        model: the model.
        port: where it reads.
        matrix: as it meets what the norm hands on.
    """
    matrix = at_least_float32(matrix)
    for norm in norms_between(port):
        matrix = centered(model, (at_least_float32(norm_gain(model, norm))[:, None] * matrix).mT).mT
    return matrix


def port_of(model: HookedEncoderDecoder, graph: Graph, head: HeadId, slot: HeadInput) -> Port:
    """Where one head reads.

    Args:
        model: the model.
        graph: its graph.
        head: the head.
        slot: its queries, keys or values.

    Raises:
        InputError: if the model has no such head.
    """
    port = head_ports(graph).get((attention_path(head.kind, head.layer), slot))
    if port is None or not 0 <= head.head < model.cfg.heads_of(head.kind):
        raise InputError(
            f"There is no head {head} in this model; `interp model` says how many layers and heads it has."
        )
    return port


def random_square(
    first: Float[Tensor, "*first rank d_model"], second: Float[Tensor, "*second d_model columns"], d_free: int
) -> tuple[float, Float[Tensor, "*pairs"]]:
    """Mean and deviation of squared composition ||A B||^2 / (||A||^2 ||B||^2) if A's outputs were turned at random before B.

    Whatever the spectra the mean is 1 / d; the variance depends on how many directions each matrix really has, its participation
    ratio p = (tr A'A)^2 / tr (A'A)^2 [ours, from moments of uniformly distributed rotations]:

        2 / ((d - 1) (d + 2)) (1 / p_A - 1 / d) (1 / p_B - 1 / d)

    Args:
        first: A, matrices with outputs in the stream; leading axes broadcast against those of B.
        second: B, matrices that read the stream.
        d_free: d, the dimensions in which A's outputs may lie: d_model, one less behind LayerNorm.
    """

    def inverse_participation(gram: Tensor) -> Tensor:
        return gram.square().sum((-1, -2)) / gram.diagonal(dim1=-2, dim2=-1).sum(-1).square()

    spread = [inverse_participation(first @ first.mT), inverse_participation(second.mT @ second)]
    left, right = ((one - 1 / d_free).clamp_min(0) for one in spread)
    variance = 2 / ((d_free - 1) * (d_free + 2)) * left * right
    return 1 / d_free, torch.sqrt(variance)
