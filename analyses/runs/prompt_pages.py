"""One page for each prompt, with what every analysis has to show about it.

Means over prompts hide the prompt; here a reader finds the texts that the numbers came from, token by token. Pages are made
for the first prompts of a set, up to the configuration's number of them, and hold no figure: drawings cost more than the rest.
"""

from collections.abc import Sequence

from analyses.core.observing import ConfiguredAnalysis, Progress, illustrate
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import Prompt
from interp.report import Block, Heading, Page, shorten
from interp.text.batch import Batch

_LONGEST_TITLE = 60


def make_prompt_pages(
    model: HookedEncoderDecoder,
    rows: Sequence[tuple[Batch, int]],
    prompts: Sequence[Prompt],
    analyses: Sequence[ConfiguredAnalysis],
    count: int,
    progress: Progress,
) -> tuple[Page, ...]:
    """The pages of the first `count` prompts, whose batch and row `rows` has; none where no analysis shows anything."""
    pages = []
    for number, ((batch, row), prompt) in enumerate(zip(rows[:count], prompts[:count], strict=True), start=1):
        progress("writing the prompts' pages", number - 1, min(count, len(prompts)))
        examples = illustrate(model, batch, row, (number, prompt.id), analyses)
        blocks: list[Block] = []
        for item in analyses:
            with item.named():
                shown = item.analysis.prompt_page(examples[item.name])
            blocks += [Heading(item.analysis.title), *shown] if shown else []
        if blocks:
            title = f"Prompt {prompt.id}: {shorten(prompt.source, _LONGEST_TITLE)}"
            lead = f"Read: {prompt.source} Written: {batch.target_texts[row].text}"
            pages.append(Page(name=f"prompt-{number}", title=title, lead=lead, blocks=tuple(blocks)))
    return tuple(pages)
