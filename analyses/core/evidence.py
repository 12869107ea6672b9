"""Evidence: what a model, its untrained twins and one example give to the analyses, for a run as for a study in memory."""

from collections.abc import Iterator, Sequence

from analyses.core.contract import Evidence
from analyses.core.effective_n import count_texts
from analyses.core.observing import ConfiguredAnalysis, Progress, illustrate, no_progress, observe
from analyses.core.shards import Shards
from analyses.core.twin_observations import begin_twins
from interp.model.hooked_model import HookedEncoderDecoder
from interp.statistics import Estimate, estimate_mean
from interp.text.batch import Batch
from interp.text.text_memory import remembering


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
    """
    kept: Shards = {} if store is None else store
    analyses = [item.fitted(model, batches) for item in analyses]
    with (
        remembering(model.tokenizer),
        begin_twins(model, batches, analyses, kept, twin_seeds(seed, twins)) as others,
    ):
        observed = observe(model, batches, analyses, kept, progress)
        controls = others.finish(progress)
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


def observed_estimate(evidence: Evidence, name: str) -> Estimate:
    """The mean over prompts of one observed array, with its interval and the untrained twins.

    Args:
        evidence: of an analysis.
        name: of the array, [prompt *cells].
    """
    model, *twins = (observed.prompts[name] for observed in (evidence.model, *evidence.twins))
    return estimate_mean(model, twins, evidence.seed)
