"""Observing: one forward pass per batch and model feeds every analysis, shard by shard.

Shards are cut by prompt count and batches lie inside shards, so neither the number of workers nor an interruption changes a
number. The model goes over all prompts first; then each untrained twin does, one at a time, on the same decoder inputs.
"""

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch

from analyses.core.arrays import axis_sizes, joined, model_sizes, specs_of
from analyses.core.contract import Analysis, Arrays, Example, Pass, Settings, Stage
from analyses.core.kept_batches import MOST_WHOLE, KeptBatches, Regrouped, Rows
from analyses.core.memory_use import trimming
from analyses.core.reading_alone import check_each
from analyses.core.registry import source_of
from analyses.core.shards import EXPERIMENT, WEIGHTS, Observations, Shards, make_missing, shard_name
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.model.activation_cache import ActivationCache
from interp.model.heap import trim_heap
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt
from interp.text.batch import Batch, TargetOrigin
from interp.text.tokenized_text import Text
from interp.text.unknown_pieces import check_known

SHARD_PROMPTS = 64
"""Prompts in one shard; part of what decides the files, not of what the user chooses."""

EXPERIMENT_BATCH = 16
"""Prompts in one batch of an experiment, whatever the run's batch size."""

Progress = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""


def no_progress(what: str, done: int, total: int) -> None:
    """A `Progress` that tells nobody."""


@dataclass(frozen=True, slots=True)
class ConfiguredAnalysis:
    """An analysis with its settings."""

    analysis: Analysis
    settings: Settings

    @property
    def name(self) -> str:
        """The analysis' name."""
        return self.analysis.name

    def fitted(self, model: HookedEncoderDecoder, batches: Sequence[Batch]) -> "ConfiguredAnalysis":
        """The analysis with what the user left open chosen for a model and its prompts."""
        with self.named():
            return ConfiguredAnalysis(self.analysis, self.analysis.fit(model, batches, self.settings))

    def examined(self, model: HookedEncoderDecoder) -> Arrays:
        """The numbers from a model's weights alone."""
        with self.named(), trimming():
            return self.checked(self.analysis.examine(model, self.settings), "examine", model.cfg)

    def experimented(self, model: HookedEncoderDecoder, groups: Sequence[Batch]) -> Arrays:
        """The numbers of the experiment, on what `experiment_batches` gives."""
        with self.named(), trimming():
            found = self.analysis.experiment(model, groups, self.settings)
            return self.checked(found, "experiment", model.cfg)

    @contextmanager
    def named(self) -> Iterator[None]:
        """Note on an error which analysis it came from."""
        try:
            yield
        except Exception as error:
            error.add_note(f"in the analysis {source_of(self.name)}")
            raise

    def checked(self, arrays: Arrays, stage: Stage, cfg: ModelConfig, n_prompts: int | None = None) -> Arrays:
        """The arrays of one stage, once they are found to be as the analysis declares them.

        Raises:
            ValueError: if an observed array has no prompt axis, or one is not as declared.
        """
        sizes = model_sizes(cfg) | ({} if n_prompts is None else {"prompt": n_prompts})
        if self.analysis.arrays:
            axis_sizes(arrays, specs_of(self.analysis.arrays, stage), sizes)
        for name, values in arrays.items():
            if n_prompts is not None and values.shape[:1] != (n_prompts,):
                raise ValueError(f"the array {name} has no leading prompt axis: its shape is {values.shape}")
        return arrays


def make_batches(
    model: HookedEncoderDecoder, prompts: Sequence[Prompt], batch_size: int, progress: Progress
) -> Sequence[Batch]:
    """Tokenize all prompts and generate missing targets; of more than `MOST_WHOLE` prompts one batch at a time is in memory.

    Raises:
        InputError: naming the prompt that cannot be used, or if the tokenizer does not know most of the texts.
    """
    origin: TargetOrigin = "generated" if prompts[0].target is None else "given"
    many = KeptBatches.of(model, origin) if len(prompts) > MOST_WHOLE else None
    batches: list[Batch] | KeptBatches = [] if many is None else many
    for start in range(0, len(prompts), batch_size):
        progress("reading prompts", start, len(prompts))
        part = prompts[start : start + batch_size]
        given = [prompt.given for prompt in part]
        targets = [target for _, target in given if target is not None]
        try:
            batches.append(
                model.batch(
                    [source for source, _ in given],
                    targets if len(targets) == len(part) else None,
                    prefixes=[prompt.prefix for prompt in part],
                )
            )
        except InputError:
            check_each(model, part)
            raise
    progress("reading prompts", len(prompts), len(prompts))
    check_known(given_texts(batches), model.tokenizer)
    return batches


def given_texts(batches: Sequence[Batch]) -> Iterator[Text]:
    """The texts that the user gave: sources, and targets that were not generated."""
    for batch in batches:
        yield from batch.source_texts
        if batch.target_origin == "given":
            yield from batch.target_texts


