"""Below the first level: a head over what it reads, the encoder memory over its writers, an MLP over its neurons.

`residual_stream.decoder_contributions` splits a read-out of the final decoder stream over the decoder's writers. Each of the
following splits one of its terms further, and is exact while attention patterns and norm scales are held at their values in
this forward pass (patterns and scales have their own causes, which these splits do not see):

    head              a[l, h, t]        = sum_s a[l, h, t, s],    a[l, h, t, s] = pattern[l, h, t, s] <v[l, h, s], W_O read_t>
    source token      a[l, h, t, s]     = sum_m a[l, h, t, s, m]  over the encoder's embedding, heads and MLPs, because
                      memory_s = gain * r_s * (embedding_s + sum_l [ sum_h result[l, h, s] + mlp[l, s] ])
    MLP               a[l, t]           = sum_n post[l, t, n] <W_out[l, n], read_t>

`read_t` is a read-out's direction under the frozen final norm (`interp.attribution.logit_readout.Readout.frozen`).
"""

from collections.abc import Sequence
from typing import Literal

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.residual_stream import DecoderContributions, final_inverse_scale, wide
from interp.errors import InputError
from interp.hooks.names import HeadId, attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights, final_gain
from interp.text.words import CATEGORIES

DecoderKind = Literal["decoder", "cross"]


def source_hooks() -> tuple[str, ...]:
    """The hook points that `source_contributions` reads for cross-attention."""
    return ("decoder.*.cross_attn.hook_pattern", "decoder.*.cross_attn.hook_v")


def encoder_hooks() -> tuple[str, ...]:
    """The hook points that `memory_components` and `memory_reads` read."""
    return (
        "encoder.hook_embed",
        "encoder.*.attn.hook_z",
        "encoder.*.hook_mlp_out",
        "encoder.ln_final.hook_scale",
        "decoder.*.cross_attn.hook_pattern",
    )


def source_contributions(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    kind: DecoderKind,
    layer: int,
    read: Float[Tensor, "batch target d_model"],
) -> Float[Tensor, "batch head target key"]:
    """Split the heads of one layer over the positions they read.

    Args:
        model: the model the cache came from.
        cache: with pattern and v of this layer.
        kind: `cross` splits over source tokens, `decoder` over the target prefix.
        layer: decoder layer.
        read: for every decoder row the direction to project on.

    Returns:
        Contributions whose sum over keys is the head's contribution; exactly 0 at padded and at future keys.
    """
    path = attention_path(kind, layer)
    directions = head_directions(model, kind, layer, read)
    values = cache[f"{path}.hook_v"].to(read.dtype).permute(0, 2, 3, 1)
    return torch.matmul(directions.transpose(1, 2), values) * cache[f"{path}.hook_pattern"]


def head_directions(
    model: HookedEncoderDecoder, kind: DecoderKind, layer: int, read: Float[Tensor, "batch target d_model"]
) -> Float[Tensor, "batch target head d_head"]:
    """W_O read: the direction in every head's z (or value) space that a read-out sees."""
    W_O = attention_weights(model, kind, layer).W_O.to(read.dtype)
    directions: Tensor = einsum(read, W_O, "batch target d_model, head d_head d_model -> batch target head d_head")
    return directions


def by_category(
    contributions: Float[Tensor, "batch *leading source"], categories: Int[Tensor, "batch source"]
) -> Float[Tensor, "batch *leading category"]:
    """Sums over the source tokens of each category of `interp.text.words.CATEGORIES`, padding included.

    Args:
        contributions: with source tokens on the last axis.
        categories: of every source token.
    """
    one_hot = torch.nn.functional.one_hot(categories, len(CATEGORIES)).to(contributions.dtype)
    grouped: Tensor = einsum(contributions, one_hot, "batch ... source, batch source category -> batch ... category")
    return grouped


