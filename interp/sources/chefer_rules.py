"""Chefer's rules for encoder-decoders: attention times gradient of one logit, propagated to the inputs (Chefer et al. 2021).

With A' = mean over heads of (dlogit/dA * A)+ of every attention, in forward order, s the source and q the target positions:

    encoder self    R_ss += A' R_ss                                    start: R_ss = I, R_qq = I, R_qs = 0
    decoder self    R_qq += A' R_qq,  R_qs += A' R_qs
    cross           R_qs += N(R_qq)^T A' N(R_ss),    N(R) = I + rows of (R - I) divided by their sum   (their equations 8-10)

Rows of R_qq are queries, yet the rule transposes it: this follows the authors' code. Their code divides by row sums that are 0
for every row after the one explained, because a causal decoder gives those no gradient, and the 0/0 then erases the whole
cross relevance; here a row whose sum is 0 stays 0 [ours]. Relevances are not shares: rows need not sum to 1.

One backward pass explains many rows of a prompt: the prompt is repeated, and every copy explains one row.
"""

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.attribution.logit_readout import at_least_float32, output_rows
from interp.errors import InputError
from interp.hooks.names import attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import run_stacks
from interp.sources.attention_rollout import ROLLOUT_HOOKS, why_not_in_steps
from interp.text.batch import Batch

_ROWS_AT_ONCE = 16


@dataclass(frozen=True, slots=True, eq=False)
class Relevance:
    """Relevance of the inputs for the logit of one token at every decoder row, at least 0.

    Attributes:
        source: of the source tokens.
        target: of the decoder's input tokens; 0 for later ones.
    """

    source: Float[Tensor, "target source"]
    target: Float[Tensor, "target prefix"]


def chefer(
    model: HookedEncoderDecoder,
    batch: Batch,
    tokens: Int[Tensor, " target"] | None = None,
    foils: Int[Tensor, " target"] | None = None,
) -> Relevance:
    """Relevance for every row of one prompt.

    Args:
        model: the model.
        batch: a single prompt without padding.
        tokens: the token to explain at every row; by default the labels.
        foils: what its logit is compared with; by default with nothing.

    Raises:
        InputError: if the batch holds more than one prompt, or self- and cross-attention are one.
    """
    if (why := why_not_in_steps(model.cfg)) is not None:
        raise InputError(why)
    if len(batch) != 1:
        raise InputError(f"Chefer's rules explain one prompt at a time; got {len(batch)}. Use batch.select(index).")
    explained = batch.labels[0] if tokens is None else tokens
    everything = torch.arange(len(explained), device=explained.device)
    blocks = [_explain(model, batch, explained, foils, rows) for rows in everything.split(_ROWS_AT_ONCE)]
    return Relevance(torch.cat([block.source for block in blocks]), torch.cat([block.target for block in blocks]))


def _explain(
    model: HookedEncoderDecoder, batch: Batch, explained: Tensor, foils: Tensor | None, rows: Tensor
) -> Relevance:
    """Relevance for some rows, each in a copy of the prompt."""
    run = run_stacks(model, batch, ROLLOUT_HOOKS, copies=len(rows), gradients=True)
    directions, _ = output_rows(model, explained[rows])
    if foils is not None:
        directions = directions - output_rows(model, foils[rows])[0]
    (at_least_float32(run.outputs[torch.arange(len(rows), device=rows.device), rows]) * directions).sum().backward()
    return _propagate(model, run.cache, rows)


def _propagate(model: HookedEncoderDecoder, cache: ActivationCache, rows: Tensor) -> Relevance:
    grad = cache.grad

    def weighted(name: str) -> Tensor:
        gradient = grad[name]
        assert gradient is not None, name
        return (gradient * cache[name].detach()).clamp(min=0.0).mean(1).float()

    source = None
    for layer in range(model.cfg.n_encoder_layers):
        step = weighted(f"{attention_path('encoder', layer)}.hook_pattern")
        source = _identity(step) if source is None else source
        source = source + step @ source
    assert source is not None
    target = cross = None
    for layer in range(model.cfg.n_decoder_layers):
        step = weighted(f"{attention_path('decoder', layer)}.hook_pattern")
        reading = weighted(f"{attention_path('cross', layer)}.hook_pattern")
        target = _identity(step) if target is None else target
        cross = torch.zeros_like(reading) if cross is None else cross
        cross = cross + step @ cross
        target = target + step @ target
        cross = cross + _normalized(target).mT @ reading @ _normalized(source)
    assert target is not None
    assert cross is not None
    copies = torch.arange(len(rows), device=rows.device)
    return Relevance(cross[copies, rows], target[copies, rows])


def _identity(step: Tensor) -> Tensor:
    return torch.eye(step.shape[-1], dtype=step.dtype, device=step.device).expand(step.shape)


def _normalized(relevance: Tensor) -> Tensor:
    """N(R), with the guard for rows that have no relevance beyond their own."""
    identity = _identity(relevance)
    excess = relevance - identity
    total = excess.sum(-1, keepdim=True)
    return torch.where(total > 0, excess / torch.where(total > 0, total, 1.0), 0.0) + identity
