"""What is done at every moment of every run: load, observe, judge; in a second process too, since no moment needs another."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

from analyses.circuits.summary import NoCircuit
from analyses.core.contract import Arrays, Observed
from analyses.core.memory_use import use_once
from analyses.core.observing import ConfiguredAnalysis, no_progress, observe
from analyses.core.shards import Observations, Shards, make_missing
from analyses.head_specialization import HeadSettings
from analyses.runs.config import RunConfig
from analyses.runs.loading import load_for
from analyses.trace.circuit_following import CIRCUITS, Following
from analyses.trace.moments import Moment
from analyses.trace.parted_shards import PartedShards
from analyses.trace.snapshots import HEADS, Snapshot, read_snapshot
from analyses.trace.trace import Part
from analyses.trace.watching import WATCH
from interp.families.config import ModelConfig
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt
from interp.text.batch import Batch
from interp.text.text_memory import remembering


@dataclass(frozen=True, slots=True)
class Place:
    """One moment of one run.

    Attributes:
        run: number of the run.
        part: what the run is there for.
        moment: the moment.
    """

    run: int
    part: Part
    moment: Moment


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """What one moment gave.

    Attributes:
        snapshot: in numbers.
        observations: of every analysis; its shards are read when they are asked for.
        circuits: what was followed there; nothing in runs beside the main one.
    """

    snapshot: Snapshot
    observations: Observations
    circuits: tuple[Arrays, ...]


@dataclass(frozen=True, slots=True, eq=False)
class MomentReader:
    """Reads moments; all that is the same for them.

    Attributes:
        places: the moments, those of one run behind those of another.
        config: where to compute, and the seed.
        cfg: the model's facts.
        prompts: the prompts, in the order of the batches.
        batches: the prompts as every model reads them.
        asked: the analyses of the main run; those beside it are asked for loss and heads.
        settings: of head specialization.
        twins: what untrained twins gave to it.
        following: what is asked of circuits.
        fault: why the targets say nothing; empty if they do.
        store: where shards are kept.
    """

    places: Sequence[Place]
    config: RunConfig
    cfg: ModelConfig
    prompts: Sequence[Prompt]
    batches: Sequence[Batch]
    asked: Sequence[ConfiguredAnalysis]
    settings: HeadSettings
    twins: Sequence[Observed]
    following: Following | NoCircuit | None
    fault: str
    store: PartedShards

    def read(self, number: int) -> Seen:
        """One moment.

        Args:
            number: its place.
        """
        place = self.places[number]
        kept = self.store.for_part(f"run-{place.run}-step-{place.moment.step}")
        own = [item for item in self.asked if place.part == "main" or item.name in (WATCH.name, HEADS)]

        def see(model: HookedEncoderDecoder) -> tuple[Observations, tuple[Arrays, ...]]:
            with remembering(model.tokenizer):
                found = observe(model, self.batches, own, kept, no_progress, asked=(HEADS,))
            return found, self._circuits(model, kept) if place.part == "main" else ()

        found, circuits = use_once(lambda: load_for(self.config, place.moment.checkpoint), see)
        snapshot = read_snapshot(
            place.moment.step,
            {item.name: found.of(item.name) for item in own},
            self.twins,
            self.cfg,
            [prompt.prefix for prompt in self.prompts],
            self.settings,
            self.config.seed,
            self.fault,
        )
        return Seen(snapshot, found, circuits)

    def _circuits(self, model: HookedEncoderDecoder, store: Shards) -> tuple[Arrays, ...]:
        """The circuits of one moment, from its shard if that is there; none where nothing is followed."""
        if not isinstance(self.following, Following):
            return ()
        make_missing(store, CIRCUITS, partial(self.following.at, model))
        return (store[CIRCUITS],)
