"""Below the components: a head over the positions that it reads, and source tokens over the encoder's components.

Each of these splits one term of `direct_logit_attribution.decompose` further, and is exact while attention patterns and norm
scales are held at their values in this forward pass; patterns and scales have their own causes, which these splits do not see.
With d_t the direction that reads what a head writes (`frozen_norms.sublayer_directions`),

    head              a[l, h, t]     = sum_s a[l, h, t, s],      a[l, h, t, s] = pattern[l, h, t, s] <v[l, h, s], W_O d_t>
    source token      a[l, h, t, s]  = sum_m a[l, h, t, s, m]    over the encoder's components and the bias of the values, because
                      v[l, h, s] = output_s W_V + bias,          output_s = sum_m what the encoder's norms make of write m at s

Kobayashi et al. 2020 take the norm of the same terms, pattern v W_O, and Ferrando et al. 2022 how near they are to what the layer
writes; here they are read by a direction, so that they have signs and add up to the logit.
"""

from typing import Literal

import torch
from einops import einsum
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.components import VALUE_BIAS, source_components
from interp.attribution.direct_logit_attribution import Decomposition
from interp.attribution.frozen_norms import through_norm
from interp.attribution.residual_writes import head_directions, writes
from interp.families.residual_stream import steps
from interp.hooks.attention import of_every_head
from interp.hooks.names import attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights, output_weights, projection_bias
from interp.text.words import CATEGORIES, EVERY_CATEGORY

DecoderKind = Literal["decoder", "cross"]


def source_contributions(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    kind: DecoderKind,
    layer: int,
    direction: Float[Tensor, "batch target d_model"],
) -> Float[Tensor, "batch head target key"]:
    """The heads of one layer over the positions they read.

    Args:
        model: the model the cache came from.
        cache: with pattern and v of this layer.
        kind: `cross` splits over source tokens, `decoder` over the target prefix.
        layer: decoder layer.
        direction: for every decoder row the direction that reads what the layer's heads write.

    Returns:
        Contributions whose sum over keys is the head's contribution; exactly 0 at padded and at future keys.
    """
    path = attention_path(kind, layer)
    directions = head_directions(output_weights(model, kind, layer), direction)
    values = of_every_head(cache[f"{path}.hook_v"], model.cfg.heads_of(kind), 2).to(direction.dtype).permute(0, 2, 3, 1)
    return torch.matmul(directions.transpose(1, 2), values) * cache[f"{path}.hook_pattern"]


def by_category(
    contributions: Float[Tensor, "batch *leading source"], categories: Int[Tensor, "batch source"]
) -> Float[Tensor, "batch *leading category"]:
    """Contributions summed over the source tokens of each category of `interp.text.words.CATEGORIES`, padding included.

    Where sources are sounds, over the frames of each of `EVERY_CATEGORY`.

    Args:
        contributions: with source tokens on the last axis.
        categories: of every source token.
    """
    named = EVERY_CATEGORY if int(categories.max()) >= len(CATEGORIES) else CATEGORIES
    one_hot = torch.nn.functional.one_hot(categories, len(named)).to(contributions.dtype)
    grouped: Tensor = einsum(contributions, one_hot, "batch ... source, batch source category -> batch ... category")
    return grouped


def encoder_attribution(
    model: HookedEncoderDecoder, cache: ActivationCache, decomposition: Decomposition
) -> Float[Tensor, "batch target source component"]:
    """All cross heads together over source tokens and `components.source_components`, for every decoder row.

    Args:
        model: a model of any family.
        cache: with the activations of `direct_logit_attribution.decomposition_hooks`.
        decomposition: of the read-out that is split further.
    """
    components = encoder_output_components(model, cache)
    (batch, source, _, d_model), rows = components.shape, decomposition.values.shape[1]
    seen = decomposition.values.new_zeros(batch, rows, source, d_model)
    bias = decomposition.values.new_zeros(batch, rows, source)
    for layer, direction in enumerate(decomposition.cross_directions):
        pattern, directions, added = _through_values(model, cache, layer, direction)
        seen += torch.matmul(pattern.permute(0, 2, 3, 1), directions)
        bias += torch.einsum("bhts,bth->bts", pattern, added)
    return _over_components(model, components, seen, bias)


