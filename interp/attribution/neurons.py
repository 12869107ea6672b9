"""Neurons of the decoder: what each writes, when, and what it contributes. MLPs as key-value memories (Geva et al. 2021).

A decoder MLP is sum_n post_n v_n, with v_n the rows of W_out. Read by the unembedding, under the gain of the final norm and the
logit scale, a value is a vector of logits

    value_n[w] = <v_n, direction_w>,       direction_w = s * gain * W_U[w]      (before the positive scale r_t of a row)

LayerNorm also takes the value's mean off. In post-norm families the norm that reads it is the one behind its own layer's MLP.
Rows of the table that stand for nothing are left out.

A gated layer's post may be negative, so both ends of that vector are shown. Whether the vector says anything is judged against
random directions of the same length in the span of the layer's values: a value that is no more extreme over the vocabulary than
these has no tokens of its own.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.logit_readout import at_least_float32
from interp.families.residual_stream import mlp_write_norm, norm_behind
from interp.model.activation_cache import ActivationCache
from interp.model.factored_matrix import mlp_weights
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import norm_gain, unembedding
from interp.text.batch import Batch

NEURONS_AT_ONCE = 32
"""Values read by the unembedding in one product: no tensor of neurons x vocabulary is ever built."""


@dataclass(frozen=True, slots=True, eq=False)
class Projections:
    """Values of some neurons read by the unembedding; "token" is rank among the most raised or lowered.

    Attributes:
        neurons: which neurons.
        raised: tokens that the value raises most, descending.
        raised_logit: by how much (before the row's scale).
        lowered: tokens that it lowers most, most lowered first.
        lowered_logit: by how much.
        largest_z: largest |z-score| of the value's logits over the vocabulary.
        kurtosis: excess kurtosis of the value's logits over the vocabulary; 0 for a normal distribution.
    """

    neurons: Int[Tensor, " neuron"]
    raised: Int[Tensor, "neuron token"]
    raised_logit: Float[Tensor, "neuron token"]
    lowered: Int[Tensor, "neuron token"]
    lowered_logit: Float[Tensor, "neuron token"]
    largest_z: Float[Tensor, " neuron"]
    kurtosis: Float[Tensor, " neuron"]


@dataclass(frozen=True, slots=True, eq=False)
class Triggers:
    """The decoder rows at which neurons are most active, of either sign.

    Attributes:
        prompt: index of the prompt, most active row first.
        row: decoder row.
        activation: the neuron's activation there.
    """

    prompt: Int[Tensor, "neuron place"]
    row: Int[Tensor, "neuron place"]
    activation: Float[Tensor, "neuron place"]


def values(model: HookedEncoderDecoder, layer: int) -> Float[Tensor, "d_mlp d_model"]:
    """W_out of a decoder layer: what every neuron writes at activation 1.

    Args:
        model: the model.
        layer: decoder layer.

    Raises:
        InputError: if it has experts, each with neurons of its own.
    """
    return mlp_weights(model, "decoder", layer).W_out


def neuron_contributions(
    model: HookedEncoderDecoder, cache: ActivationCache, layer: int, direction: Float[Tensor, "batch target d_model"]
) -> Float[Tensor, "batch target d_mlp"]:
    """One decoder MLP over its neurons: post_n <W_out[n], direction>.

    Args:
        model: the model the cache came from.
        cache: with `decoder.{layer}.mlp.hook_post` and `frozen_norms.held_scales`.
        layer: decoder layer.
        direction: for every decoder row the direction that reads what the MLP writes (`frozen_norms.sublayer_directions`).

    Returns:
        Contributions whose sum over neurons is the MLP's contribution. A neuron of a gated layer may be negative.
    """
    W_out, own = values(model, layer).to(direction.dtype), mlp_write_norm(model.cfg, "decoder", layer)
    if own is not None:
        direction = direction * norm_gain(model, own).to(direction.dtype) / cache[f"{own}.hook_scale"]
    return cache[f"decoder.{layer}.mlp.hook_post"] * torch.matmul(direction, W_out.t())


def project_values(
    model: HookedEncoderDecoder, layer: int, neurons: Int[Tensor, " neuron"], top: int = 10
) -> Projections:
    """The tokens that the values of some neurons raise and lower.

    Args:
        model: the model.
        layer: decoder layer.
        neurons: which neurons.
        top: tokens kept at each end.
    """
    return _project(model, layer, neurons, values(model, layer)[neurons], top)


def random_projections(
    model: HookedEncoderDecoder, layer: int, neurons: Int[Tensor, " neuron"], seed: int, top: int = 10
) -> Projections:
    """The null for `project_values`: for every neuron a random direction of its value's length in the span of all values.

    The direction is a sum of the layer's values with independent normal weights.

    Args:
        model: the model.
        layer: decoder layer.
        neurons: which neurons.
        seed: of the random weights.
        top: tokens kept at each end.
    """
    generator = torch.Generator().manual_seed(seed)
    W_out = values(model, layer)
    weights = torch.randn(len(neurons), len(W_out), generator=generator).to(W_out)
    random = weights @ W_out
    lengths = W_out[neurons].norm(dim=-1, keepdim=True)
    return _project(model, layer, neurons, random / random.norm(dim=-1, keepdim=True) * lengths, top)


def _project(model: HookedEncoderDecoder, layer: int, neurons: Tensor, vectors: Tensor, top: int) -> Projections:
    parts = [_read(model, layer, part, top) for part in vectors.split(NEURONS_AT_ONCE)]
    return Projections(neurons, *(torch.cat(field) for field in zip(*parts, strict=True)))


def _read(model: HookedEncoderDecoder, layer: int, vectors: Tensor, top: int) -> tuple[Tensor, ...]:
    # Hosts keep some weights in float32 whatever the rest is in.
    vectors, table = at_least_float32(vectors), at_least_float32(unembedding(model))
    if model.cfg.norm == "layer":
        vectors = vectors - vectors.mean(-1, keepdim=True)
    gain, own = norm_gain(model, norm_behind(model.cfg, "decoder", layer)), mlp_write_norm(model.cfg, "decoder", layer)
    if own is not None:
        gain = gain * norm_gain(model, own)
    rows = model.named_rows.nonzero().squeeze(-1)
    logits = ((vectors * gain * model.cfg.logit_scale) @ table.t())[:, rows]
    standard = (logits - logits.mean(-1, keepdim=True)) / logits.std(-1, keepdim=True, unbiased=False)
    raised, lowered = logits.topk(top), (-logits).topk(top)
    largest_z, kurtosis = standard.abs().amax(-1), standard.pow(4).mean(-1) - 3
    return rows[raised.indices], raised.values, rows[lowered.indices], -lowered.values, largest_z, kurtosis


def top_triggers(
    cache: ActivationCache, batch: Batch, layer: int, neurons: Int[Tensor, " neuron"], top: int = 10
) -> Triggers:
    """The decoder rows at which neurons are most active, by |activation|.

    Args:
        cache: with `decoder.{layer}.mlp.hook_post`.
        batch: the prompts of the cache; padded rows do not count.
        layer: decoder layer.
        neurons: which neurons.
        top: rows kept; at most the real rows of the batch.
    """
    post = cache[f"decoder.{layer}.mlp.hook_post"][..., neurons]
    size = post.abs().masked_fill(~batch.target_mask.unsqueeze(-1), -1.0).flatten(0, 1)
    places = size.topk(min(top, int(batch.target_mask.sum())), dim=0).indices
    activation = post.flatten(0, 1).gather(0, places)
    rows = batch.labels.shape[1]
    return Triggers((places // rows).t(), (places % rows).t(), activation.t())


def active_share(cache: ActivationCache, batch: Batch, layer: int) -> Float[Tensor, " batch"]:
    """Share of a layer's neurons that are not zero, over the rows of every prompt (3 % in T5-base: Li et al. 2023).

    Of a ReLU layer it is sparsity; a gated GELU layer is hardly ever exactly zero.

    Args:
        cache: with `decoder.{layer}.mlp.hook_post`.
        batch: the prompts of the cache; padded rows do not count.
        layer: decoder layer.
    """
    active = (cache[f"decoder.{layer}.mlp.hook_post"] != 0).float().mean(-1)
    shares: Tensor = (active * batch.target_mask).sum(1) / batch.target_mask.sum(1)
    return shares
