"""Lenses: when the answer appears, layer by layer of the decoder, and as the decoder reads ever later layers of the encoder.

Three curves over the sample's prompts (definitions in `lenses`): the logit lens, the accumulated attribution of the logit
difference, and DecoderLens. Every curve's last point is the model itself.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from analyses.core.contract import Arrays
from analyses.logit_attribution.observe import row_weights
from interp.attribution.direct_logit_attribution import decomposition_hooks
from interp.attribution.lenses import (
    Trajectory,
    accumulated_attribution,
    decoder_lens,
    decoder_lens_texts,
    lens_hooks,
    logit_lens,
)
from interp.attribution.logit_readout import label_tokens, logit_difference, runner_up
from interp.model.hooked_model import HookedEncoderDecoder
from interp.statistics import REAL, SHARE, Estimate, Support, estimate_mean
from interp.text.batch import Batch

CURVES = {
    "log_probability": "lens.log_probability",
    "first_choice": "lens.first_choice",
    "rank": "lens.rank",
    "accumulated": "accumulated",
    "encoder_log_probability": "decoder_lens.log_probability",
    "encoder_first_choice": "decoder_lens.first_choice",
    "encoder_rank": "decoder_lens.rank",
}
"""Field of `LensCurves` -> array of an experiment."""


def read_lenses(model: HookedEncoderDecoder, batch: Batch) -> Arrays:
    """The curves of every prompt, as means over its decoder rows.

    Returns:
        For each array of `CURVES` [prompt depth]; depths are the decoder's for `lens` and `accumulated`, the encoder's for
        `decoder_lens`, and depth 0 is the embedding.
    """
    with torch.no_grad():
        hooks = (*lens_hooks(model, "decoder"), *lens_hooks(model, "encoder"), *decomposition_hooks(model.cfg))
        logits, cache = model.run_with_cache(batch, hooks)
        tokens = label_tokens(batch)
        difference = logit_difference(model, logits, tokens, runner_up(model, logits, tokens))
        curves = {
            "accumulated": accumulated_attribution(model, cache, difference),
            **_named("lens", logit_lens(model, cache, tokens)),
            **_named("decoder_lens", decoder_lens(model, batch, cache, tokens)),
        }
    weights = row_weights(batch)
    return {name: torch.einsum("bdt,bt->bd", curve.float(), weights).cpu().numpy() for name, curve in curves.items()}


def _named(name: str, trajectory: Trajectory) -> dict[str, Tensor]:
    return {
        f"{name}.log_probability": trajectory.log_probability,
        f"{name}.first_choice": trajectory.rank == 0,
        f"{name}.rank": trajectory.rank + 1,
    }


@dataclass(frozen=True, slots=True, eq=False)
class LensCurves:
    """The curves with intervals and control; cells are depths.

    Attributes:
        log_probability: of the label, by the logit lens.
        first_choice: share of rows whose label is the logit lens' first choice.
        rank: of the label by the logit lens, 1 being the first choice.
        accumulated: running sum of direct contributions to the logit difference.
        encoder_log_probability: of the label, by DecoderLens.
        encoder_first_choice: share of rows whose label is DecoderLens' first choice.
        encoder_rank: of the label by DecoderLens.
        texts: what the decoder writes by itself from every encoder depth, for the first prompt of the sample; empty for models
            without text.
    """

    log_probability: Estimate
    first_choice: Estimate
    rank: Estimate
    accumulated: Estimate
    encoder_log_probability: Estimate
    encoder_first_choice: Estimate
    encoder_rank: Estimate
    texts: tuple[str, ...] = ()


def lens_curves(model: Arrays, twins: Sequence[Arrays], seed: int) -> LensCurves:
    """From curves per prompt to estimates."""
    found = {
        field: estimate_mean(model[name], [twin[name] for twin in twins], seed, support=_support_of(name))
        for field, name in CURVES.items()
    }
    return LensCurves(**found, texts=tuple(map(str, model.get("decoder_lens.texts", ()))))


def _support_of(name: str) -> Support:
    supports = {"first_choice": SHARE, "rank": (1.0, np.inf), "log_probability": (-np.inf, 0.0)}
    return supports.get(name.rpartition(".")[2], REAL)


def decoder_lens_text(model: HookedEncoderDecoder, batch: Batch) -> Arrays:
    """What the decoder writes greedily when it reads every depth of the encoder, for the first prompt (DecoderLens, free).

    Returns:
        `decoder_lens.texts` [depth], or nothing for models without a tokenizer.
    """
    if model.tokenizer is None:
        return {}
    one = batch.select(0)
    with torch.no_grad():
        _, cache = model.run_with_cache(one, lens_hooks(model, "encoder"))
        texts = decoder_lens_texts(model, one, cache, max_new_tokens=2 * one.labels.shape[1] + 8)
    return {"decoder_lens.texts": np.array([depth[0].text for depth in texts])}
