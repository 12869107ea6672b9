"""What does each decoder layer and head read from the encoder, prompt by prompt?

Four readings of one layer's cross-attention, each a distribution over source tokens for every decoder row:

    raw.head    a[h, t, s]                       norm.head    || a f_h(M_s) || as shares
    raw.layer   mean over heads of a             norm.layer   || sum_h a f_h(M_s) || as shares

and of each, per prompt, the mean over real decoder rows of

    mass        sum over the tokens of a category; the categories are a partition, so masses sum to 1
    entropy     over all source tokens, divided by ln n
    retained    rho, the mass on the content span: everything but prefix, end of sentence and padding
    span_mass, span_entropy, center, spread    of the reading restricted to the span and renormalized; a row with rho < 0.05
                is left out
    usable      share of rows with rho >= 0.05
    monotonicity, diagonality, evenness        see `shape`
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from analyses.core.contract import Arrays, Pass
from analyses.cross_attention_focus.measure.source_flow import alti_or_undefined, observe_flow
from analyses.cross_attention_focus.measure.token_swaps import observe_swaps
from analyses.cross_attention_focus.settings import FocusSettings
from interp import attention_metrics as measures
from interp.model.weights import output_weights
from interp.monotonicity import coverage, diagonality, monotonicity
from interp.sources import ALTI_HOOKS, ROLLOUT_HOOKS, rollout
from interp.sources.term_norms import head_norms, layer_norms, shares, source_vectors
from interp.text.batch import Batch
from interp.text.words import CATEGORIES, EOS, PAD, PREFIX

READING_HOOKS = ("decoder.*.cross_attn.hook_pattern", "decoder.*.cross_attn.hook_v")

HOOKS = (*READING_HOOKS, *ROLLOUT_HOOKS, *ALTI_HOOKS)

READINGS = ("raw.head", "norm.head", "raw.layer", "norm.layer")

LEAST_RETAINED = 0.05
"""Rows with less weight than this on the content span say nothing about it."""


def content_span(batch: Batch) -> Bool[Tensor, "batch source"]:
    """Source tokens that are neither prefix nor end of sentence nor padding."""
    categories = batch.source_categories
    return batch.source_mask & (categories != PREFIX) & (categories != EOS) & (categories != PAD)


def readings(run: Pass) -> dict[str, Float[Tensor, "batch layer *head target source"]]:
    """The four readings of every layer, by name; rows sum to 1.

    Raises:
        ValueError: if padding receives attention, which no softmax with a working mask gives.
    """
    patterns, heads, layers = [], [], []
    for layer in range(run.model.cfg.n_decoder_layers):
        pattern = run.cache["pattern", layer, "cross_attn"].float()
        _check_padding(pattern, run.batch, layer)
        W_O = output_weights(run.model, "cross", layer).float()
        vectors = source_vectors(run.cache["v", layer, "cross_attn"].float(), W_O)
        patterns.append(pattern)
        heads.append(head_norms(pattern, vectors))
        layers.append(layer_norms(pattern, vectors))
    raw = torch.stack(patterns, 1)
    return {
        "raw.head": raw,
        "norm.head": shares(torch.stack(heads, 1)),
        "raw.layer": raw.mean(2),
        "norm.layer": shares(torch.stack(layers, 1)),
    }


def _check_padding(pattern: Tensor, batch: Batch, layer: int) -> None:
    on_padding = pattern.masked_fill(batch.source_mask[:, None, None, :], 0.0)
    if bool((on_padding != 0).any()):
        raise ValueError(
            f"Cross-attention of decoder layer {layer} puts weight {float(on_padding.max()):g} on padding, where it must be "
            "exactly 0; a hook changed the pattern or the attention mask is not applied."
        )


def observe(run: Pass) -> Arrays:
    """Numbers per prompt of every reading, of the flow and, unless settings forbid two more passes, of swaps; see `arrays`."""
    arrays = observe_readings(run) | observe_flow(run.model, run.batch, run.cache)
    assert isinstance(run.settings, FocusSettings)
    if run.settings.swaps:
        arrays |= observe_swaps(run)
    return {name: values.to(torch.float32).cpu().numpy() for name, values in arrays.items()}


def observe_readings(run: Pass) -> dict[str, Tensor]:
    """The raw, masked and norm-weighted part of `observe`, still as tensors."""
    batch = run.batch
    arrays = {"base_rate": measures.category_share(batch.source_categories, batch.source_mask, len(CATEGORIES))}
    for reading, weights in readings(run).items():
        arrays |= {f"{reading}.{name}": values for name, values in _statistics(weights, batch).items()}
    return arrays


def _statistics(weights: Tensor, batch: Batch) -> dict[str, Tensor]:
    """All statistics of one reading [batch layer *head target source]."""
    between = (None,) * (weights.ndim - 3)
    one_row, one_key = (slice(None), *between, None, slice(None)), (slice(None), *between, slice(None))
    tokens, rows = content_span(batch)[one_row], batch.chosen_mask[one_key]
    source = batch.source_mask[one_row].expand(*(-1 for _ in between), -1, weights.shape[-2], -1)
    span = tokens.expand(source.shape)
    categories = batch.source_categories[one_key]
    inside = measures.restrict(weights, span, LEAST_RETAINED)
    centers = measures.center_of_mass(inside.pattern, span)
    usable = torch.where(inside.retained.isnan(), torch.nan, (inside.retained >= LEAST_RETAINED).float())
    rowwise = {
        "entropy": measures.entropy(weights, source),
        "retained": inside.retained,
        "usable": usable,
        "span_entropy": measures.entropy(inside.pattern, span),
        "center": centers,
        "spread": measures.spread(inside.pattern, span),
    }
    means = {name: measures.masked_mean(values, rows) for name, values in rowwise.items()}
    covered = shares(coverage(torch.where(span, weights, 0.0), rows)[..., None, :])
    return means | {
        "mass": _mean_mass(weights, categories, rows),
        "span_mass": _mean_mass(inside.pattern, categories, rows),
        "monotonicity": monotonicity(centers, rows),
        "diagonality": diagonality(centers, rows),
        "evenness": measures.entropy(covered, tokens).squeeze(-1),
    }


def _mean_mass(weights: Tensor, categories: Tensor, rows: Tensor) -> Float[Tensor, "*leading category"]:
    """Mean over real rows of the mass of every category."""
    mass = measures.category_mass(weights, categories, len(CATEGORIES))
    return measures.masked_mean(mass.transpose(-1, -2), rows[..., None, :])


def illustrate(run: Pass) -> Arrays:
    """The readings of the first prompt of the pass, cut to its lengths.

    Returns:
        `{reading}` as [layer head target source] or [layer target source], `categories` [source], and `{method}.source`
        [layer target source] with `{method}.target` for ALTI+ and rollout; the patterns of both stacks [layer head query key];
        `source_words` [source], the word of every token or -1; and `bertviz`, whether to draw the heads on the prompt's page.
    """
    n_source, n_target = int(run.batch.source_mask[0].sum()), int(run.batch.target_mask[0].sum())
    shown = {name: weights[0, ..., :n_target, :n_source] for name, weights in readings(run).items()}
    for method, flow in (("alti", alti_or_undefined), ("rollout", rollout)):
        followed = flow(run.model, run.batch, run.cache)
        shown[f"{method}.source"] = followed.source[0, :, :n_target, :n_source]
        shown[f"{method}.target"] = followed.target[0, :, :n_target, :n_target]
    for stack, length in (("encoder", n_source), ("decoder", n_target)):
        shown[f"{stack}.pattern"] = run.cache.stack_activation("pattern", stack)[:, 0, :, :length, :length].float()
    shown["categories"] = run.batch.source_categories[0, :n_source]
    shown["source_words"] = torch.tensor(run.batch.source_texts[0].word_of_token)
    assert isinstance(run.settings, FocusSettings)
    shown["bertviz"] = torch.tensor(run.settings.bertviz_on_pages)
    return {name: values.cpu().numpy() for name, values in shown.items()}