def memory_reads(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    read: Float[Tensor, "batch target d_model"],
    heads: Sequence[HeadId] | None = None,
) -> Float[Tensor, "batch target source d_model"]:
    """The direction that a read-out sees in the encoder memory at every source token, through cross heads.

    sum over heads of pattern[l, h, t, s] W_V W_O read_t: its inner product with memory_s is the contribution of source token s.

    Args:
        model: the model the cache came from.
        cache: with the cross-attention patterns.
        read: for every decoder row the direction to project on.
        heads: which cross heads; None sums over all.

    Raises:
        InputError: if a head is not a cross head of the model.
    """
    total: Tensor | None = None
    for layer, chosen in _heads_by_layer(model, heads).items():
        pattern = cache[f"{attention_path('cross', layer)}.hook_pattern"][:, chosen].to(read.dtype)
        written = _value_directions(model, layer, read)[:, :, chosen]
        term = torch.matmul(pattern.permute(0, 2, 3, 1), written)
        total = term if total is None else total.add_(term)
    assert total is not None
    return total


def memory_reads_by_head(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    read: Float[Tensor, "batch target d_model"],
    weights: Float[Tensor, "batch target"],
    layer: int,
) -> Float[Tensor, "batch head source d_model"]:
    """As `memory_reads`, for each cross head of one layer by itself and summed over decoder rows with weights.

    Args:
        model: the model the cache came from.
        cache: with the cross-attention pattern of the layer.
        read: for every decoder row the direction to project on.
        weights: of the decoder rows, e.g. 1 / number of rows, and 0 at padding.
        layer: decoder layer.
    """
    pattern = cache[f"{attention_path('cross', layer)}.hook_pattern"].to(read.dtype)
    written = _value_directions(model, layer, read) * weights[:, :, None, None]
    return torch.matmul(pattern.transpose(-1, -2), written.transpose(1, 2))


def memory_components(
    model: HookedEncoderDecoder, cache: ActivationCache
) -> Float[Tensor, "batch source component d_model"]:
    """The encoder memory as a sum over the encoder's writers, in the order of `encoder_component_labels`.

    memory_s = sum over m of gain * r_s * y[m, s], with r_s the inverse scale of the encoder's final norm held at its value. As
    large as every head's result of the encoder: components x d_model numbers a source token.

    Args:
        model: the model the cache came from.
        cache: with the activations of `encoder_hooks`.
    """
    writes = [cache["encoder.hook_embed"].unsqueeze(-2)]
    for layer in range(model.cfg.n_encoder_layers):
        writes += [cache[f"encoder.{layer}.attn.hook_result"], cache[f"encoder.{layer}.hook_mlp_out"].unsqueeze(-2)]
    scale = final_gain(model, "encoder") * final_inverse_scale(cache, "encoder").unsqueeze(-1)
    return torch.cat(writes, -2) * scale.unsqueeze(-2)


def encoder_contributions(
    components: Float[Tensor, "batch source component d_model"], reads: Float[Tensor, "batch query source d_model"]
) -> Float[Tensor, "batch query source component"]:
    """Split what a direction reads at every source token over the writers to the encoder stream at that token.

    Args:
        components: from `memory_components`.
        reads: directions in the memory, from `memory_reads` (a query is a decoder row) or `memory_reads_by_head` (a head).

    Returns:
        Contributions whose sum over components is the source token's contribution.
    """
    # One small matrix product a source token.
    product = torch.matmul(reads.transpose(1, 2), components.to(reads.dtype).transpose(-1, -2))
    return product.transpose(1, 2)


def neuron_contributions(
    model: HookedEncoderDecoder, cache: ActivationCache, layer: int, read: Float[Tensor, "batch target d_model"]
) -> Float[Tensor, "batch target d_mlp"]:
    """Split one decoder MLP over its neurons: post_n <W_out[n], read>.

    Args:
        model: the model the cache came from.
        cache: with `decoder.{layer}.mlp.hook_post`.
        layer: decoder layer.
        read: for every decoder row the direction to project on.

    Returns:
        Contributions whose sum over neurons is the MLP's contribution. A neuron of a gated layer may be negative.
    """
    W_out: Tensor = model.module(f"decoder.{layer}.mlp.hook_post").weight  # type: ignore[assignment]
    return cache[f"decoder.{layer}.mlp.hook_post"] * torch.matmul(read, W_out.to(read.dtype))


