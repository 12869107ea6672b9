"""Evidence: what a model, its untrained twins and one example give to the analyses, for a run as for a study in memory."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from analyses.core.contract import Evidence, Example
from analyses.core.observing import ConfiguredAnalysis, Progress, illustrate, no_progress, observe
from analyses.core.shards import MemoryShards, Observations, Shards
from interp.families.config import ModelConfig
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.text.batch import Batch


@dataclass(frozen=True, slots=True, eq=False)
class Gathered:
    """The evidence of all analyses; that of one is read when it is asked for.

    Attributes:
        cfg: the model's facts.
        prompt_ids: ids in the order of the prompt axis.
        target_origin: `given` or `generated`.
        model: what the model gave.
        twins: what its untrained twins gave.
        examples: analysis -> the prompt shown in full.
        seed: for resampling.
    """

    cfg: ModelConfig
    prompt_ids: tuple[str, ...]
    target_origin: str
    model: Observations
    twins: tuple[Observations, ...]
    examples: Mapping[str, Example]
    seed: int

    def of(self, item: ConfiguredAnalysis) -> Evidence:
        """All that `summarise` of one analysis may use."""
        return Evidence(
            cfg=self.cfg,
            prompt_ids=self.prompt_ids,
            target_origin=self.target_origin,
            model=self.model[item.name],
            twins=tuple(twin[item.name] for twin in self.twins),
            example=self.examples[item.name],
            settings=item.settings,
            seed=self.seed,
        )


def twin_seeds(seed: int, twins: int) -> tuple[int, ...]:
    """Seeds of the untrained twins, apart from the seed of resampling."""
    return tuple(1000 * (seed + 1) + index for index in range(twins))


def gather(
    analyses: Sequence[ConfiguredAnalysis],
    model: HookedEncoderDecoder,
    ids: Sequence[str],
    batches: Sequence[Batch],
    twins: int,
    seed: int,
    progress: Progress = no_progress,
    store: Shards | None = None,
    example: int = 1,
) -> Gathered:
    """Observe the model and its untrained twins, one twin in memory at a time, and show the first prompt in full.

    Args:
        analyses: the analyses with their settings.
        model: the model.
        ids: of the prompts.
        batches: the prompts, equally many in each batch but the last; the first is the example.
        twins: how many untrained controls.
        seed: of resampling; the twins' seeds are derived from it.
        progress: told of the progress.
        store: where shards are kept; in memory by default.
        example: the number of the first prompt in its set, from 1.
    """
    kept = MemoryShards() if store is None else store
    observed = observe(model, batches, analyses, kept, progress)
    controls = [
        observe(untrained_twin(model, drawn), batches, analyses, kept, progress, twin=number)
        for number, drawn in enumerate(twin_seeds(seed, twins))
    ]
    return Gathered(
        cfg=model.cfg,
        prompt_ids=tuple(ids),
        target_origin=batches[0].target_origin,
        model=observed,
        twins=tuple(controls),
        examples=illustrate(model, batches[0], 0, (example, ids[0]), analyses),
        seed=seed,
    )
