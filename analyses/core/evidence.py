"""Gathering: the evidence of one analysis in memory, for a study and for whoever wants one analysis without a run.

The numbers are those of `interp run`: the same observers, untrained twins, experiments and example. Nothing is written.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from analyses.core.contract import Evidence
from analyses.core.observing import Advance, Chosen, Subject, illustrate, observe, observe_twins, twin_seeds
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch


class _Memory:
    """Keeps shards in memory: all is computed in one go."""

    def __init__(self) -> None:
        self._shards: dict[str, Mapping[str, np.ndarray]] = {}

    def has_shard(self, name: str) -> bool:
        return name in self._shards

    def read_shard(self, name: str, prefix: str = "") -> dict[str, np.ndarray] | None:
        return {key: values for key, values in self._shards[name].items() if key.startswith(prefix)}

    def write_shard(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        self._shards[name] = arrays


def gather(
    item: Chosen,
    model: HookedEncoderDecoder,
    ids: Sequence[str],
    batches: Sequence[Batch],
    twins: int,
    seed: int,
    advance: Advance,
) -> Evidence:
    """All that one analysis' `summarise` may use.

    Args:
        item: the analysis with its settings.
        model: the model.
        ids: of the prompts.
        batches: the prompts; the first is the example.
        twins: how many untrained controls.
        seed: of resampling; the twins' seeds are derived from it as in a run.
        advance: progress.
    """
    name, size, store = item.analysis.name, len(batches[0]), _Memory()
    observed = observe(Subject("model", model), batches, size, [item], store, advance)
    controls = observe_twins(model, twin_seeds(seed, twins), batches, size, [item], store, advance)
    return Evidence(
        cfg=model.cfg,
        prompt_ids=tuple(ids),
        target_origin=batches[0].target_origin,
        model=observed[name],
        twins=tuple(control[name] for control in controls),
        example=illustrate(model, batches[0], 0, (1, ids[0]), [item])[name],
        settings=item.settings,
        seed=seed,
    )
