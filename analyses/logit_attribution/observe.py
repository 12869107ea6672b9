"""Observing: contributions of every writer for every prompt, as means over the decoder rows that predict a label.

Three read-outs are decomposed: the label's logit, the label against the mean of the vocabulary, and the label against the
runner-up, which is the best other token of the model that is observed. Rows are averaged inside a prompt, never pooled.
"""

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from analyses.core.contract import Arrays, Pass, Settings
from interp.attribution.components import Component
from interp.attribution.direct_logit_attribution import Decomposition, decompose, decomposition_hooks
from interp.attribution.frozen_norms import squared_norm_shares
from interp.attribution.logit_readout import (
    Readout,
    completeness_gap,
    label_tokens,
    logit_against_mean,
    logit_difference,
    runner_up,
    size_of_parts,
    token_logit,
)
from interp.attribution.source_attribution import (
    by_category,
    encoder_attribution,
    encoder_attribution_by_head,
    source_contributions,
)
from interp.families.config import ModelConfig
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch, category_counts
from interp.text.pieces import pieces_of

READOUTS = ("difference", "label", "centered")
"""Label less runner-up; the label's logit; the label less the mean of the vocabulary."""


def hooks_on(cfg: ModelConfig) -> tuple[str, ...]:
    """What is read on a model of these facts."""
    return decomposition_hooks(cfg)


def examine(model: HookedEncoderDecoder, _: Settings) -> Arrays:
    """How many rows of the embedding stand for nothing; they are no runner-up, no rank and no reading of a neuron."""
    return {"rows_without_a_piece": (~model.named_rows).sum(0, keepdim=True).cpu().numpy()}


def observe(run: Pass) -> Arrays:
    """Per prompt: contributions for each read-out, their gaps, shares of the stream, and cross heads by source category."""
    model, batch, logits, cache = run.model, run.batch, run.logits, run.cache
    rows, readouts = row_weights(batch), readouts_of(run)
    arrays = {}
    contributions = {name: decompose(model, cache, one) for name, one in readouts.items()}
    for name, readout in readouts.items():
        components = contributions[name].values
        arrays[f"{name}.components"] = _mean_over_rows(components, rows)
        arrays[f"{name}.value"] = _mean_over_rows(readout.values, rows)
        arrays[f"{name}.gap"] = completeness_gap(components.sum(-1), readout, size_of_parts(components), batch)
    arrays["share.components"] = _mean_over_rows(squared_norm_shares(model, cache), rows)
    by_source, error = source_split(run, contributions["difference"])
    arrays["difference.categories"] = by_category(by_source, batch.source_categories)
    size = size_of_parts(contributions["difference"].values)
    arrays["difference.source_gap"] = (error / size).masked_fill(~batch.target_mask, 0.0).amax(-1)
    by_component = encoder_attribution_by_head(model, cache, contributions["difference"], rows)
    arrays["difference.memory"] = by_component.sum(-2)
    by_head = (by_component.sum(-1) - by_source).abs().amax((1, 2, 3))
    arrays["difference.memory_gap"] = by_head / _mean_over_rows(size, rows)
    arrays["tokens"] = category_counts(batch)
    arrays["rows"] = batch.chosen_mask.sum(1)
    arrays["first_choice"] = _mean_over_rows((logits.argmax(-1) == batch.labels).float(), rows)
    return {name: values.float().cpu().numpy() for name, values in arrays.items()}


def readouts_of(run: Pass) -> dict[str, Readout]:
    """The three numbers that are explained, for every decoder row."""
    tokens = label_tokens(run.batch)
    foils = runner_up(run.model, run.logits, tokens)
    return {
        "difference": logit_difference(run.model, run.logits, tokens, foils),
        "label": token_logit(run.model, run.logits, tokens),
        "centered": logit_against_mean(run.model, run.logits, tokens),
    }


def row_weights(batch: Batch) -> Float[Tensor, "batch target"]:
    """1 / number of rows that choose a label, 0 at padding and at forced tokens."""
    mask = batch.chosen_mask.float()
    return mask / mask.sum(1, keepdim=True)


def source_split(
    run: Pass, decomposition: Decomposition
) -> tuple[Float[Tensor, "batch layer head source"], Float[Tensor, "batch target"]]:
    """Cross heads over source tokens, averaged over decoder rows; and by row the largest |sum over source tokens - head|."""
    rows, averaged, errors = row_weights(run.batch), [], []
    for layer, direction in enumerate(decomposition.cross_directions):
        split = source_contributions(run.model, run.cache, "cross", layer, direction)
        heads = [place for place, one in enumerate(decomposition.components) if _is_cross(one, layer)]
        errors.append((split.sum(-1).transpose(1, 2) - decomposition.values[..., heads]).abs().amax(-1))
        averaged.append(torch.einsum("bhts,bt->bhs", split, rows))
    return torch.stack(averaged, 1), torch.stack(errors).amax(0)


def _is_cross(component: Component, layer: int) -> bool:
    return component.kind == "cross-attention head" and component.layer == layer


def _mean_over_rows(values: Float[Tensor, "batch target ..."], rows: Float[Tensor, "batch target"]) -> Tensor:
    return torch.einsum("bt...,bt->b...", values, rows)


def illustrate(run: Pass) -> dict[str, np.ndarray]:
    """The first prompt in full: components of every row, and every cross head over source tokens at every row.

    Returns:
        `components` [target component], `sources` [layer head target source], `memory` [target source component] of all
        cross heads together, `value` [target], `runner_up` [target], the pieces of the foils, and `component_names`.
    """
    readout = readouts_of(run)["difference"]
    found = decompose(run.model, run.cache, readout)
    sources = [
        source_contributions(run.model, run.cache, "cross", layer, direction)[0]
        for layer, direction in enumerate(found.cross_directions)
    ]
    foils = runner_up(run.model, run.logits, label_tokens(run.batch))[0]
    shown = {
        "components": found.values[0],
        "sources": torch.stack(sources),
        "memory": encoder_attribution(run.model, run.cache, found)[0],
        "value": readout.values[0],
    }
    arrays = {name: values.float().cpu().numpy() for name, values in shown.items()}
    return arrays | {
        "runner_up": np.array(pieces_of(run.model.tokenizer, foils.tolist())),
        "component_names": np.array([one.label for one in found.components]),
    }
