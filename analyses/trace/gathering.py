"""All moments of all runs, observed on the same prompts and targets: what the page is made from.

The batches are made once, with the tokenizer of the main run's last moment, and every model reads these very batches: nothing of
the decoder's input can change between moments. Runs beside the main one are asked for heads and loss alone. Circuits are of pairs
of their own, the same at every moment.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from analyses.circuits.summary import NoCircuit
from analyses.core.contract import Arrays, Observed
from analyses.core.effective_n import count_texts
from analyses.core.evidence import twin_seeds
from analyses.core.observing import ConfiguredAnalysis, Progress, make_batches, no_progress
from analyses.core.shards import Observations
from analyses.core.shared_work import share_work, worker_for
from analyses.core.twin_observations import begin_twins
from analyses.head_specialization import HeadSettings
from analyses.head_specialization.measure.parallel import parallels
from analyses.head_specialization.roles.criteria import independent_texts
from analyses.runs.config import RunConfig
from analyses.runs.inputs import reading_order
from analyses.runs.loading import load_for
from analyses.trace.agreement import Agreement, agreement, same_roles
from analyses.trace.circuit_following import CIRCUITS, Following, follow_circuits
from analyses.trace.circuit_histories import circuit_history
from analyses.trace.moment_reader import MomentReader, Place, Seen
from analyses.trace.moments import TrainingRun
from analyses.trace.parted_shards import InMemory, PartedShards
from analyses.trace.snapshots import HEADS
from analyses.trace.trace import Beside, Part, RunTrace, Trace, head_order, run_trace
from analyses.trace.watching import SIDES, WATCH, WatchSettings
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt
from interp.text.batch import Batch


@dataclass(frozen=True, slots=True, eq=False)
class Watched:
    """What was observed.

    Attributes:
        trace: what was found.
        moments: run -> step -> what `watching` gave; its shards are read when they are asked for.
        batches: the prompts as every model read them.
        prompts: the same, in the order of the batches.
        model: the last model of the main run.
    """

    trace: Trace
    moments: dict[str, dict[int, Observations]]
    batches: tuple[Batch, ...]
    prompts: tuple[Prompt, ...]
    model: HookedEncoderDecoder


def watch(
    runs: Sequence[tuple[Part, TrainingRun]],
    analyses: Sequence[ConfiguredAnalysis],
    prompts: Sequence[Prompt],
    config: RunConfig,
    store: PartedShards,
    progress: Progress = no_progress,
) -> Watched:
    """Observe every moment of every run.

    Args:
        runs: what each run is there for, and its moments; the main one first.
        analyses: the chosen ones with their settings.
        prompts: the prompts.
        config: batch size, seed, twins and where to compute.
        store: where shards are kept.
        progress: told of the progress.

    Raises:
        InputError: if a prompt cannot be used.
    """
    model = load_for(config, runs[0][1].moments[-1].checkpoint)
    read = [prompts[place] for place in reading_order(prompts)]
    batches = make_batches(model, read, config.batch_size, progress)
    asked = _asked(model, analyses, batches)
    settings = next((item.settings for item in asked if item.name == HEADS), HeadSettings())
    assert isinstance(settings, HeadSettings)
    counts = count_texts(batches)
    reader = MomentReader(
        places=[Place(number, part, moment) for number, (part, run) in enumerate(runs) for moment in run.moments],
        config=config,
        cfg=model.cfg,
        prompts=read,
        batches=batches,
        asked=asked,
        settings=settings,
        twins=_twins(model, asked, batches, config, store, progress),
        following=_circuits(model, analyses, progress),
        fault=counts.fault,
        store=store,
    )
    seen = _moments(model, reader, progress)
    moments: dict[str, dict[int, Observations]] = {run.name: {} for _, run in runs}
    for place, one in zip(reader.places, seen, strict=True):
        moments[runs[place.run][1].name][place.moment.step] = one.observations
    traces = _traces(runs, reader, seen, progress)
    circuits = [arrays for one in seen for arrays in one.circuits]
    trace = Trace(
        runs=tuple(traces),
        order=head_order(traces[0], config.seed),
        beside=tuple(_beside(traces[0], other, moments, config.seed, progress) for other in traces[1:]),
        cfg=model.cfg,
        prompts=len(read),
        sentences=len(set(counts.sentence_of)),
        target_origin=batches[0].target_origin,
        fault=counts.fault,
        twins=len(reader.twins),
        circuits=circuit_history(reader.following, circuits, config.seed),
    )
    return Watched(trace, moments, tuple(batches), tuple(read), model)


def _asked(
    model: HookedEncoderDecoder, analyses: Sequence[ConfiguredAnalysis], batches: Sequence[Batch]
) -> list[ConfiguredAnalysis]:
    """The chosen analyses of prompts that can be made on the model, behind the one that watches loss and patterns."""
    sizes = WatchSettings(
        source=max(batch.input_ids.shape[1] for batch in batches),
        target=max(batch.labels.shape[1] for batch in batches),
    )
    of_prompts = [item for item in analyses if item.name != CIRCUITS]
    applicable = [_without_idle_work(model, item) for item in of_prompts if item.analysis.applies(model.cfg) is None]
    return [ConfiguredAnalysis(WATCH, sizes), *applicable]


def _without_idle_work(model: HookedEncoderDecoder, item: ConfiguredAnalysis) -> ConfiguredAnalysis:
    """The analysis of heads without the bundled sentences where the tokenizer cannot hold them, at any moment."""
    if not isinstance(item.settings, HeadSettings) or item.settings.parallel == "none" or parallels(model):
        return item
    return ConfiguredAnalysis(item.analysis, item.settings.model_copy(update={"parallel": "none"}))


def _circuits(
    model: HookedEncoderDecoder, analyses: Sequence[ConfiguredAnalysis], progress: Progress
) -> Following | NoCircuit | None:
    """What is asked of circuits; None where they were not chosen."""
    item = next((item for item in analyses if item.name == CIRCUITS), None)
    if item is None:
        return None
    progress("finding the last moment's circuit", 0, 1)
    return follow_circuits(model, item)


def _twins(
    model: HookedEncoderDecoder,
    asked: Sequence[ConfiguredAnalysis],
    batches: Sequence[Batch],
    config: RunConfig,
    store: PartedShards,
    progress: Progress,
) -> list[Observed]:
    """What untrained twins give to head specialization, a row for every independent text: controls of every moment."""
    own = [item for item in asked if item.name == HEADS]
    if not own:
        return []
    seeds = twin_seeds(config.seed, config.twins)
    with begin_twins(model, batches, own, store.for_part("twins"), seeds, asked=(HEADS,)) as others:
        found = others.finish("observing untrained twins", progress)
    return [independent_texts(one.of(HEADS)) for one in found]


def _moments(model: HookedEncoderDecoder, reader: MomentReader, progress: Progress) -> list[Seen]:
    """All moments, in the order of the reader's places."""
    # Shards in memory would be those of another process.
    elsewhere = replace(reader, store=InMemory({})) if isinstance(reader.store, InMemory) else reader
    count = len(reader.places)
    worker = worker_for(model, len(reader.prompts) * count)
    with share_work(count, lambda number, _: reader.read(number), worker, elsewhere.read) as shared:
        return shared.finish("observing the moments of all runs", progress)


