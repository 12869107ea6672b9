"""Observing untrained twins, in a second process where that pays: they need nothing of the model but its architecture.

The numbers are those of one process: a twin is drawn from its seed, and both processes compute on as many threads.
"""

from collections.abc import Container, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

from analyses.core.memory_use import use_once
from analyses.core.observing import ConfiguredAnalysis, Progress, no_progress, observe
from analyses.core.shards import Observations, Shards
from analyses.core.shared_work import SharedWork, share_work, worker_for
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import Architecture
from interp.text.batch import Batch
from interp.text.text_memory import remembering


@dataclass(frozen=True, slots=True, eq=False)
class TwinWork:
    """What the twins of one model are observed on.

    Attributes:
        architecture: of the model.
        batches: the prompts.
        analyses: the analyses with their settings.
        store: where shards are kept.
        seeds: of the twins.
        asked: see `observe`.
    """

    architecture: Architecture
    batches: Sequence[Batch]
    analyses: Sequence[ConfiguredAnalysis]
    store: Shards
    seeds: Sequence[int]
    asked: Container[str] | None

    def observe(self, number: int, progress: Progress = no_progress) -> Observations:
        """One twin, drawn and observed in this process."""

        def see(twin: HookedEncoderDecoder) -> Observations:
            with remembering(twin.tokenizer):
                return observe(twin, self.batches, self.analyses, self.store, progress, number, self.asked)

        return use_once(lambda: self.architecture.twin(self.seeds[number]), see)


def begin_twins(
    model: HookedEncoderDecoder,
    batches: Sequence[Batch],
    analyses: Sequence[ConfiguredAnalysis],
    store: Shards,
    seeds: Sequence[int],
    asked: Container[str] | None = None,
) -> AbstractContextManager[SharedWork[Observations]]:
    """Begin to observe twins in a second process, if there is one and it pays, while this one observes the model.

    Args:
        model: the model.
        batches: all prompts.
        analyses: the analyses with their settings.
        store: where shards are kept and found.
        seeds: of the twins.
        asked: see `observe`.
    """
    work = TwinWork(Architecture.of(model), batches, analyses, store, seeds, asked)
    worker = worker_for(model, sum(map(len, batches)) * len(seeds))
    # Shards in memory would be those of another process.
    elsewhere = replace(work, store={}) if isinstance(store, dict) else work
    return share_work(len(seeds), work.observe, worker, elsewhere.observe)
