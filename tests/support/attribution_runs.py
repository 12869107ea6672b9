"""One pass of a model with its logit difference decomposed; and what the runner does, for that analysis alone."""

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from analyses.core.contract import Evidence, Example, Observed, Pass, Settings
from analyses.core.effective_n import count_texts
from analyses.logit_attribution import ANALYSIS, LogitAttribution, illustrate, summarize
from analyses.logit_attribution.observe import observe
from interp.attribution.direct_logit_attribution import decompose, decomposition_hooks
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
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch
from tests.support.models import random_batch


class Decomposed:
    """One pass of a model on random tokens, with exactly the activations that are asked for."""

    def __init__(self, model: HookedEncoderDecoder) -> None:
        self.model, self.batch = model, random_batch(model)
        self.logits, self.cache = model.run_with_cache(self.batch, decomposition_hooks(model.cfg))
        tokens = label_tokens(self.batch)
        self.readouts: dict[str, Readout] = {
            "label": token_logit(model, self.logits, tokens),
            "difference": logit_difference(model, self.logits, tokens, runner_up(model, self.logits, tokens)),
            "mean": logit_against_mean(model, self.logits, tokens),
        }
        self.readout = self.readouts["difference"]
        self.found = decompose(model, self.cache, self.readout)
        self.largest = self.logits.abs().amax(-1).masked_fill(~self.batch.target_mask, 0.0).float().amax(-1)
        self.mask = self.batch.target_mask

    def gap(self, total: Tensor, name: str = "difference") -> float:
        """How far a sum is from a read-out, as a share of its contributions' size."""
        readout = self.readouts[name]
        size = size_of_parts(decompose(self.model, self.cache, readout).values)
        return float(completeness_gap(total, readout, size, self.batch).max())

    def relative(self, first: Tensor, second: Tensor) -> float:
        """Largest difference of two arrays [batch target ...] at real rows, as a share of the largest |logit|."""
        return float((first - second)[self.mask].abs().max() / self.largest.max())


def one_pass(model: HookedEncoderDecoder, batch: Batch) -> Pass:
    """One forward pass with the activations that the analysis asks for."""
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, ANALYSIS.hooks_on(model.cfg))
    return Pass(model, batch, logits, cache, Settings())


def analyzed(
    model: HookedEncoderDecoder, batches: Sequence[Batch], twins: Sequence[HookedEncoderDecoder]
) -> LogitAttribution:
    """The result of a model on some prompts, with these models as its untrained twins."""

    def observed(subject: HookedEncoderDecoder) -> Observed:
        parts = [observe(one_pass(subject, batch)) for batch in batches]
        prompts = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
        return Observed(prompts, ANALYSIS.examine(subject, Settings()))

    single = batches[0].select(0)
    example = Example(
        id="p0",
        source_pieces=single.source_texts[0].pieces,
        decoder_pieces=single.decoder_pieces(0),
        label_pieces=single.target_texts[0].pieces,
        arrays=illustrate(one_pass(model, single)),
    )
    ids = tuple(f"p{index}" for index in range(sum(len(batch) for batch in batches)))
    evidence = Evidence(
        cfg=model.cfg,
        prompt_ids=ids,
        target_origin=single.target_origin,
        model=observed(model),
        twins=tuple(observed(twin) for twin in twins),
        example=example,
        settings=Settings(),
        seed=0,
        texts=count_texts(batches),
    )
    return summarize(evidence)
