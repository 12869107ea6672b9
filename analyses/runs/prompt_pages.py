"""One page for each prompt, with what every analysis has to show about it.

Means over prompts hide the prompt; here a reader finds the texts that the numbers came from, token by token. Pages are made
for the first prompts of a set, up to the configuration's number of them, and hold no figure: drawings cost more than the rest.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial

import numpy as np

from analyses.core.contract import Example
from analyses.core.exploring import explorer_hooks, explorer_prompt
from analyses.core.observing import ConfiguredAnalysis, Progress, examples_of, no_progress, run_alone
from analyses.core.shared_work import SharedWork, share_work, worker_for
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt
from interp.report import (
    Block,
    Card,
    Heading,
    Line,
    Page,
    PatternPicture,
    StripLegend,
    TokenStrip,
    shorten,
)
from interp.report.explorer import ExplorerPrompt
from interp.text.batch import Batch

_LONGEST_TITLE = 60

PromptPages = tuple[tuple[Page, ...], tuple[ExplorerPrompt, ...]]


def begin_prompt_pages(
    model: HookedEncoderDecoder,
    load: Callable[[], HookedEncoderDecoder] | None,
    rows: Sequence[tuple[Batch, int]],
    prompts: Sequence[Prompt],
    analyses: Sequence[ConfiguredAnalysis],
    count: int,
) -> AbstractContextManager[SharedWork[PromptPages]]:
    """Begin to write the prompts' pages in a second process, if there is one and it pays: they need no number of the run.

    Args:
        model: the model.
        load: gives the same model in the other process, to be pickled; None if it cannot be had there.
        rows: see `make_prompt_pages`, as the others.
        prompts: the prompts.
        analyses: the analyses with their settings.
        count: how many prompts have pages.
    """
    shown = rows, prompts[: len(rows)], analyses, count
    worker = None if load is None else worker_for(model, len(rows))
    there = partial(_pages_there, load or (lambda: model), shown)
    return share_work(1, lambda _, progress: make_prompt_pages(model, *shown, progress), worker, there)


def _pages_there(
    load: Callable[[], HookedEncoderDecoder],
    shown: tuple[Sequence[tuple[Batch, int]], Sequence[Prompt], Sequence[ConfiguredAnalysis], int],
    _: int,
) -> PromptPages:
    return make_prompt_pages(load(), *shown, no_progress)


def make_prompt_pages(
    model: HookedEncoderDecoder,
    rows: Sequence[tuple[Batch, int]],
    prompts: Sequence[Prompt],
    analyses: Sequence[ConfiguredAnalysis],
    count: int,
    progress: Progress,
) -> PromptPages:
    """Pages of the first `count` prompts, whose batches and rows `rows` has, and what there is to explore of each, at least one.

    Where no analysis shows anything of a prompt, it has no page.
    """
    pages, explored = [], []
    most, hooks = max(count, 1), explorer_hooks(model.cfg)
    for number, ((batch, row), prompt) in enumerate(zip(rows, prompts[:most], strict=True), start=1):
        progress("writing the prompts' pages", number - 1, min(most, len(prompts)))
        alone = run_alone(model, batch, row, analyses if count else (), hooks)
        shown = explorer_prompt(alone, prompt.id)
        explored.append(shown)
        if blocks := _blocks(examples_of(alone, (number, prompt.id), analyses), analyses) if count else []:
            title = f"Prompt {prompt.id}: {shorten(prompt.source, _LONGEST_TITLE)}"
            lead = f"Read: {prompt.source} Written: {batch.target_texts[row].text}"
            overview = _overview(shown, f"overview-prompt-{number}")
            pages.append(Page(f"prompt-{number}", title, lead, (overview, *blocks), explored=f"prompt={number}"))
    return tuple(pages), tuple(explored)


def _overview(shown: ExplorerPrompt, name: str) -> Card:
    """The tokens first, colored by what they do to the answer, then what the decoder reads in its last layer."""
    sources = np.asarray(shown.sources.sum((0, 1, 2)))
    strongest, most = float(np.abs(sources).max()), float(np.abs(shown.lead).max())
    tokens = shown.patterns
    return Card(
        name,
        "The prompt token by token",
        (
            StripLegend(strongest, "logits", "against the answer", "for the answer"),
            Line(("What each source token adds to the lead of the whole answer, through all cross-attention heads:",)),
            TokenStrip(tokens.source_tokens, sources, strongest),
            Line(("How far each token of the answer leads the model's best other token:",)),
            TokenStrip(shown.labels, shown.lead, most),
            PatternPicture(
                np.asarray(tokens.cross[-1].mean(0)),
                shown.labels,
                tokens.source_tokens,
                "blue",
                "Cross-attention of the last decoder layer, mean over its heads",
                "What the last decoder layer reads when it predicts each token, mean over its heads",
            ),
        ),
    )


def _blocks(examples: Mapping[str, Example], analyses: Sequence[ConfiguredAnalysis]) -> list[Block]:
    """What every analysis shows of one prompt, under its title."""
    blocks: list[Block] = []
    for item in analyses:
        with item.named():
            shown = item.analysis.prompt_page(examples[item.name])
        blocks += [Heading(item.analysis.title), *shown] if shown else []
    return blocks
