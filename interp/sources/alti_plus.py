"""ALTI+: mixing measured on the vectors themselves, residual connections included (Ferrando et al. 2022a, b).

The output of an attention sublayer is exactly a sum of terms, y_i = sum_j T_i(x_j) (no biases in T5; the residual x_i belongs
to the token's own term, in cross-attention to a column of its own). A term contributes by how much nearer it brings the sum:

    c_ij = max(0, ||y_i||_1 - ||y_i - T_i(x_j)||_1),   rows normalized to 1

Feed-forward layers work token by token and do not mix. The bias of an output projection (none in T5) belongs to no term. Layers
that norm their output (BART, Marian) hand on the norm of that sum: with its scale held the norm is linear, so every term goes
through it (Kobayashi et al. 2021), and the norm's bias belongs to no term. If no term of a row brings the sum nearer, the row is
undefined (NaN).
"""

import torch
from jaxtyping import Float
from torch import Tensor

from interp.axes import AttentionKind, Stack
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.families.residual_stream import steps
from interp.hooks.names import attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import norm_gain, output_bias, output_weights
from interp.sources.flow import Flow, Steps, compose, real_rows
from interp.sources.term_norms import source_vectors
from interp.text.batch import Batch

ALTI_HOOKS = (
    "*.attn.hook_pattern",
    "*.attn.hook_v",
    "decoder.*.cross_attn.hook_pattern",
    "decoder.*.cross_attn.hook_v",
    "*.hook_resid_pre",
    "*.hook_resid_mid",
    "decoder.*.hook_resid_mid_cross",
)

_NUMBERS_AT_ONCE = 2**20
"""Numbers of terms held at once: 4 MiB in float32, which stay near the processor; larger blocks are slower, not only larger."""


def why_no_alti(cfg: ModelConfig) -> str | None:
    """What ALTI+ needs and a model lacks, in a sentence; None where it is defined.

    Args:
        cfg: the model's facts.
    """
    if not cfg.write_norms:
        return None
    return (
        "ALTI+ is defined where what a sublayer writes is added as it is or with the stream behind one norm; "
        f"{cfg.model_type} norms what is written before it is added (write_norms=True). Use rollout."
    )


def alti(model: HookedEncoderDecoder, batch: Batch, cache: ActivationCache) -> Flow:
    """ALTI+ of every prompt.

    Args:
        model: the model the cache came from.
        batch: its batch.
        cache: with the activations of `ALTI_HOOKS`.

    Raises:
        InputError: if the model norms what a sublayer writes before it is added.
    """
    if (why := why_no_alti(model.cfg)) is not None:
        raise InputError(why)
    source, target = batch.source_mask, batch.target_mask
    cfg = model.cfg
    return compose(
        Steps(
            encoder=[real_rows(_self_step(model, cache, "encoder", n), source) for n in range(cfg.n_encoder_layers)],
            decoder=[real_rows(_self_step(model, cache, "decoder", n), target) for n in range(cfg.n_decoder_layers)],
            cross=[real_rows(_cross_step(model, cache, n), target) for n in range(cfg.n_decoder_layers)],
        )
    )


def _self_step(model: HookedEncoderDecoder, cache: ActivationCache, stack: Stack, layer: int) -> Tensor:
    before, after = cache["resid_pre", layer, stack].float(), cache["resid_mid", layer, stack].float()
    return self_contributions(*_terms(model, cache, stack, layer, before, after))


def _cross_step(model: HookedEncoderDecoder, cache: ActivationCache, layer: int) -> Tensor:
    before = cache["resid_mid", layer, "decoder"].float()
    after = cache["resid_mid_cross", layer, "decoder"].float()
    return cross_contributions(*_terms(model, cache, "cross", layer, before, after))