def stacked(contributions: DecoderContributions) -> Float[Tensor, "batch target component"]:
    """The writers of a first-level split on one axis, in the order of `interp.attribution.residual_stream.component_labels`."""
    by_layer = torch.cat([contributions.decoder, contributions.cross, contributions.mlp.unsqueeze(-1)], -1)
    return torch.cat([contributions.embedding.unsqueeze(-1), by_layer.flatten(-2)], -1)


def squared_shares(model: HookedEncoderDecoder, cache: ActivationCache) -> Float[Tensor, "batch target component"]:
    """||c_t||^2 / ||x_t||^2 of every writer c to the final decoder stream x.

    A large write that no read-out sees still turns down all others through the norm; this is the number to look at beside an
    attribution. Writes are not orthogonal, so the shares do not add up to 1.

    Args:
        model: the model the cache came from.
        cache: with the activations of `interp.attribution.residual_stream.contribution_hooks`.
    """
    cfg = model.cfg
    layers = []
    for layer in range(cfg.n_decoder_layers):
        squares = [_squared_results(model, cache, kind, layer) for kind in ("decoder", "cross")]
        squares.append(wide(cache[f"decoder.{layer}.hook_mlp_out"]).square().sum(-1, keepdim=True))
        layers.append(torch.cat(squares, -1))
    embedding = wide(cache["decoder.hook_embed"]).square().sum(-1, keepdim=True)
    stream = cfg.d_model * (cache["decoder.ln_final.hook_scale"].square() - cfg.eps)
    return torch.cat([embedding, *layers], -1) / stream


def _squared_results(
    model: HookedEncoderDecoder, cache: ActivationCache, kind: DecoderKind, layer: int
) -> Float[Tensor, "batch target head"]:
    """||W_O z||^2 of every head as z (W_O W_O^T) z, without forming the writes."""
    W_O = wide(attention_weights(model, kind, layer).W_O)
    gram = torch.matmul(W_O, W_O.transpose(-1, -2))
    z = wide(cache[f"{attention_path(kind, layer)}.hook_z"])
    turned = einsum(z, gram, "batch target head d_head, head d_head other -> batch target head other")
    squares: Tensor = (turned * z).sum(-1)
    return squares


def encoder_component_labels(n_encoder_layers: int, n_heads: int) -> tuple[str, ...]:
    """Labels of the writers to the encoder stream in reading order: source embedding, then per layer EL.H. and EL.MLP."""
    labels = ["source embedding"]
    for layer in range(n_encoder_layers):
        labels += [str(HeadId("encoder", layer, head)) for head in range(n_heads)]
        labels.append(f"EL{layer}MLP")
    return tuple(labels)


def _value_directions(
    model: HookedEncoderDecoder, layer: int, read: Tensor
) -> Float[Tensor, "batch target head d_model"]:
    """W_V W_O read for every cross head of a layer: the direction seen in the memory before the pattern."""
    W_V = attention_weights(model, "cross", layer).W_V.to(read.dtype)
    directions = head_directions(model, "cross", layer, read)
    seen: Tensor = einsum(directions, W_V, "batch target head d_head, head d_model d_head -> batch target head d_model")
    return seen


def _heads_by_layer(model: HookedEncoderDecoder, heads: Sequence[HeadId] | None) -> dict[int, list[int]]:
    cfg = model.cfg
    if heads is None:
        return {layer: list(range(cfg.n_decoder_heads)) for layer in range(cfg.n_decoder_layers)}
    if not heads:
        raise InputError("No cross heads were given; name at least one, or give None for all.")
    chosen: dict[int, list[int]] = {}
    for head in heads:
        if head.kind != "cross" or head.layer >= cfg.n_decoder_layers or head.head >= cfg.n_decoder_heads:
            last = HeadId("cross", cfg.n_decoder_layers - 1, cfg.n_decoder_heads - 1)
            raise InputError(f"{head} is no cross head of this model; it has XL0H0 to {last}.")
        chosen.setdefault(head.layer, []).append(head.head)
    return chosen
