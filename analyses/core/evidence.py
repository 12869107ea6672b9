"""Evidence: what a model, its untrained twins and one example give to the analyses, for a run as for a study in memory."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from analyses.core.contract import Evidence
from analyses.core.effective_n import count_texts
from analyses.core.memory_use import page_out
from analyses.core.observing import ConfiguredAnalysis, Progress, illustrate, no_progress, observe, shard_bounds
from analyses.core.shards import Observations, Shards
from analyses.core.twin_observations import begin_twins
from analyses.core.work import Engine, Job
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import Architecture
from interp.statistics import REAL, Estimate, Support, estimate_mean
from interp.text.batch import Batch
from interp.text.text_memory import remembering


def twin_seeds(seed: int, twins: int) -> tuple[int, ...]:
    """Seeds of the untrained twins, apart from the seed of resampling."""
    return tuple(1000 * (seed + 1) + index for index in range(twins))


@dataclass(frozen=True, slots=True, eq=False)
class Crew:
    """Other processes that observe.

    Attributes:
        engine: deals the work out to them.
        load: gives the model in each of them.
    """

    engine: Engine
    load: Callable[[], HookedEncoderDecoder]


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
    crew: Crew | None = None,
) -> Iterator[Evidence]:
    """All that `summarize` of each analysis may use, one after another, once all models have been observed.

    Args:
        analyses: the analyses with their settings.
        model: the model.
        ids: of the prompts.
        batches: the prompts, equally many in each batch but the last; the first prompt is the example.
        twins: how many untrained controls; one of them is in memory of each process at a time.
        seed: of resampling; the twins' seeds are derived from it.
        progress: told of the progress.
        store: where shards are kept; in memory by default.
        example: the number of the first prompt in its set, from 1.
        crew: who observes; by default this process, and a second one where that pays.
    """
    kept: Shards = {} if store is None else store
    analyses = [item.fitted(model, batches) for item in analyses]
    seeds = twin_seeds(seed, twins)
    if crew is None:
        with remembering(model.tokenizer), begin_twins(model, batches, analyses, kept, seeds) as others:
            observed = observe(model, batches, analyses, kept, progress)
            page_out(model.hf.parameters())
            controls = others.finish("observing untrained twins", progress)
    else:
        job = Job(crew.load, Architecture.of(model), ids, batches, shard_bounds(batches), analyses, seeds, kept)
        observed, *controls = _by_crew(crew, job, progress)
    examples = illustrate(model, batches[0], 0, (example, ids[0]), analyses)
    texts = count_texts(batches)
    for item in analyses:
        yield Evidence(
            cfg=model.cfg,
            prompt_ids=tuple(ids),
            target_origin=batches[0].target_origin,
            model=observed.of(item.name),
            twins=tuple(control.of(item.name) for control in controls),
            example=examples[item.name],
            settings=item.settings,
            seed=seed,
            texts=texts,
        )


def _by_crew(crew: Crew, job: Job, progress: Progress) -> list[Observations]:
    """What the model and its twins gave to others."""
    crew.engine.make(job, [unit for unit in job.units() if not job.has(unit)], progress)
    return [job.observations(twin) for twin in (None, *range(len(job.seeds)))]


def observed_estimate(evidence: Evidence, name: str, support: Support = REAL) -> Estimate:
    """The mean over prompts of one observed array, with its interval and the untrained twins.

    Args:
        evidence: of an analysis.
        name: of the array, [prompt *cells].
        support: the smallest and the largest value that it can have.
    """
    model, *twins = (observed.prompts[name] for observed in (evidence.model, *evidence.twins))
    return estimate_mean(model, twins, evidence.seed, support=support)
