"""The residual stream as a sum of its writers, and the logits as a sum over them (Elhage et al. 2021).

T5 has no biases, so the stream after the last decoder layer is exactly

    x_t = embedding_t + sum_l [ sum_h result_self[l, h, t] + sum_h result_cross[l, h, t] + mlp[l, t] ]

and, with r_t the inverse scale of the final norm held at its value in this forward pass,

    logit[t, w] = sum_c r_t <c_t, direction_w>,   direction_w = s * gain * W_U[w].

Heads are never written out in d_model: a head's term is <z, W_O direction_w>, so the cost is heads x d_head a token. Products
are taken in float32 at least, whatever the model's type: the gap of a bfloat16 model is then that model's own rounding.
"""

from dataclasses import dataclass

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from interp.axes import AttentionKind, Stack
from interp.errors import InputError
from interp.hooks.names import HeadId, attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_bias, attention_weights


@dataclass(frozen=True, slots=True, eq=False)
class DecoderContributions:
    """What every writer to the decoder stream adds to one number per decoder row, under the frozen final norm.

    Attributes:
        embedding: of the decoder's input embedding.
        decoder: of every self-attention head.
        cross: of every cross-attention head.
        mlp: of every feed-forward layer.
    """

    embedding: Float[Tensor, "batch target"]
    decoder: Float[Tensor, "batch target layer head"]
    cross: Float[Tensor, "batch target layer head"]
    mlp: Float[Tensor, "batch target layer"]

    def total(self) -> Float[Tensor, "batch target"]:
        """The sum over all writers, which is the attributed number itself."""
        return self.embedding + self.decoder.sum((-1, -2)) + self.cross.sum((-1, -2)) + self.mlp.sum(-1)


def contribution_hooks() -> tuple[str, ...]:
    """The hook points that `decoder_contributions` and `final_inverse_scale` read."""
    return (
        "decoder.hook_embed",
        "decoder.*.attn.hook_z",
        "decoder.*.cross_attn.hook_z",
        "decoder.*.hook_mlp_out",
        "decoder.ln_final.hook_scale",
    )


def final_inverse_scale(cache: ActivationCache, stack: Stack = "decoder") -> Float[Tensor, "batch pos"]:
    """R = (mean(x^2) + eps)^(-1/2) of a stack's final norm, for every position."""
    return cache[f"{stack}.ln_final.hook_scale"].squeeze(-1).reciprocal()


def decoder_contributions(
    model: HookedEncoderDecoder, cache: ActivationCache, directions: Float[Tensor, "batch target d_model"]
) -> DecoderContributions:
    """Split a linear read-out of the final decoder stream over its writers.

    Args:
        model: the model the cache came from.
        cache: with the activations of `contribution_hooks`.
        directions: for every decoder row the direction read, e.g. `interp.model.weights.logit_directions` of its label, or the
            difference of two tokens' directions.

    Returns:
        Contributions in units of the read-out (logits); their `total()` is the logit, up to rounding.
    """
    # The scale is float32 or wider, and so is everything projected on it.
    read = directions * final_inverse_scale(cache).unsqueeze(-1)
    layers = range(model.cfg.n_decoder_layers)
    mlp = [_project(cache[f"decoder.{layer}.hook_mlp_out"], read) for layer in layers]
    return DecoderContributions(
        embedding=_project(cache["decoder.hook_embed"], read),
        decoder=head_contributions(model, cache, "decoder", read),
        cross=head_contributions(model, cache, "cross", read),
        mlp=torch.stack(mlp, -1),
    )


def head_contributions(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    kind: AttentionKind,
    read: Float[Tensor, "batch pos d_model"],
) -> Float[Tensor, "batch pos layer head"]:
    """<result[l, h], read> of every head of one kind, without forming results.

    Args:
        model: the model the cache came from.
        cache: with z of every layer of this kind.
        kind: which attention.
        read: for every position the direction to project on.
    """
    depth = model.cfg.n_encoder_layers if kind == "encoder" else model.cfg.n_decoder_layers
    per_layer = []
    for layer in range(depth):
        W_O = attention_weights(model, kind, layer).W_O.to(read.dtype)
        direction = einsum(W_O, read, "head d_head d_model, batch pos d_model -> batch pos head d_head")
        z = cache[f"{attention_path(kind, layer)}.hook_z"]
        per_layer.append((z * direction).sum(-1))
    return torch.stack(per_layer, -2)


def _project(write: Tensor, read: Tensor) -> Float[Tensor, "batch pos"]:
    return (write * read).sum(-1)


def component_labels(n_decoder_layers: int, n_heads: int) -> tuple[str, ...]:
    """Labels of the writers to the decoder stream in reading order: embedding, then per layer DL.H., XL.H. and MLP."""
    labels = ["embedding"]
    for layer in range(n_decoder_layers):
        labels += [str(HeadId("decoder", layer, head)) for head in range(n_heads)]
        labels += [str(HeadId("cross", layer, head)) for head in range(n_heads)]
        labels.append(f"DL{layer}MLP")
    return tuple(labels)


def residual_gap(model: HookedEncoderDecoder, cache: ActivationCache, stack: Stack) -> Float[Tensor, "batch pos"]:
    """How far the writers' sum is from the stream after the last layer: ||sum - x|| / ||x|| for every position.

    Args:
        model: the model the cache came from.
        cache: with z and mlp_out of all layers, the first resid_pre and the last resid_post of the stack.
        stack: which stack.

    Raises:
        InputError: for post-norm models, whose stream is no sum.
    """
    kinds: tuple[AttentionKind, ...] = ("encoder",) if stack == "encoder" else ("decoder", "cross")
    if model.cfg.norm_place == "post":
        raise InputError(
            f"The stream of {model.cfg.model_type!r} is normed after every sublayer, so it is no sum of writers."
        )
    total = cache[f"{stack}.0.hook_resid_pre"]
    depth = model.cfg.n_layers(stack)
    for layer in range(depth):
        for kind in kinds:
            total = total + cache[f"{attention_path(kind, layer)}.hook_result"].sum(-2)
            total = total + attention_bias(model, kind, layer)
        total = total + cache[f"{stack}.{layer}.hook_mlp_out"]
    final = cache[f"{stack}.{depth - 1}.hook_resid_post"]
    gap: Tensor = (total - final).norm(dim=-1) / final.norm(dim=-1)
    return gap


def wide(tensor: Tensor) -> Tensor:
    """The tensor in float32, or as it is if it is wider: half-precision activations are decomposed in float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))