def encoder_attribution_by_head(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    decomposition: Decomposition,
    weights: Float[Tensor, "batch target"],
) -> Float[Tensor, "batch layer head source component"]:
    """Every cross head over source tokens and `components.source_components`, decoder rows summed with weights.

    Summing rows first is what makes all heads times all components affordable. One prompt at a time, so that no more than one
    prompt's encoder components are in memory.

    Args:
        model: a model of any family.
        cache: with the activations of `direct_logit_attribution.decomposition_hooks`.
        decomposition: of the read-out that is split further.
        weights: of the decoder rows, e.g. 1 / number of rows, and 0 at padding.
    """
    prompts = []
    for prompt in range(len(weights)):
        one, own = cache.select(prompt), slice(prompt, prompt + 1)
        components, layers = encoder_output_components(model, one), []
        for layer, direction in enumerate(decomposition.cross_directions):
            pattern, directions, added = _through_values(model, one, layer, direction[own])
            weighted = directions * weights[own, :, None, None]
            seen = torch.matmul(pattern.transpose(-1, -2), weighted.transpose(1, 2))
            bias = torch.einsum("bhts,bth,bt->bhs", pattern, added, weights[own])
            layers.append(_over_components(model, components, seen, bias))
        prompts.append(torch.stack(layers, 1))
    return torch.cat(prompts)


def encoder_output_components(
    model: HookedEncoderDecoder, cache: ActivationCache
) -> Float[Tensor, "batch source component d_model"]:
    """The encoder's output as a sum over the encoder's components, carried through its norms, each held at its scale.

    As large as every head's result of the encoder: components x d_model numbers a source token.

    Args:
        model: the model the cache came from.
        cache: with the activations of `direct_logit_attribution.decomposition_hooks`.
    """
    course = steps(model.cfg, "encoder")
    rows = cache[course[0].name].shape
    parts: list[Tensor] = []
    for step in course:
        if step.kind == "norm":
            parts = [through_norm(model, cache, step.name, torch.cat(parts, -2))]
        written = writes(model, cache, step)
        if written.z is not None:
            heads = cache[f"{step.name}.hook_result"]
            parts.append(heads if step.write_norm is None else through_norm(model, cache, step.write_norm, heads))
        parts += [vector.unsqueeze(-2) for vector in written.dealt([vector.expand(rows) for vector in written.vectors])]
    return torch.cat(parts, -2)


def _through_values(
    model: HookedEncoderDecoder, cache: ActivationCache, layer: int, direction: Float[Tensor, "batch target d_model"]
) -> tuple[
    Float[Tensor, "batch head target source"],
    Float[Tensor, "batch target head d_model"],
    Float[Tensor, "batch target head"],
]:
    """How a direction reads through the cross heads of a layer.

    Returns:
        Their pattern; the direction read in the encoder's output, W_V W_O direction, before the pattern; what the bias of the
        values adds wherever a head looks.
    """
    weights = attention_weights(model, "cross", layer)
    of_values, W_V = head_directions(weights.W_O, direction), weights.W_V.to(direction.dtype)
    directions = einsum(of_values, W_V, "batch target head d_head, head d_model d_head -> batch target head d_model")
    added = (of_values * projection_bias(model, "cross", layer, "v").to(direction.dtype)).sum(-1)
    return cache[f"{attention_path('cross', layer)}.hook_pattern"].to(direction.dtype), directions, added


def _over_components(
    model: HookedEncoderDecoder,
    components: Float[Tensor, "batch source component d_model"],
    seen: Float[Tensor, "batch query source d_model"],
    bias: Float[Tensor, "batch query source"],
) -> Float[Tensor, "batch query source all"]:
    """What a direction reads at every source token over the components there, and the bias of the values, if there is one."""
    # One small matrix product a source token.
    values = torch.matmul(seen.transpose(1, 2), components.to(seen.dtype).transpose(-1, -2)).transpose(1, 2)
    biased = VALUE_BIAS in source_components(model.cfg)
    return torch.cat([values, bias.unsqueeze(-1)], -1) if biased else values
