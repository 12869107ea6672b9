"""Which writers, biases included, make up a logit in any family? The stream unrolled backwards through its norms.

With its scale held at its value in a forward pass, every norm is affine, norm(x) = gain * (x - mean(x)) / scale + bias (no mean
and no bias in T5), so a direction d that reads a norm's output reads its input by

    pull(d) = centred(gain * d) / scale,      and a constant <d, bias> stays behind under the norm's own name.

Post-norm families (BART, Marian) have a norm behind every sublayer, and their logits still split exactly: a write passes all
later norms, each held. That is more than pre-norm families hold still, which pass the final norm only; attributions of the two
kinds are not to be compared. Biases of output projections, MLPs, norms and the unembedding, which no head and no neuron writes,
are components of their own. The bias of values reaches every head whatever it looks at, because patterns sum to 1: it is part of
the head's contribution, and is given beside it.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.components import Step, norms, steps, writers
from interp.attribution.logit_readout import output_rows
from interp.attribution.source_attribution import memory_reads
from interp.axes import AttentionKind, Stack
from interp.hooks.names import HeadId, attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_bias, attention_weights, mlp_bias, norm_bias, norm_gain, value_bias

Reads = Mapping[str, Tensor]
"""Step of a stack (`components.Step.name`) -> the direction by which a read-out of the output sees its write."""


@dataclass(frozen=True, slots=True, eq=False)
class NamedContributions:
    """A read-out of the decoder as a sum of named components.

    Attributes:
        labels: `embedding`, `positions`, `DL0H1`, `DL0 attention bias`, `XL0H1`, `DL0MLP`, `DL0MLP bias`, `DL0 norm 1 bias`,
            `final norm bias`, `unembedding bias`, ...: those that the family has (`interp.attribution.components.writers`).
        values: contributions in units of the read-out; their sum over components is the read-out.
        cross_reads: for every layer the direction by which the read-out sees what its cross heads write.
    """

    labels: tuple[str, ...]
    values: Float[Tensor, "batch target component"]
    cross_reads: tuple[Float[Tensor, "batch target d_model"], ...]

    def of(self, label: str) -> Float[Tensor, "batch target"]:
        """One component."""
        return self.values[..., self.labels.index(label)]


@dataclass(frozen=True, slots=True, eq=False)
class NamedSources:
    """What all cross heads read, by source token and encoder component.

    Attributes:
        labels: encoder components, named like the decoder's.
        values: contributions through the memory.
        value_bias: what the bias of the values adds, whatever is looked at; with `values` it makes the cross heads' sum.
    """

    labels: tuple[str, ...]
    values: Float[Tensor, "batch target source component"]
    value_bias: Float[Tensor, "batch target"]


def unrolled_hooks(model: HookedEncoderDecoder) -> tuple[str, ...]:
    """The hook points that `named_contributions` and `named_sources` read."""
    leaves = (".hook_embed", ".hook_pos_embed", ".hook_z", ".hook_mlp_out", "cross_attn.hook_pattern")
    scales = {f"{norm}.hook_scale" for norm in (*norms(model.cfg, "encoder"), *norms(model.cfg, "decoder"))}
    return tuple(name for name in model.hook_points() if name.endswith(leaves) or name in scales)


def named_contributions(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    tokens: Int[Tensor, "batch target"],
    foils: Int[Tensor, "batch target"] | None = None,
) -> NamedContributions:
    """Split the logit of a token, or of a token less a foil, over everything that writes to the decoder.

    Args:
        model: a model of any family.
        cache: with the activations of `unrolled_hooks`.
        tokens: one token for every decoder row.
        foils: the token to subtract.
    """
    rows, bias = output_rows(model, tokens)
    if foils is not None:
        other, other_bias = output_rows(model, foils)
        rows, bias = rows - other, bias - other_bias
    return unrolled_contributions(model, cache, rows, bias)


def unrolled_contributions(
    model: HookedEncoderDecoder,
    cache: ActivationCache,
    rows: Float[Tensor, "batch target d_model"],
    bias: Float[Tensor, "batch target"],
) -> NamedContributions:
    """Split a linear read-out of the decoder's output over everything that writes to the decoder.

    Args:
        model: a model of any family.
        cache: with the activations of `unrolled_hooks`.
        rows: the direction read in the decoder's output.
        bias: what is added behind.
    """
    read = unrolled_reads(model, cache, "decoder", rows)
    values = _along_steps(model, cache, "decoder", read)
    if model.cfg.biases:
        values.append(bias)
    labels = tuple(writer.label for writer in writers(model.cfg, "decoder"))
    cross = tuple(read[attention_path("cross", layer)] for layer in range(model.cfg.n_decoder_layers))
    return NamedContributions(labels, torch.stack(values, -1), cross)


def named_sources(
    model: HookedEncoderDecoder, cache: ActivationCache, contributions: NamedContributions
) -> NamedSources:
    """Split what all cross heads contribute over source tokens and the encoder's writers at each.

    Args:
        model: the model the cache came from.
        cache: with the activations of `unrolled_hooks`.
        contributions: of the same pass.
    """
    reads: Tensor | None = None
    constant = torch.zeros_like(contributions.values[..., 0])
    for layer, read in enumerate(contributions.cross_reads):
        heads = [HeadId("cross", layer, head) for head in range(model.cfg.heads_of("cross"))]
        term = memory_reads(model, cache, read, heads)
        reads = term if reads is None else reads + term
        if model.cfg.biases:
            W_O = attention_weights(model, "cross", layer).W_O.to(read.dtype)
            constant = constant + read @ torch.einsum("hk,hkd->d", value_bias(model, "cross", layer).to(read), W_O)
    assert reads is not None
    labels = tuple(writer.label for writer in writers(model.cfg, "encoder"))
    return NamedSources(labels, unrolled_memory(model, cache, reads), constant)


def unrolled_memory(
    model: HookedEncoderDecoder, cache: ActivationCache, reads: Float[Tensor, "batch query source d_model"]
) -> Float[Tensor, "batch query source component"]:
    """Split what a direction reads at every source token of the memory over the encoder's writers at that token.

    Args:
        model: a model of any family.
        cache: with the activations of `unrolled_hooks`.
        reads: directions in the memory, for every query (a decoder row, or a head).
    """
    return torch.stack(_along_steps(model, cache, "encoder", unrolled_reads(model, cache, "encoder", reads)), -1)


def unrolled_reads(
    model: HookedEncoderDecoder, cache: ActivationCache, stack: Stack, read: Float[Tensor, "batch *query pos d_model"]
) -> Reads:
    """Take a direction from a stack's output back through its norms to everything that writes to the stream.

    Args:
        model: a model of any family.
        cache: with the scales of the norms in the stream's way.
        stack: which stack.
        read: directions read in the stack's output.

    Returns:
        For every step the direction that sees what it writes; for a norm, what it hands on.
    """
    found: dict[str, Tensor] = {}
    for step in reversed(steps(model.cfg, stack)):
        found[step.name] = read
        if step.what == "norm":
            read = read * norm_gain(model, step.name).to(read.dtype)
            if model.cfg.norm == "layer":
                read = read - read.mean(-1, keepdim=True)
            read = read / _beside(cache[f"{step.name}.hook_scale"], read)
    return found


def _along_steps(model: HookedEncoderDecoder, cache: ActivationCache, stack: Stack, reads: Reads) -> list[Tensor]:
    """<write, read> of every writer, in the order of `writers`."""
    values: list[Tensor] = []
    for step in steps(model.cfg, stack):
        values += _along(model, cache, step, reads[step.name])
    return values


def _along(model: HookedEncoderDecoder, cache: ActivationCache, step: Step, read: Tensor) -> list[Tensor]:
    if step.attention is not None:
        return _heads(model, cache, step.attention, step.layer or 0, read)
    if step.what == "norm":
        return [read @ norm_bias(model, step.name).to(read.dtype)] if model.cfg.biases else []
    if step.what != "mlp":
        return [(_beside(cache[step.name], read) * read).sum(-1)]
    written = cache[f"{step.name.removesuffix('.mlp')}.hook_mlp_out"]
    if not model.cfg.biases:
        return [(_beside(written, read) * read).sum(-1)]
    bias = mlp_bias(model, step.name)
    return [(_beside(written - bias, read) * read).sum(-1), read @ bias.to(read.dtype)]


def _heads(
    model: HookedEncoderDecoder, cache: ActivationCache, kind: AttentionKind, layer: int, read: Tensor
) -> list[Tensor]:
    W_O = attention_weights(model, kind, layer).W_O.to(read.dtype)
    z = cache[f"{attention_path(kind, layer)}.hook_z"]
    values = [(_beside(z[:, :, head], read) * (read @ W_O[head].t())).sum(-1) for head in range(W_O.shape[0])]
    return [*values, read @ attention_bias(model, kind, layer).to(read.dtype)] if model.cfg.biases else values


def _beside(write: Tensor, read: Tensor) -> Tensor:
    """A write has no query axis, a read may have one."""
    return write.unsqueeze(1) if read.ndim > write.ndim else write
