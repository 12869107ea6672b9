"""What receivers read when some writes come from another run: streams put together from writes, forwards and backwards.

    forwards     x_v = the course of additions and norms before v, with the corrupted write in place of the live one for every
                 edge that is cut; all norms on the way and the reader's own are taken anew
    backwards    the gradient at what v reads, through the same norms, to every writer's place:
                 (z_u corrupted - z_u clean) . dm / dx_v, summed over positions

In pre-norm families (T5) only the reader's own norm is in the way, in post-norm families (BART, Marian) one behind every sublayer
before; both are handled by one walk along the course (`Port.course`). Receivers of a port stand side by side on the first axis,
so no tensor has edges times d_model numbers: a walk holds one port's receivers and one step's writers at a time.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor
from torch.nn.functional import linear

from interp.circuits.graph import Graph, Port, WriterStep
from interp.model.factored_matrix import mlp_weights
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights, norm_gain, output_bias, output_weights, projection_bias

Streams = Mapping[str, Tensor]
"""Name of a writer step -> all that it added to its stream, [batch pos d_model], biases included."""

Changes = Mapping[str, Tensor]
"""Name of a writer step -> corrupted less clean: of an attention z, [batch pos head d_head], else [batch pos d_model]."""


def added_point(step: WriterStep) -> str:
    """The hook point of all that a step adds to its stream.

    Args:
        step: the step.
    """
    if step.layer is None:
        return f"{step.stack}.0.hook_resid_pre"
    leaf = {"cross": "cross_attn_out", None: "mlp_out"}.get(step.attention, "attn_out")
    return f"{step.stack}.{step.layer}.hook_{leaf}"


def write_point(step: WriterStep) -> str:
    """The hook point at which a step's writers differ between runs: z of an attention, else what is added.

    Args:
        step: the step.
    """
    return f"{step.name}.hook_z" if step.attention is not None else added_point(step)


def points_of(graph: Graph) -> tuple[str, ...]:
    """The hook points that runs must keep for exact patching: what steps add, and z.

    Args:
        graph: the model's graph.
    """
    return tuple(dict.fromkeys(point for step in graph.steps for point in (added_point(step), write_point(step))))


@dataclass(frozen=True, eq=False)
class Reader:
    """How a port's receivers turn what they read into what their hook points show.

    Attributes:
        points: the hook points.
        weights: of each, [receiver d_model out].
        offsets: the bias of each, [receiver out].
    """

    points: tuple[str, ...]
    weights: tuple[Float[Tensor, "receiver d_model out"], ...]
    offsets: tuple[Float[Tensor, "receiver out"], ...]

    @classmethod
    def of(cls, model: HookedEncoderDecoder, port: Port) -> "Reader":
        """The matrices of a port.

        Args:
            model: the model.
            port: a port other than the logits.
        """
        if port.attention is None or port.layer is None:
            assert port.layer is not None
            own = mlp_weights(model, port.reads, port.layer)
            matrices = (
                {"hook_pre": own.W_in} if own.W_gate is None else {"hook_pre": own.W_gate, "hook_pre_linear": own.W_in}
            )
            points = tuple(f"{port.name}.{leaf}" for leaf in matrices)
            biases = (output_bias(model, point).unsqueeze(0) for point in points)
            return cls(points, tuple(matrix.unsqueeze(0) for matrix in matrices.values()), tuple(biases))
        assert port.slot in ("q", "k", "v")
        weights = attention_weights(model, port.attention, port.layer)
        matrix = {"q": weights.W_Q, "k": weights.W_K, "v": weights.W_V}[port.slot]
        bias = projection_bias(model, port.attention, port.layer, port.slot)
        if port.slot == "q" and (factor := model.cfg.query_factor(port.attention)) != 1:
            matrix, bias = factor * matrix, factor * bias
        return cls((f"{port.name}.hook_{port.slot}",), (matrix,), (bias,))

    def shown(
        self, read: Float[Tensor, "copy batch pos d_model"], receivers: Sequence[int]
    ) -> list[Float[Tensor, "copy batch pos out"]]:
        """What the hook points show of one receiver in every copy.

        Args:
            read: what it reads there.
            receivers: the receiver of every copy, by number in the port.
        """
        chosen = list(receivers)
        return [
            torch.einsum("cbpd,cdk->cbpk", read, weight[chosen]) + bias[chosen, None, None]
            for weight, bias in zip(self.weights, self.offsets, strict=True)
        ]


def gradient_read(
    gradient: Float[Tensor, "batch pos ..."], weight: Float[Tensor, "receiver d_model out"]
) -> Float[Tensor, "batch receiver pos d_model"]:
    """The gradient at what receivers read, from that at a hook point of theirs.

    Args:
        gradient: at the hook point: of heads [batch pos head d_head], of an MLP [batch pos d_mlp].
        weight: the receivers' matrix there.
    """
    if gradient.ndim == 3:
        return linear(gradient, weight[0]).unsqueeze(1)
    return torch.einsum("bphk,hdk->bhpd", gradient, weight)


def normed(
    model: HookedEncoderDecoder, norm: str, stream: Float[Tensor, "... d_model"]
) -> Float[Tensor, "... d_model"]:
    """What a norm makes of a stream.

    Args:
        model: the model.
        norm: path of the norm.
        stream: any stream.
    """
    normalized, _ = _normalized(model, stream)
    return normalized * norm_gain(model, norm) + output_bias(model, norm)


def _normalized(model: HookedEncoderDecoder, stream: Tensor) -> tuple[Tensor, Tensor]:
    """A stream behind a norm without its gain, and the inverse scale."""
    if model.cfg.norm == "layer":
        stream = stream - stream.mean(-1, keepdim=True)
    inverse = (stream.square().mean(-1, keepdim=True) + model.cfg.eps).rsqrt()
    return stream * inverse, inverse


def stream_read(
    model: HookedEncoderDecoder,
    port: Port,
    added: Streams,
    changes: Changes,
    cut: Bool[Tensor, "copy writer"],
) -> Float[Tensor, "copies batch pos d_model"]:
    """What a port reads if, copy by copy, some writers' changes reach it: behind the norms in the way, all taken anew.

    Args:
        model: the model.
        port: the port.
        added: what steps added in the live run.
        changes: corrupted less live.
        cut: in every copy, the writers (of all of the graph) whose changes come in.

    Returns:
        One stream for every copy, or one for all if nothing comes in.
    """
    stream: Tensor | None = None
    for step in port.course:
        if isinstance(step, str):
            assert stream is not None
            stream = normed(model, step, stream)
            continue
        own = added[step.name].unsqueeze(0)
        coming = cut[:, step.span]
        if coming.any():
            own = own + _brought(model, step, changes[step.name], coming)
        stream = own if stream is None else stream + own
    assert stream is not None
    return stream


def _brought(model: HookedEncoderDecoder, step: WriterStep, change: Tensor, coming: Tensor) -> Tensor:
    """The changes of a step's writers that come in, summed, for every copy."""
    chosen = coming.to(change.dtype)
    if step.attention is None or step.layer is None:
        return chosen[:, 0, None, None, None] * change
    W_O = output_weights(model, step.attention, step.layer)
    if len(chosen) == 1:
        return torch.einsum("h,bphk,hkd->bpd", chosen[0], change, W_O).unsqueeze(0)
    return torch.einsum("ch,bphd->cbpd", chosen, torch.einsum("bphk,hkd->bphd", change, W_O))