def _traces(
    runs: Sequence[tuple[Part, TrainingRun]], reader: MomentReader, seen: Sequence[Seen], progress: Progress
) -> list[RunTrace]:
    """Every run over its moments."""
    found = []
    for number, (part, run) in enumerate(runs):
        progress(f"following the heads of {run.name}", 0, 1)
        own = [one.snapshot for place, one in zip(reader.places, seen, strict=True) if place.run == number]
        found.append(run_trace(run.name, part, own, reader.config.seed))
    return found


def _beside(
    main: RunTrace, other: RunTrace, moments: dict[str, dict[int, Observations]], seed: int, progress: Progress
) -> Beside:
    steps = tuple(step for step in main.steps if step in other.steps)
    found = []
    for place, step in enumerate(steps):
        progress(f"matching the heads of {other.name}", place, len(steps))
        found.append(matching(moments[main.name][step], moments[other.name][step]))
    roles = None
    if steps:
        first, second = (run.roles_at(run.steps.index(steps[-1])) for run in (main, other))
        roles = same_roles(found[-1].pairs, first, second, seed) if first or second else None
    return Beside(other.name, other.part, steps, tuple(found), roles)


def matching(first: Observations, second: Observations) -> Agreement:
    """The agreement of two models at one moment.

    Args:
        first: what was observed of one.
        second: of the other, on the same prompts.
    """
    one, two = (found.of(WATCH.name).prompts for found in (first, second))
    return agreement(
        dict(patterns_of(one)), dict(patterns_of(two)), {kind: _rows(kind, one) for kind in ATTENTION_KINDS}
    )


def patterns_of(arrays: Arrays) -> Iterator[tuple[AttentionKind, np.ndarray]]:
    """Kind -> attention weights of what `watching` gave."""
    for kind in ATTENTION_KINDS:
        yield kind, arrays[f"pattern.{kind}"]


def _rows(kind: AttentionKind, arrays: Arrays) -> np.ndarray:
    """Rows that count: those of tokens, and of the decoder those with more than one legal key."""
    lengths = arrays[f"tokens.{SIDES[kind][0]}"]
    width = arrays[f"pattern.{kind}"].shape[-2]
    rows = np.arange(width)[None] < lengths[:, None]
    if kind == "decoder":
        rows[:, 0] = False
    return np.asarray(rows)
