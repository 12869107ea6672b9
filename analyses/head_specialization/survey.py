"""The whole analysis in one call, for notebooks and the command line: a model and texts in, the head atlas out.

    atlas = heads(interp.load(), "translation")        labels_frame(atlas), heads_frame(atlas, "cross"), atlas.metric(...)

The same functions as in a report, run in memory: observe the model and its untrained twins, examine, experiment, summarise.
"""

from collections.abc import Callable, Mapping, Sequence
from itertools import islice

import numpy as np
import torch

from analyses._contract import Arrays, Evidence, Example, Observed, Pass
from analyses.head_specialization.examine import examine
from analyses.head_specialization.experiment import experiment
from analyses.head_specialization.observe import hooks_on, illustrate, observe
from analyses.head_specialization.settings import HeadSettings
from analyses.head_specialization.summary import HeadAtlas, summarise
from interp.controls import untrained_twin
from interp.errors import InputError
from interp.model import HookedEncoderDecoder
from interp.prompts import Prompt, PromptSet, bundled
from interp.tokens import Batch

Texts = str | PromptSet | Batch | Sequence[Prompt] | Sequence[str] | Sequence[tuple[str, str]]
"""A bundled set by name, a prompt set or its prompts, a batch, sources, or (source, target) pairs."""

Advance = Callable[[str, int, int], None]
"""Called with what is being done, how much is done, and how much there is."""


def heads(
    model: HookedEncoderDecoder,
    prompts: Texts = "translation",
    settings: HeadSettings | None = None,
    twins: int = 5,
    seed: int = 0,
    batch_size: int = 16,
    advance: Advance | None = None,
) -> HeadAtlas:
    """What every attention head of a model does on some texts, with its controls.

    Args:
        model: a model of any family; numbers that a family does not have are left out.
        prompts: see `Texts`; targets that are missing are generated greedily.
        settings: thresholds, measures of importance, gold links and parses.
        twins: untrained control models; their seeds are those of a report.
        seed: of resampling and of the twins.
        batch_size: prompts in one pass.
        advance: told of the progress.

    Raises:
        InputError: if a text cannot be used, or numbers are below what is needed.
    """
    if twins < 0 or batch_size < 1:
        raise InputError(f"twins={twins} and batch_size={batch_size}; give at least 0 twins and 1 prompt a pass.")
    chosen = settings or HeadSettings()
    tell: Advance = advance or (lambda what, done, total: None)
    ids, batches = batches_of(model, prompts, batch_size)
    seeds = [1000 * (seed + 1) + index for index in range(twins)]
    tell("model", 0, twins + 1)
    own = _observed(model, batches, chosen, experiments=True)
    controls = []
    for index, twin_seed in enumerate(seeds):
        tell(f"untrained twin {index + 1}", index + 1, twins + 1)
        controls.append(_observed(untrained_twin(model, twin_seed), batches, chosen, experiments=index == 0))
    tell("summarising", twins + 1, twins + 1)
    return summarise(
        Evidence(
            cfg=model.cfg,
            prompt_ids=ids,
            target_origin=batches[0].target_origin,
            model=own,
            twins=tuple(controls),
            example=_example(model, batches[0], ids[0], chosen),
            settings=chosen,
            seed=seed,
        )
    )


def batches_of(
    model: HookedEncoderDecoder, prompts: Texts, batch_size: int = 16
) -> tuple[tuple[str, ...], list[Batch]]:
    """Ids and batches of some texts.

    Raises:
        InputError: if there are none, some have a target and some have none, or one cannot be used.
    """
    if isinstance(prompts, Batch):
        return tuple(str(index + 1) for index in range(len(prompts))), [prompts]
    read = _prompts(prompts)
    targets = [prompt.target for prompt in read if prompt.target is not None]
    if not read or len(targets) not in (0, len(read)):
        raise InputError(
            f"Of {len(read)} texts {len(targets)} have a target; give some texts, and a target for all or none."
        )
    batches = []
    rows = iter(read)
    while part := list(islice(rows, batch_size)):
        prefixes = [prompt.fields["prefix"] for prompt in part if "prefix" in prompt.fields]
        batches.append(
            model.batch(
                [prompt.source for prompt in part],
                [prompt.target for prompt in part if prompt.target is not None] or None,
                prefixes=prefixes if len(prefixes) == len(part) else None,
            )
        )
    return tuple(prompt.id for prompt in read), batches


def _prompts(given: str | PromptSet | Sequence[Prompt] | Sequence[str] | Sequence[tuple[str, str]]) -> list[Prompt]:
    if isinstance(given, str):
        return list(bundled(given).prompts)
    if isinstance(given, PromptSet):
        return list(given.prompts)
    items: Sequence[Prompt | str | tuple[str, str]] = given
    return [_prompt(item, number) for number, item in enumerate(items, 1)]


def _prompt(item: Prompt | str | tuple[str, str], number: int) -> Prompt:
    if isinstance(item, Prompt):
        return item
    source, target = (item, None) if isinstance(item, str) else item
    return Prompt(str(number), source, target)


def _observed(
    model: HookedEncoderDecoder, batches: Sequence[Batch], settings: HeadSettings, experiments: bool
) -> Observed:
    parts = []
    for batch in batches:
        with torch.no_grad():
            logits, cache = model.run_with_cache(batch, names_filter=list(hooks_on(model.cfg)))
            parts.append(observe(Pass(model, batch, logits, cache, settings)))
    found = experiment(model, batches, settings) if experiments else {}
    return Observed(_joined(parts), examine(model, settings), found)


def _joined(parts: Sequence[Arrays]) -> Mapping[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _example(model: HookedEncoderDecoder, batch: Batch, prompt_id: str, settings: HeadSettings) -> Example:
    single = batch.select(0)
    with torch.no_grad():
        logits, cache = model.run_with_cache(single, names_filter=list(hooks_on(model.cfg)))
        arrays = illustrate(Pass(model, single, logits, cache, settings))
    return Example(
        id=prompt_id,
        source_pieces=single.source_texts[0].pieces,
        decoder_pieces=single.decoder_pieces(0),
        label_pieces=single.target_texts[0].pieces,
        arrays=arrays,
    )
