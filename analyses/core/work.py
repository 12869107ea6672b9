"""Work: a run's one list of units, which any process may compute in any order, and the process that computes them.

    shard        what every analysis observes of one model in `SHARD_PROMPTS` prompts
    weights      what every analysis reads from one model's weights
    experiment   what one analysis does to the model, or to the first twin

The list hangs on the prompts, the analyses and the number of twins alone: never on how many work at it, or where. What a unit
gives is kept in the run's shards, so a unit that is there is never computed again. Engines (`analyses.engines`) deal units out.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Protocol, runtime_checkable

import torch
from threadpoolctl import threadpool_limits

from analyses.core.contract import Arrays
from analyses.core.memory_use import free_model
from analyses.core.observing import (
    ConfiguredAnalysis,
    Progress,
    experiment_batches,
    has_experiment,
    label_of,
    observe_shard,
)
from analyses.core.shards import Observations, Shards, packed, shard_name
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import Architecture
from interp.text.batch import Batch


@dataclass(frozen=True, slots=True)
class Unit:
    """One piece of work.

    Attributes:
        twin: number of the twin, or None for the model.
        kind: see the module's docstring.
        index: of the shard.
        analysis: of the experiment.
    """

    twin: int | None
    kind: Literal["shard", "weights", "experiment"]
    index: int = 0
    analysis: str = ""

    @property
    def name(self) -> str:
        """What the names of its shards begin with."""
        return f"{label_of(self.twin)}-{f'{self.index:05d}' if self.kind == 'shard' else self.kind}"

    def __str__(self) -> str:
        return f"{self.name} of {self.analysis}" if self.analysis else self.name


@dataclass(frozen=True, slots=True, eq=False)
class Job:
    """All that another process needs to compute the units of a run.

    Attributes:
        load: gives the model.
        architecture: of the model, for its twins.
        ids: of the prompts.
        batches: all prompts, equally many in each batch but the last.
        shards: the first batch of every shard and the first behind it (`shard_bounds`).
        analyses: the analyses with their settings, fitted.
        seeds: of the twins.
        store: where shards are kept.
    """

    load: Callable[[], HookedEncoderDecoder]
    architecture: Architecture
    ids: Sequence[str]
    batches: Sequence[Batch]
    shards: Sequence[tuple[int, int]]
    analyses: Sequence[ConfiguredAnalysis]
    seeds: Sequence[int]
    store: Shards

    def units(self) -> list[Unit]:
        """The one list of all units, one model after another."""
        found = []
        for twin in (None, *range(len(self.seeds))):
            found += [Unit(twin, "shard", index) for index in range(len(self.shards))]
            found.append(Unit(twin, "weights"))
            if has_experiment(twin):
                found += [Unit(twin, "experiment", analysis=item.name) for item in self.analyses]
        return found

    def places(self, unit: Unit) -> list[str]:
        """The names under which a unit's numbers are kept."""
        return [shard_name(unit.name, name) for name in self._analyses_of(unit)]

    def _analyses_of(self, unit: Unit) -> list[str]:
        return [unit.analysis] if unit.analysis else [item.name for item in self.analyses]

    def has(self, unit: Unit) -> bool:
        """Whether a unit is there, whole."""
        return all(place in self.store for place in self.places(unit))

    def keep(self, computed: Mapping[str, Arrays]) -> None:
        """Keep what `Workshop.compute` gave."""
        for place, arrays in computed.items():
            self.store[place] = arrays

    def prompts_of(self, unit: Unit) -> Sequence[str]:
        """The ids of a shard's prompts; none of another unit's, which has to do with all."""
        if unit.kind != "shard":
            return ()
        start, stop = self.shards[unit.index]
        size = len(self.batches[0])
        return self.ids[start * size : stop * size]

    def observations(self, twin: int | None) -> Observations:
        """What one model gave, once all its units are there."""
        shards = tuple(Unit(twin, "shard", index).name for index in range(len(self.shards)))
        names = tuple(item.name for item in self.analyses)
        return Observations(self.store, label_of(twin), shards, names, names if has_experiment(twin) else ())


@runtime_checkable
class Engine(Protocol):
    """Deals the units of a job out to processes."""

    def session(self) -> AbstractContextManager[bool]:
        """Where runs are made: True in the process that makes them, False in one that has helped it and is done."""

    def make(self, job: Job, units: Sequence[Unit], progress: Progress) -> None:
        """Have units computed, and kept in the job's store.

        Args:
            job: the job.
            units: those of its units that are not there yet.
            progress: told of the progress.

        Raises:
            UnitError: if one failed `MOST_FAILURES` times.
        """


MOST_FAILURES = 3
"""Failures of one unit that stop a run; other units go on until then."""


class UnitError(RuntimeError):
    """A unit failed too often; the message names it, its prompts and the last reason."""

    @classmethod
    def of(cls, unit: Unit, job: Job, reason: object) -> "UnitError":
        """The error for a unit.

        Args:
            unit: the unit.
            job: the job that it belongs to.
            reason: why it failed last.
        """
        ids = ", ".join(job.prompts_of(unit))
        of_prompts = f" (prompts {ids})" if ids else ""
        return cls(f"{unit} failed {MOST_FAILURES} times, the last time with {reason}{of_prompts}")


@dataclass(slots=True, eq=False)
class Workshop:
    """Computes units in this process, with one model in memory at a time.

    Attributes:
        job: the job.
        model: the model, or a twin of it, that was used last, with its number.
    """

    job: Job
    model: tuple[int | None, HookedEncoderDecoder] | None = None

    def compute(self, unit: Unit) -> dict[str, Arrays]:
        """The numbers of one unit, by the names under which they are kept.

        Args:
            unit: the unit.
        """
        with one_thread():
            model, analyses = self._model(unit.twin), self.job.analyses
            found: Mapping[str, Arrays]
            if unit.kind == "shard":
                start, stop = self.job.shards[unit.index]
                group = [batch.to(model.device) for batch in self.job.batches[start:stop]]
                found = observe_shard(model, group, analyses)
            elif unit.kind == "weights":
                found = {item.name: item.examined(model) for item in analyses}
            else:
                groups = experiment_batches(model, self.job.batches)
                found = {item.name: item.experimented(model, groups) for item in analyses if item.name == unit.analysis}
            return {shard_name(unit.name, name): packed(arrays) for name, arrays in found.items()}

    def _model(self, twin: int | None) -> HookedEncoderDecoder:
        """The model or a twin, loaded or drawn anew where another was used last."""
        if self.model is None or self.model[0] != twin:
            held = 0 if self.model is None else self.model[1].hf.get_memory_footprint()
            self.model = None  # two would need twice the memory
            free_model(held)
            self.model = (twin, self.job.load() if twin is None else self._twin(self.job.seeds[twin]))
        return self.model[1]

    def _twin(self, seed: int) -> HookedEncoderDecoder:
        """A twin on this process' own accelerator, whichever the model is on where the run is made."""
        architecture = self.job.architecture
        return replace(architecture, device=torch.device(architecture.device.type)).twin(seed)


@contextmanager
def one_thread() -> Iterator[None]:
    """Compute on one thread, however many this process has: sums that are split over threads differ in their last bits."""
    before, deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        with threadpool_limits(1):
            yield
    finally:
        torch.set_num_threads(before)
        torch.use_deterministic_algorithms(deterministic, warn_only=True)
