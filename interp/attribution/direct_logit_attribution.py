"""By which equations does a family's logit split? This is decided here and nowhere else.

    no biases (T5's family)     the final stream is the sum of its writers, read under the one norm behind it
                                (`interp.attribution.residual_stream`, `interp.attribution.source_attribution`)
    biases (BART's family)      the stream is unrolled backwards through every norm in its way, each held at its value, and
                                biases are components (`interp.attribution.frozen_norms`, `interp.attribution.write_norms`)

Components have the labels and the order of `components.writers` in every family, and add up to the read-out. The second
equations hold for T5 too and give the same split up to rounding; they cost more there.
"""

import torch
from jaxtyping import Float
from torch import Tensor

from interp.attribution.components import norms, steps, writers
from interp.attribution.frozen_norms import (
    NamedContributions,
    Reads,
    unrolled_contributions,
    unrolled_memory,
    unrolled_reads,
)
from interp.attribution.logit_readout import Readout
from interp.attribution.residual_stream import contribution_hooks, decoder_contributions
from interp.attribution.source_attribution import (
    encoder_contributions,
    encoder_hooks,
    head_directions,
    memory_components,
    memory_reads,
    memory_reads_by_head,
    source_hooks,
    squared_shares,
    stacked,
)
from interp.attribution.write_norms import pushed_shares
from interp.families.config import ModelConfig
from interp.hooks.names import HeadId, attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import value_bias

VALUE_BIAS = "value bias"
"""What cross heads add whatever they look at: the bias of their values, at every source token as much as it is looked at."""


def decomposition_hooks(cfg: ModelConfig) -> tuple[str, ...]:
    """The hook points that the functions below read."""
    shared = {*contribution_hooks(), *source_hooks(), *encoder_hooks()}
    if not cfg.biases:
        return tuple(sorted(shared))
    shared -= {"encoder.ln_final.hook_scale", "decoder.ln_final.hook_scale"}
    scales = [f"{norm}.hook_scale" for norm in (*norms(cfg, "encoder"), *norms(cfg, "decoder"))]
    return (*sorted(shared), "encoder.hook_pos_embed", "decoder.hook_pos_embed", *scales)


def decompose(model: HookedEncoderDecoder, cache: ActivationCache, readout: Readout) -> NamedContributions:
    """A read-out as a sum over everything that writes to the decoder.

    Args:
        model: a model of any family.
        cache: with the activations of `decomposition_hooks`.
        readout: what is split.
    """
    if readout.rows is not None and readout.bias is not None:
        return unrolled_contributions(model, cache, readout.rows, readout.bias)
    labels = tuple(writer.label for writer in writers(model.cfg, "decoder"))
    values = stacked(decoder_contributions(model, cache, readout.directions))
    return NamedContributions(labels, values, (readout.frozen(cache),) * model.cfg.n_decoder_layers)


def sublayer_reads(model: HookedEncoderDecoder, cache: ActivationCache, readout: Readout) -> Reads:
    """The direction by which a read-out sees what each sublayer of the decoder writes, all norms in the way held.

    Args:
        model: a model of any family.
        cache: with the scales of the norms in the way of the decoder's stream.
        readout: what is read.

    Returns:
        Path of a sublayer, e.g. `decoder.0.cross_attn` or `decoder.0.mlp`, -> direction for every decoder row.
    """
    if readout.rows is not None:
        return unrolled_reads(model, cache, "decoder", readout.rows)
    read = readout.frozen(cache)
    return {step.name: read for step in steps(model.cfg, "decoder")}


def write_shares(model: HookedEncoderDecoder, cache: ActivationCache) -> Float[Tensor, "batch target component"]:
    """Squared length of every write where the decoder's last norm measures the stream, as a share of the stream's.

    Args:
        model: a model of any family.
        cache: with the activations of `decomposition_hooks`.
    """
    return pushed_shares(model, cache) if model.cfg.biases else squared_shares(model, cache)


def memory_labels(cfg: ModelConfig) -> tuple[str, ...]:
    """The components of what cross heads read at a source token: the encoder's writers, and the bias of the values."""
    labels = tuple(writer.label for writer in writers(cfg, "encoder"))
    return (*labels, VALUE_BIAS) if cfg.biases else labels


def memory_by_head(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    cross_reads: tuple[Float[Tensor, "batch target d_model"], ...],
    weights: Float[Tensor, "batch target"],
) -> Float[Tensor, "batch layer head source component"]:
    """Every cross head over source tokens and the components of `memory_labels`, decoder rows summed with weights.

    One prompt at a time, so that no more than one prompt's encoder components are in memory.

    Args:
        model: a model of any family.
        cache: with the activations of `decomposition_hooks`.
        cross_reads: what `decompose` gave with a read-out.
        weights: of the decoder rows.
    """
    prompts = []
    for prompt in range(len(weights)):
        one, own = cache.select(prompt), slice(prompt, prompt + 1)
        parts = None if model.cfg.biases else memory_components(model, one)
        layers = []
        for layer, read in enumerate(cross_reads):
            by_head = memory_reads_by_head(model, one, read[own], weights[own], layer)
            if parts is not None:
                layers.append(encoder_contributions(parts, by_head))
                continue
            bias = torch.einsum("bthk,bt->bhk", _value_bias(model, one, read[own], layer), weights[own])
            layers.append(torch.cat([unrolled_memory(model, one, by_head), bias.unsqueeze(-1)], -1))
        prompts.append(torch.stack(layers, 1))
    return torch.cat(prompts)


def memory_by_row(
    model: HookedEncoderDecoder, cache: ActivationCache, cross_reads: tuple[Float[Tensor, "batch target d_model"], ...]
) -> Float[Tensor, "batch target source component"]:
    """All cross heads together over source tokens and the components of `memory_labels`, for every decoder row.

    Args:
        model: a model of any family.
        cache: with the activations of `decomposition_hooks`.
        cross_reads: what `decompose` gave with a read-out.
    """
    if not model.cfg.biases:
        return encoder_contributions(memory_components(model, cache), memory_reads(model, cache, cross_reads[0]))
    heads = range(model.cfg.heads_of("cross"))
    reads, bias = [], []
    for layer, read in enumerate(cross_reads):
        reads.append(memory_reads(model, cache, read, [HeadId("cross", layer, head) for head in heads]))
        bias.append(_value_bias(model, cache, read, layer).sum(2))
    values = unrolled_memory(model, cache, torch.stack(reads).sum(0))
    return torch.cat([values, torch.stack(bias).sum(0).unsqueeze(-1)], -1)


def _value_bias(
    model: HookedEncoderDecoder, cache: ActivationCache, read: Tensor, layer: int
) -> Float[Tensor, "batch target head source"]:
    """What the bias of the values adds through every cross head of a layer, at every source token."""
    pattern = cache[f"{attention_path('cross', layer)}.hook_pattern"].to(read.dtype)
    bias = value_bias(model, "cross", layer).to(read.dtype)
    added = (head_directions(model, "cross", layer, read) * bias).sum(-1)
    return pattern.transpose(1, 2) * added.unsqueeze(-1)
