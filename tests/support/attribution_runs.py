"""What the runner does, for the logit-attribution analysis alone."""

from collections.abc import Sequence

import numpy as np
import torch

from analyses.core.contract import Evidence, Example, Observed, Pass, Settings
from analyses.logit_attribution import ANALYSIS, LogitAttribution, illustrate, observe, summarise
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch


def one_pass(model: HookedEncoderDecoder, batch: Batch) -> Pass:
    """One forward pass with the activations that the analysis asks for."""
    with torch.no_grad():
        logits, cache = model.run_with_cache(batch, ANALYSIS.hooks_on(model.cfg))
    return Pass(model, batch, logits, cache, Settings())


def analysed(
    model: HookedEncoderDecoder, batches: Sequence[Batch], twins: Sequence[HookedEncoderDecoder]
) -> LogitAttribution:
    """The result of a model on some prompts, with these models as its untrained twins."""

    def observed(subject: HookedEncoderDecoder) -> Observed:
        parts = [observe(one_pass(subject, batch)) for batch in batches]
        return Observed({name: np.concatenate([part[name] for part in parts]) for name in parts[0]}, {})

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
    )
    return summarise(evidence)