def _terms(
    model: HookedEncoderDecoder, cache: ActivationCache, kind: AttentionKind, layer: int, before: Tensor, after: Tensor
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Pattern, vectors, the stream before and after a sublayer, such that terms and biases add up to the last."""
    path = attention_path(kind, layer)
    W_O = output_weights(model, kind, layer).float()
    pattern, vectors = cache[f"{path}.hook_pattern"].float(), source_vectors(cache[f"{path}.hook_v"].float(), W_O)
    course = steps(model.cfg, "encoder" if kind == "encoder" else "decoder")
    behind = course[[step.name for step in course].index(path) + 1]
    if behind.kind != "norm":
        return pattern, vectors, before, after

    def centered(terms: Tensor) -> Tensor:
        return terms if model.cfg.norm == "rms" else terms - terms.mean(-1, keepdim=True)

    written = torch.einsum("bhqk,bkhd->bqd", pattern, vectors) + output_bias(model, f"{path}.hook_result").float()
    total, gain = centered(before + written), norm_gain(model, behind.name).float()
    # The scale divides a whole row, whose shares it leaves as they are; left out, terms need not know their row.
    scale = (total.square().mean(-1, keepdim=True) + model.cfg.eps).sqrt()
    after = gain * total + output_bias(model, behind.name).float() * scale
    return pattern, gain * centered(vectors), gain * centered(before), after


def self_contributions(
    pattern: Float[Tensor, "batch head pos pos"],
    vectors: Float[Tensor, "batch pos head d_model"],
    before: Float[Tensor, "batch pos d_model"],
    after: Float[Tensor, "batch pos d_model"],
) -> Float[Tensor, "batch pos pos"]:
    """Shares of a self-attention sublayer with its residual.

    Args:
        pattern: attention weights.
        vectors: what each head writes per unit of weight, v W_O.
        before: the stream before the sublayer, x.
        after: the stream after it, y.
    """
    distances = _distances(pattern, vectors, after)
    own = torch.einsum("bhii,bihd->bid", pattern, vectors) + before
    distances = distances.diagonal_scatter(_length(after - own), dim1=-2, dim2=-1)
    # A token that may not be read has no term at all; rounding must not give it one.
    legal = (pattern > 0).any(1) | torch.eye(pattern.shape[-1], dtype=torch.bool, device=pattern.device)
    return _as_shares(_length(after)[..., None] - distances, legal)


def cross_contributions(
    pattern: Float[Tensor, "batch head target source"],
    vectors: Float[Tensor, "batch source head d_model"],
    before: Float[Tensor, "batch target d_model"],
    after: Float[Tensor, "batch target d_model"],
) -> Float[Tensor, "batch target source_and_residual"]:
    """Shares of a cross-attention sublayer, the residual in the last column.

    Args:
        pattern: attention weights.
        vectors: what each head writes per unit of weight, v W_O.
        before: the stream before the sublayer.
        after: the stream after it.
    """
    distances = _distances(pattern, vectors, after)
    distances = torch.cat([distances, _length(after - before)[..., None]], -1)
    legal = torch.nn.functional.pad((pattern > 0).any(1), (0, 1), value=True)
    return _as_shares(_length(after)[..., None] - distances, legal)


def _distances(pattern: Tensor, vectors: Tensor, output: Tensor) -> Float[Tensor, "batch query key"]:
    """||y_i - T_i(x_j)||_1 without residuals, in blocks of queries so that memory does not grow with their square."""
    batch, _, n_queries, n_keys = pattern.shape
    rows = max(1, _NUMBERS_AT_ONCE // (batch * n_keys * vectors.shape[-1]))
    blocks = []
    for start in range(0, n_queries, rows):
        block = slice(start, start + rows)
        terms = pattern[:, :, block].permute(0, 3, 2, 1) @ vectors  # batch key query d_model
        blocks.append(_length(output[:, None, block] - terms).transpose(1, 2))
    return torch.cat(blocks, 1)


def _length(vectors: Tensor) -> Tensor:
    length: Tensor = torch.linalg.vector_norm(vectors, ord=1, dim=-1)
    return length


def _as_shares(gains: Tensor, legal: Tensor) -> Tensor:
    gains = torch.where(legal, gains, 0.0).clamp(min=0.0)
    total = gains.sum(-1, keepdim=True)
    return torch.where(total > 0, gains / total, torch.nan)
