"""What every step of a residual stream writes to it, in a forward pass: the terms of every decomposition.

Heads are kept as factors: a head's write is z W_O, and neither its product with a direction, <z, W_O direction>, nor its squared
length, z (W_O W_O^T) z, needs the write in d_model.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Bool, Float
from torch import Tensor

from interp.errors import InputError
from interp.families.residual_stream import Step
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import output_bias, output_weights


@dataclass(frozen=True, slots=True, eq=False)
class Writes:
    """What one step writes; its components in the order of `components.components_of` are the heads, then the vectors.

    Attributes:
        z: of every head, of a step that is attention.
        W_O: of every head.
        vectors: what else is written, each for every position or the same everywhere.
        chosen: of an MLP with experts, whose the first vector is at every position; nobody's is 0.
    """

    vectors: tuple[Float[Tensor, "... d_model"], ...]
    z: Float[Tensor, "batch pos head d_head"] | None = None
    W_O: Float[Tensor, "head d_head d_model"] | None = None
    chosen: Bool[Tensor, "batch pos expert"] | None = None

    def along(self, direction: Float[Tensor, "batch pos d_model"]) -> list[Float[Tensor, "batch pos"]]:
        """The product of every write with a direction.

        Args:
            direction: for every position.
        """
        values = self.dealt([(vector * direction).sum(-1) for vector in self.vectors])
        if self.z is None or self.W_O is None:
            return values
        return [*(self.z * head_directions(self.W_O, direction)).sum(-1).unbind(-1), *values]

    def dealt(self, of_vectors: Sequence[Float[Tensor, "..."]]) -> list[Float[Tensor, "..."]]:
        """What was made of every vector, of experts once for each: at its tokens, and 0 elsewhere.

        Args:
            of_vectors: for every vector, at every position; of biases, which write the same everywhere, once.
        """
        if self.chosen is None:
            return list(of_vectors)
        first, *others = of_vectors
        by_expert = (own.view(*own.shape, *[1] * (first.ndim - 2)) for own in self.chosen.unbind(-1))
        return [*(first * own for own in by_expert), *others]


def head_directions(
    W_O: Float[Tensor, "head d_head d_model"], direction: Float[Tensor, "batch pos d_model"]
) -> Float[Tensor, "batch pos head d_head"]:
    """W_O direction: the direction in every head's z (or value) space that a direction in the stream reads.

    Args:
        W_O: of one attention layer.
        direction: for every position.
    """
    directions: Tensor = einsum(
        W_O.to(direction.dtype), direction, "head d_head d_model, batch pos d_model -> batch pos head d_head"
    )
    return directions


def writes(model: HookedEncoderDecoder, cache: ActivationCache, step: Step) -> Writes:
    """What a step of a residual stream writes; nothing for norms and the unembedding where they have no bias.

    Args:
        model: the model the cache came from.
        cache: with z of attention, `hook_mlp_out` of an MLP (`hook_expert_indices` of one with experts), the embedding or
            positions themselves.
        step: one of `interp.families.residual_stream.steps`.

    Raises:
        InputError: if a write overflowed in float16.
    """
    if step.attention is not None and step.layer is not None:
        bias = (output_bias(model, f"{step.name}.hook_result"),) if step.bias else ()
        return Writes(bias, cache[f"{step.name}.hook_z"], output_weights(model, step.attention, step.layer))
    if step.kind == "mlp":
        written = _held(cache, f"{step.name.removesuffix('.mlp')}.hook_mlp_out")
        if step.experts:
            index = cache[f"{step.name}.hook_expert_indices"]
            return Writes((written,), chosen=index == torch.arange(step.experts, device=index.device))
        if not step.bias:
            return Writes((written,))
        bias_vector = output_bias(model, f"{step.name}.hook_post")
        return Writes((written - bias_vector, bias_vector))
    if step.kind == "norm":
        return Writes((output_bias(model, step.name),) if step.bias else ())
    return Writes(() if step.kind == "unembedding" else (_held(cache, step.name),))


def _held(cache: ActivationCache, name: str) -> Tensor:
    """A write, if float16 could hold it: hosts clamp the stream behind one that overflowed, and then nothing adds up."""
    written: Tensor = cache[name]
    if written.dtype == torch.float16 and not bool(torch.isfinite(written).all()):
        raise InputError(
            f"{name} overflows in float16, and the model clamps its stream there, so that contributions do not add up; load "
            "the weights as bfloat16 or float32 (--dtype)."
        )
    return written
