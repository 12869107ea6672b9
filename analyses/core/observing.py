"""Observing: one forward pass per batch and model feeds every analysis, shard by shard.

Shards are cut by prompt count and batches lie inside shards, so neither the number of workers nor an interruption changes a
number. The model goes over all prompts first; then each untrained twin does, one at a time, on the same decoder inputs.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Protocol, runtime_checkable

import numpy as np
import torch

from analyses.core.contract import Analysis, Arrays, Example, Observed, Pass, Settings, joined
from analyses.core.registry import source_of
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.prompts import Prompt
from interp.text.batch import Batch, collate

SHARD_PROMPTS = 64
"""Prompts in one shard; part of what decides the files, not of what the user chooses."""

EXPERIMENT_BATCH = 16
"""Prompts in one batch of an experiment, whatever the run's batch size."""

Advance = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""


def silent(what: str, done: int, total: int) -> None:
    """An `Advance` that tells nobody."""


@runtime_checkable
class Shards(Protocol):
    """Where observations of shards are kept: a run's folder, or memory."""

    def has_shard(self, name: str) -> bool:
        """Whether a shard is there, whole."""

    def read_shard(self, name: str, prefix: str = "") -> dict[str, np.ndarray] | None:
        """The arrays of a shard whose names begin with a prefix, or None if the shard is not there whole."""

    def write_shard(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a shard."""


@dataclass(frozen=True, slots=True, eq=False)
class Observations(Mapping[str, Observed]):
    """What one model gave to every analysis: analysis name -> what was observed, prompts in order.

    Numbers of prompts are read from the shards when an analysis is looked up, so that a run holds one analysis at a time.

    Attributes:
        store: where the shards are.
        shards: their names, in the order of the prompts.
        weights: analysis -> numbers from the weights alone.
        experiments: analysis -> numbers of its experiment.
    """

    store: Shards
    shards: tuple[str, ...]
    weights: Mapping[str, Arrays]
    experiments: Mapping[str, Arrays]

    def __getitem__(self, analysis: str) -> Observed:
        prefix = f"{analysis}/"
        weights = self.weights[analysis]
        parts = [self.store.read_shard(shard, prefix) for shard in self.shards]
        whole = [part for part in parts if part is not None]
        assert len(whole) == len(parts), f"a shard of {analysis} was lost while the run was going on"
        numbers = {name.removeprefix(prefix): values for name, values in joined(whole).items()}
        return Observed(numbers, weights, self.experiments[analysis])

    def __iter__(self) -> Iterator[str]:
        return iter(self.weights)

    def __len__(self) -> int:
        return len(self.weights)


@dataclass(frozen=True, slots=True)
class Chosen:
    """An analysis with its settings."""

    analysis: Analysis
    settings: Settings

    @contextmanager
    def named(self) -> Iterator[None]:
        """Note on an error which analysis it came from."""
        try:
            yield
        except Exception as error:
            error.add_note(f"in the analysis {source_of(self.analysis.name)}")
            raise


@dataclass(frozen=True, slots=True, eq=False)
class Subject:
    """One model under observation: the model itself or a control.

    Attributes:
        label: `model`, `twin-0`, `twin-1`, ...
        model: the hooked model.
        experiments: whether experiments are run on it; they cost much, so one control is enough.
    """

    label: str
    model: HookedEncoderDecoder
    experiments: bool = True


def shards(batches: Sequence[Batch], batch_size: int) -> Iterator[Sequence[Batch]]:
    """Batches in groups of whole shards."""
    per_shard = max(SHARD_PROMPTS // batch_size, 1)
    for start in range(0, len(batches), per_shard):
        yield batches[start : start + per_shard]


def make_batches(
    model: HookedEncoderDecoder, prompts: Sequence[Prompt], batch_size: int, advance: Advance
) -> list[Batch]:
    """Tokenise all prompts and generate missing targets.

    Raises:
        InputError: naming the prompt that cannot be used.
    """
    batches = []
    for start in range(0, len(prompts), batch_size):
        advance("reading prompts", start, len(prompts))
        part = prompts[start : start + batch_size]
        targets = [prompt.target for prompt in part if prompt.target is not None]
        try:
            batches.append(
                model.batch(
                    [prompt.source for prompt in part],
                    targets if len(targets) == len(part) else None,
                    prefixes=[prompt.prefix for prompt in part],
                )
            )
        except InputError as error:
            raise InputError(f"Prompts {part[0].id} to {part[-1].id}: {error}") from error
    advance("reading prompts", len(prompts), len(prompts))
    return batches


def rows_as_given(batches: Sequence[Batch], order: Sequence[int]) -> tuple[tuple[Batch, int], ...]:
    """Every prompt's batch and row, in the order in which the user gave the prompts.

    Args:
        batches: the prompts as they are computed.
        order: place in the user's order, for each prompt in `batches`.
    """
    rows = [(batch, row) for batch in batches for row in range(len(batch))]
    return tuple(rows[index] for index in sorted(range(len(order)), key=order.__getitem__))


def observe(
    subject: Subject,
    batches: Sequence[Batch],
    batch_size: int,
    chosen: Sequence[Chosen],
    store: Shards,
    advance: Advance,
) -> Observations:
    """Everything one model gives to every analysis.

    Args:
        subject: the model.
        batches: all prompts.
        batch_size: prompts in one batch.
        chosen: the analyses.
        store: where shards are kept and found.
        advance: progress.

    Returns:
        What was observed, by analysis.
    """
    done, total = 0, sum(len(batch) for batch in batches)
    names = []
    for index, group in enumerate(shards(batches, batch_size)):
        names.append(f"{subject.label}-{index:05d}")
        if not store.has_shard(names[-1]):
            store.write_shard(names[-1], _observe_shard(subject.model, group, chosen))
        done += sum(len(batch) for batch in group)
        advance(f"observing {subject.label}", done, total)
    groups = experiment_batches(subject.model, batches) if subject.experiments else []
    weights: dict[str, Arrays] = {}
    experiments: dict[str, Arrays] = {}
    for item in chosen:
        name, analysis = item.analysis.name, item.analysis
        with item.named():
            weights[name] = analysis.examine(subject.model, item.settings)
            experiments[name] = analysis.experiment(subject.model, groups, item.settings) if subject.experiments else {}
    return Observations(store, tuple(names), weights, experiments)


def experiment_batches(model: HookedEncoderDecoder, batches: Sequence[Batch]) -> list[Batch]:
    """The same prompts in batches of `EXPERIMENT_BATCH`: experiments sample whole batches, and compare prompts within one."""
    texts = [
        (batch.source_texts[row], batch.target_texts[row], row in batch.unfinished)
        for batch in batches
        for row in range(len(batch))
    ]
    origin = batches[0].target_origin
    groups = [texts[start : start + EXPERIMENT_BATCH] for start in range(0, len(texts), EXPERIMENT_BATCH)]
    return [
        collate(
            [source for source, _, _ in group],
            [target for _, target, _ in group],
            model.cfg,
            partial(model.decoder_inputs, origin=origin),
            origin,
            tuple(row for row, (_, _, unfinished) in enumerate(group) if unfinished),
        ).to(model.device)
        for group in groups
    ]


def _observe_shard(
    model: HookedEncoderDecoder, group: Sequence[Batch], chosen: Sequence[Chosen]
) -> dict[str, np.ndarray]:
    hooks = sorted({hook for item in chosen for hook in item.analysis.hooks_on(model.cfg)})
    parts = []
    for batch in group:
        with torch.no_grad():
            logits, cache = model.run_with_cache(batch, names_filter=hooks)
            seen: dict[str, np.ndarray] = {}
            for item in chosen:
                with item.named():
                    arrays = item.analysis.observe(Pass(model, batch, logits, cache, item.settings))
                    seen |= _checked(arrays, item.analysis.name, len(batch))
        parts.append(seen)
    return joined(parts)


def _checked(arrays: Arrays, analysis: str, n_prompts: int) -> dict[str, np.ndarray]:
    """Prefix names with the analysis, and hold it to its contract."""
    for name, values in arrays.items():
        assert values.shape[:1] == (n_prompts,), (
            f"{analysis}.observe: {name} has no leading prompt axis: {values.shape}"
        )
    return {f"{analysis}/{name}": np.asarray(values, dtype=np.float32) for name, values in arrays.items()}


def twin_seeds(seed: int, twins: int) -> tuple[int, ...]:
    """Seeds of the untrained twins, apart from the seed of resampling."""
    return tuple(1000 * (seed + 1) + index for index in range(twins))


def observe_twins(
    model: HookedEncoderDecoder,
    seeds: Sequence[int],
    batches: Sequence[Batch],
    batch_size: int,
    chosen: Sequence[Chosen],
    store: Shards,
    advance: Advance,
) -> list[Observations]:
    """What the untrained twins give, one twin in memory at a time."""
    observed = []
    for index, seed in enumerate(seeds):
        twin = Subject(f"twin-{index}", untrained_twin(model, seed), experiments=index == 0)
        observed.append(observe(twin, batches, batch_size, chosen, store, advance))
    return observed


def illustrate(
    model: HookedEncoderDecoder, batch: Batch, row: int, prompt: tuple[int, str], chosen: Sequence[Chosen]
) -> dict[str, Example]:
    """One prompt shown in full, for every analysis.

    Args:
        model: the model.
        batch: a batch that holds the prompt.
        row: its row there; it is run alone, so that the example has no padding.
        prompt: its place in the prompt set, from 1, and its id.
        chosen: the analyses.
    """
    single = batch.select(row)
    hooks = sorted({hook for item in chosen for hook in item.analysis.hooks_on(model.cfg)})
    with torch.no_grad():
        logits, cache = model.run_with_cache(single, names_filter=hooks)
        examples = {}
        for item in chosen:
            with item.named():
                arrays = item.analysis.illustrate(Pass(model, single, logits, cache, item.settings))
            examples[item.analysis.name] = Example(
                id=prompt[1],
                number=prompt[0],
                source_pieces=single.source_texts[0].pieces,
                decoder_pieces=single.decoder_pieces(0),
                label_pieces=single.target_texts[0].pieces,
                arrays=arrays,
            )
    return examples
