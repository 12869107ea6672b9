"""One run of the embedding geometry without the runner: model and twins observed, evidence gathered."""

from collections.abc import Sequence

import numpy as np
import torch

from analyses.core.contract import Evidence, Example, Observed, Pass
from analyses.core.effective_n import count_texts
from analyses.embedding_geometry import ANALYSIS, GeometrySettings
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.text.batch import Batch


def observed(model: HookedEncoderDecoder, batches: Sequence[Batch], settings: GeometrySettings) -> Observed:
    """What one model gives, batch by batch, weights included."""
    shards = []
    for batch in batches:
        with torch.no_grad():
            logits, cache = model.run_with_cache(batch, list(ANALYSIS.hooks))
            shards.append(ANALYSIS.observe(Pass(model, batch, logits, cache, settings)))
    prompts = {name: np.concatenate([shard[name] for shard in shards]).astype(np.float32) for name in shards[0]}
    return Observed(prompts, ANALYSIS.examine(model, settings))


def evidence(
    model: HookedEncoderDecoder, batches: Sequence[Batch], settings: GeometrySettings, n_twins: int = 2
) -> Evidence:
    """The evidence of a model and its twins."""
    twins = tuple(observed(untrained_twin(model, seed), batches, settings) for seed in range(n_twins))
    n_prompts = sum(len(batch) for batch in batches)
    ids = tuple(f"prompt-{index}" for index in range(n_prompts))
    example = Example("prompt-0", (), (), (), {})
    own = observed(model, batches, settings)
    return Evidence(
        model.cfg, ids, batches[0].target_origin, own, twins, example, settings, seed=0, texts=count_texts(batches)
    )