def gradients_at_writers(
    model: HookedEncoderDecoder, port: Port, added: Streams, gradient: Float[Tensor, "batch receiver pos d_model"]
) -> Iterator[tuple[WriterStep, Float[Tensor, "batch receiver pos d_model"]]]:
    """The gradient at what a port reads, carried back to the place of every writer step, the last first.

    Args:
        model: the model.
        port: the port.
        added: what steps added in the run at which the gradient was taken.
        gradient: at what every receiver reads; it is overwritten.
    """
    before: dict[str, Tensor] = {}
    stream: Tensor | None = None
    for step in port.course:
        if isinstance(step, str):
            assert stream is not None
            before[step] = stream
            stream = normed(model, step, stream)
        else:
            stream = added[step.name] if stream is None else stream + added[step.name]
    for step in reversed(port.course):
        if isinstance(step, str):
            _take_through_norm(model, step, before[step], gradient)
        else:
            yield step, gradient


def _take_through_norm(model: HookedEncoderDecoder, norm: str, stream: Tensor, gradient: Tensor) -> None:
    """Make a gradient behind a norm, in place, that in front of it; the norm's scale answers."""
    normalized, inverse = (value.unsqueeze(1) for value in _normalized(model, stream))
    gradient *= norm_gain(model, norm)
    if model.cfg.norm == "layer":
        gradient -= gradient.mean(-1, keepdim=True)
    along = torch.einsum("brpd,bpd->brp", gradient, normalized.squeeze(1)).unsqueeze(-1) / stream.shape[-1]
    gradient.addcmul_(normalized, along, value=-1)
    gradient *= inverse


def products(
    model: HookedEncoderDecoder,
    step: WriterStep,
    change: Float[Tensor, "batch pos ..."],
    gradient: Float[Tensor, "batch receiver pos d_model"],
) -> Float[Tensor, "batch receiver writer"]:
    """Change of every writer of a step times the gradient at its place, summed over positions.

    Args:
        model: the model.
        step: the step.
        change: of its writers.
        gradient: of every receiver.
    """
    if step.attention is None or step.layer is None:
        return torch.matmul(gradient.flatten(2), change.flatten(1).unsqueeze(-1))
    W_O = output_weights(model, step.attention, step.layer)
    written = torch.einsum("bphk,hkd->bhpd", change, W_O).flatten(2)
    return torch.matmul(gradient.flatten(2), written.mT)
