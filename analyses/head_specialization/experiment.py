"""What costs too much for all prompts and all twins: importance, copying, further controls and gold parses.

Run for the model and one untrained twin, on the first batches that hold `sample` prompts; syntax on all parsed sentences.
"""

from collections.abc import Sequence

import numpy as np
import torch

from analyses.core.contract import Arrays
from analyses.head_specialization.measure.copy_hits import examine_copying
from analyses.head_specialization.measure.importance import measure_importance
from analyses.head_specialization.measure.kept_patterns import observe_specimens
from analyses.head_specialization.measure.nulls import observe_nulls
from analyses.head_specialization.measure.observe import frame_of
from analyses.head_specialization.measure.similarity import head_distances
from analyses.head_specialization.measure.syntax import examine_syntax
from analyses.head_specialization.measure.translation import examine_translation
from analyses.head_specialization.settings import HeadSettings
from interp.axes import ATTENTION_KINDS
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import run_stacks
from interp.text.batch import Batch

_PAIRS = 16 * 32**2
"""Pairs of heads times prompts that are compared."""


def experiment(model: HookedEncoderDecoder, batches: Sequence[Batch], settings: HeadSettings) -> Arrays:
    """The arrays of `importance`, `copy_hits`, `translation`, `nulls`, `syntax`, `specimens`; `<kind>.similarity` of a sample."""
    sample = _sample(batches, settings.sample)
    found = {**measure_importance(model, sample, settings), **observe_specimens(model, batches)}
    if settings.copying == "all":
        found.update(examine_copying(model, sample, settings))
    if settings.parallel == "all":
        found |= examine_translation(model)
    if settings.similarity == "sample":
        found |= _similarity(model, sample[0])
    return {**found, **observe_nulls(model, sample, settings), **examine_syntax(model, settings)}


def _similarity(model: HookedEncoderDecoder, batch: Batch) -> dict[str, np.ndarray]:
    """Distances between heads on the first prompts; the more heads, the fewer prompts, because pairs grow with their square."""
    found = {}
    cache = run_stacks(model, batch, "*.hook_pattern").cache
    for kind in ATTENTION_KINDS:
        layers = [cache[f"{attention_path(kind, layer)}.hook_pattern"] for layer in range(model.cfg.layers_of(kind))]
        prompts = max(1, _PAIRS // (len(layers) * model.cfg.heads_of(kind)) ** 2)
        legal = frame_of(kind, batch).legal[:prompts]
        found[f"{kind}.similarity"] = head_distances(torch.stack(layers)[:, :prompts], legal)
    return found


def _sample(batches: Sequence[Batch], prompts: int) -> list[Batch]:
    """The first batches that hold this many prompts; all if there are fewer."""
    taken: list[Batch] = []
    for batch in batches:
        if sum(map(len, taken)) >= prompts:
            break
        taken.append(batch)
    return taken