def shard_bounds(batches: Sequence[Batch]) -> list[tuple[int, int]]:
    """The first batch of every shard and the first behind it; all batches but the last have equally many prompts."""
    per_shard = max(SHARD_PROMPTS // len(batches[0]), 1)
    return [(start, min(start + per_shard, len(batches))) for start in range(0, len(batches), per_shard)]


def label_of(twin: int | None) -> str:
    """What the names of a model's shards begin with."""
    return "model" if twin is None else f"twin-{twin}"


def has_experiment(twin: int | None) -> bool:
    """Whether a model is experimented on: experiments cost much, so of the twins only number 0 has them."""
    return not twin


def observe(
    model: HookedEncoderDecoder,
    batches: Sequence[Batch],
    analyses: Sequence[ConfiguredAnalysis],
    store: Shards,
    progress: Progress,
    twin: int | None = None,
    asked: Container[str] | None = None,
) -> Observations:
    """Everything one model gives to every analysis, by analysis.

    Args:
        model: the model, or an untrained twin.
        batches: all prompts, equally many in each batch but the last.
        analyses: the analyses with their settings.
        store: where shards are kept and found.
        progress: told of the progress.
        twin: number of the twin, if it is one.
        asked: analyses that are asked of the weights, and no experiment of any; by default all, with their experiments.
    """
    label, done, total = label_of(twin), 0, len(Rows(batches))
    names = []
    for index, (start, stop) in enumerate(shard_bounds(batches)):
        names.append(f"{label}-{index:05d}")
        group = batches[start:stop]
        places = {item.name: shard_name(names[-1], item.name) for item in analyses}
        if not all(place in store for place in places.values()):
            for name, arrays in observe_shard(model, group, analyses).items():
                store[places[name]] = arrays
            trim_heap()
        done += sum(map(len, group))
        progress(f"observing {label}", done, total)
    examined = [item for item in analyses if asked is None or item.name in asked]
    for item in examined:
        make_missing(store, shard_name(f"{label}-{WEIGHTS}", item.name), partial(item.examined, model))
    groups = experiment_batches(model, batches) if has_experiment(twin) and asked is None else []
    experimented = analyses if groups else ()
    for item in experimented:
        make_missing(store, shard_name(f"{label}-{EXPERIMENT}", item.name), partial(item.experimented, model, groups))
    by_name = (tuple(item.name for item in items) for items in (examined, experimented))
    return Observations(store, label, tuple(names), *by_name)


def experiment_batches(model: HookedEncoderDecoder, batches: Sequence[Batch]) -> Sequence[Batch]:
    """The same prompts in batches of `EXPERIMENT_BATCH`: experiments sample whole batches, and compare prompts within one."""
    groups = Regrouped(Rows(batches), model, EXPERIMENT_BATCH)
    return groups if len(groups.rows) > MOST_WHOLE else list(groups)


def _run(
    model: HookedEncoderDecoder, batch: Batch, analyses: Sequence[ConfiguredAnalysis], more_hooks: Sequence[str] = ()
) -> tuple[torch.Tensor, ActivationCache]:
    """One forward pass that keeps what any analysis needs."""
    hooks = sorted({hook for item in analyses for hook in item.analysis.hooks_on(model.cfg)} | {*more_hooks})
    return model.run_with_cache(batch, names_filter=hooks)


def observe_shard(
    model: HookedEncoderDecoder, group: Sequence[Batch], analyses: Sequence[ConfiguredAnalysis]
) -> Mapping[str, Arrays]:
    """What every analysis observes in several batches, by analysis, numbers in single precision.

    Args:
        model: the model.
        group: the batches of one shard.
        analyses: the analyses with their settings.
    """
    parts = [_observe_batch(model, batch, analyses) for batch in group]
    return {item.name: joined([part[item.name] for part in parts]) for item in analyses}


@torch.no_grad()
def _observe_batch(
    model: HookedEncoderDecoder, batch: Batch, analyses: Sequence[ConfiguredAnalysis]
) -> dict[str, Arrays]:
    """One batch; of its pass nothing is left when the next begins."""
    logits, cache = _run(model, batch, analyses)
    found: dict[str, Arrays] = {}
    for item in analyses:
        keys = {spec.name for spec in item.analysis.arrays if spec.content == "key"}
        with item.named():
            arrays = item.analysis.observe(Pass(model, batch, logits, cache, item.settings))
            checked = item.checked(arrays, "observe", model.cfg, len(batch))
        found[item.name] = {
            name: np.asarray(values, None if name in keys else np.float32) for name, values in checked.items()
        }
    return found


def illustrate(
    model: HookedEncoderDecoder,
    batch: Batch,
    row: int,
    prompt: tuple[int, str],
    analyses: Sequence[ConfiguredAnalysis],
) -> Mapping[str, Example]:
    """One prompt shown in full, for every analysis; it is run alone, so that the example has no padding.

    Args:
        model: the model.
        batch: a batch that holds the prompt.
        row: its row there.
        prompt: its place in the prompt set, from 1, and its id.
        analyses: the analyses with their settings.
    """
    return examples_of(run_alone(model, batch, row, analyses), prompt, analyses)


def run_alone(
    model: HookedEncoderDecoder,
    batch: Batch,
    row: int,
    analyses: Sequence[ConfiguredAnalysis] = (),
    more_hooks: Sequence[str] = (),
) -> Pass:
    """The forward pass of one prompt of a batch by itself.

    Args:
        model: the model.
        batch: a batch that holds the prompt.
        row: its row there.
        analyses: whose activations are kept.
        more_hooks: names or globs of activations that are kept besides.
    """
    single = batch.select(row)
    with torch.no_grad():
        logits, cache = _run(model, single, analyses, more_hooks)
    return Pass(model, single, logits, cache, Settings())


def examples_of(run: Pass, prompt: tuple[int, str], analyses: Sequence[ConfiguredAnalysis]) -> Mapping[str, Example]:
    """What every analysis shows of a prompt that was run alone; arguments as in `illustrate`."""
    examples, text = {}, run.batch
    for item in analyses:
        with torch.no_grad(), item.named():
            arrays = item.analysis.illustrate(replace(run, settings=item.settings))
        examples[item.name] = Example(
            id=prompt[1],
            number=prompt[0],
            source_pieces=text.source_texts[0].pieces,
            decoder_pieces=text.decoder_pieces(0),
            label_pieces=text.target_texts[0].pieces,
            arrays=arrays,
        )
    return examples
