"""Observing: contributions of every writer for every prompt, as means over the decoder rows that predict a label.

Three read-outs are decomposed: the label's logit, the label against the mean of the vocabulary, and the label against the
runner-up, which is the best other token of the model that is observed. Rows are averaged inside a prompt, never pooled.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from analyses._contract import Arrays, Pass
from interp.attribution import (
    by_category,
    encoder_contributions,
    encoder_hooks,
    memory_components,
    memory_reads,
    memory_reads_by_head,
    source_contributions,
    source_hooks,
    squared_shares,
    stacked,
)
from interp.model import HookedEncoderDecoder
from interp.readout import (
    Readout,
    completeness_gap,
    label_tokens,
    largest_logit,
    logit_against_mean,
    logit_difference,
    runner_up,
    token_logit,
)
from interp.residual import DecoderContributions, component_labels, contribution_hooks, decoder_contributions
from interp.tokens import Batch, category_counts

HOOKS = tuple(dict.fromkeys((*contribution_hooks(), *source_hooks(), *encoder_hooks())))

READOUTS = ("difference", "label", "centred")
"""Label less runner-up; the label's logit; the label less the mean of the vocabulary."""


def observe(run: Pass) -> Arrays:
    """Per prompt: contributions for each read-out, their gaps, shares of the stream, and cross heads by source category."""
    model, batch, logits, cache = run.model, run.batch, run.logits, run.cache
    rows, largest = row_weights(batch), largest_logit(logits, batch)
    readouts = readouts_of(run)
    arrays = {}
    contributions = {name: decoder_contributions(model, cache, one.directions) for name, one in readouts.items()}
    for name, readout in readouts.items():
        components = stacked(contributions[name])
        arrays[f"{name}.components"] = _mean_over_rows(components, rows)
        arrays[f"{name}.value"] = _mean_over_rows(readout.values, rows)
        arrays[f"{name}.gap"] = completeness_gap(components.sum(-1), readout, largest, batch)
    arrays["share.components"] = _mean_over_rows(squared_shares(model, cache), rows)
    by_source, error = source_split(run, readouts["difference"], contributions["difference"])
    arrays["difference.categories"] = by_category(by_source, batch.source_categories)
    arrays["difference.source_gap"] = error / largest
    by_component = encoder_split(run, readouts["difference"])
    arrays["difference.memory"] = by_component.sum(-2)
    arrays["difference.memory_gap"] = (by_component.sum(-1) - by_source).abs().amax((1, 2, 3)) / largest
    arrays["tokens"] = category_counts(batch)
    arrays["rows"] = batch.target_mask.sum(1)
    arrays["first_choice"] = (logits.argmax(-1) == batch.labels).sum(1) / arrays["rows"]
    return {name: values.float().cpu().numpy() for name, values in arrays.items()}


def readouts_of(run: Pass) -> dict[str, Readout]:
    """The three numbers that are explained, for every decoder row."""
    tokens = label_tokens(run.batch)
    foils = runner_up(run.logits, tokens)
    return {
        "difference": logit_difference(run.model, run.logits, tokens, foils),
        "label": token_logit(run.model, run.logits, tokens),
        "centred": logit_against_mean(run.model, run.logits, tokens),
    }


def row_weights(batch: Batch) -> Float[Tensor, "batch target"]:
    """1 / number of labels at rows that predict one, 0 at padding."""
    mask = batch.target_mask.float()
    return mask / mask.sum(1, keepdim=True)


def source_split(
    run: Pass, readout: Readout, contributions: DecoderContributions
) -> tuple[Float[Tensor, "batch layer head source"], Float[Tensor, " batch"]]:
    """Cross heads over source tokens, averaged over decoder rows; and the largest |sum over source tokens - head|."""
    rows, read = row_weights(run.batch), readout.frozen(run.cache)
    averaged, errors = [], []
    for layer in range(run.model.cfg.n_decoder_layers):
        split = source_contributions(run.model, run.cache, "cross", layer, read)
        error = (split.sum(-1).transpose(1, 2) - contributions.cross[:, :, layer]).abs()
        errors.append((error * run.batch.target_mask.unsqueeze(-1)).amax((1, 2)))
        averaged.append(torch.einsum("bhts,bt->bhs", split, rows))
    return torch.stack(averaged, 1), torch.stack(errors).amax(0)


def encoder_split(run: Pass, readout: Readout) -> Float[Tensor, "batch layer head source component"]:
    """Cross heads over source tokens and encoder components, averaged over decoder rows.

    One prompt at a time, so that no more than one prompt's encoder components are in memory.
    """
    rows, read = row_weights(run.batch), readout.frozen(run.cache)
    layers = range(run.model.cfg.n_decoder_layers)
    prompts = []
    for prompt in range(len(run.batch)):
        cache, one = run.cache.select(prompt), slice(prompt, prompt + 1)
        components = memory_components(run.model, cache)
        reads = [memory_reads_by_head(run.model, cache, read[one], rows[one], layer) for layer in layers]
        prompts.append(torch.stack([encoder_contributions(components, by_head) for by_head in reads], 1))
    return torch.cat(prompts)


def _mean_over_rows(values: Float[Tensor, "batch target ..."], rows: Float[Tensor, "batch target"]) -> Tensor:
    return torch.einsum("bt...,bt->b...", values, rows)


def illustrate(run: Pass) -> dict[str, np.ndarray]:
    """The first prompt in full: components of every row, and every cross head over source tokens at every row.

    Returns:
        `components` [target component], `sources` [layer head target source], `memory` [target source component] of all
        cross heads together, `value` [target], `runner_up` [target], the pieces of the foils, and `component_names`.
    """
    readout = readouts_of(run)["difference"]
    read = readout.frozen(run.cache)
    layers = range(run.model.cfg.n_decoder_layers)
    sources = [source_contributions(run.model, run.cache, "cross", layer, read)[0] for layer in layers]
    foils = runner_up(run.logits, label_tokens(run.batch))[0]
    shown = {
        "components": stacked(decoder_contributions(run.model, run.cache, readout.directions))[0],
        "sources": torch.stack(sources),
        "memory": encoder_contributions(
            memory_components(run.model, run.cache), memory_reads(run.model, run.cache, read)
        )[0],
        "value": readout.values[0],
    }
    arrays = {name: values.float().cpu().numpy() for name, values in shown.items()}
    cfg = run.model.cfg
    names = component_labels(cfg.n_decoder_layers, cfg.n_heads)
    return arrays | {"runner_up": _pieces(run.model, foils), "component_names": np.array(names)}


def _pieces(model: HookedEncoderDecoder, tokens: Tensor) -> np.ndarray:
    """Tokens as the tokenizer writes them; as numbers for models without one."""
    ids = tokens.tolist()
    return np.array(
        [str(token) for token in ids] if model.tokenizer is None else model.tokenizer.convert_ids_to_tokens(ids)
    )
