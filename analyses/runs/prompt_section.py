"""The first section of a report: which texts its numbers are about."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from jaxtyping import Float

from analyses.runs.read_prompts import Lengths, ReadPrompts
from interp.hooks.names import HeadId
from interp.prompts import Prompt
from interp.report import Page, Section, Span, Table
from interp.report.explorer import ExplorerPrompt
from interp.report.numbers import counted, fixed
from interp.report.visible_text import shown_token
from interp.statistics import largest
from interp.text.unknown_pieces import unknown_notes
from interp.text.words import CATEGORIES, PAD

_CAPTION = (
    "Every source with the target the decoder was fed. First choice: share of the target's tokens that the model "
    "puts first; lead: by how many logits the target's token beats the best other one, mean over the target; the "
    "cross-attention head and the source token that add most to that lead."
)


def prompt_section(
    prompts: Sequence[Prompt],
    read: ReadPrompts,
    pages: tuple[Page, ...] = (),
    explored: Sequence[ExplorerPrompt] = (),
    unknown: float = 0.0,
) -> Section:
    """The texts, what the decoder was fed, what happened in each, and how many tokens of each kind the sources have.

    Args:
        prompts: the prompts.
        read: what is told of them.
        pages: of single prompts, called `prompt-<number>`.
        explored: the first prompts in full.
        unknown: share of the texts' pieces that the tokenizer does not know.
    """
    origin = read.origin
    frame = _frame(prompts, read, explored)
    addresses = _addresses(len(prompts), pages)
    made = "generated greedily by the model" if origin == "generated" else "given with the prompts"
    return Section(
        name="prompts",
        title="The prompts",
        question="Which texts are the numbers about?",
        findings=(
            f"{counted(len(prompts), 'prompt')} with {_range(read.source_lengths, 'source token')} and "
            f"{_range(read.target_lengths, 'target token')}; targets were {made}.",
            f"Source tokens by kind, mean share of a prompt: {_shares(read.shares)}.",
            *unknown_notes(unknown),
        ),
        blocks=(
            Table(
                name="prompts",
                caption=_CAPTION,
                frame=frame,
                rows_shown=8,
                columns_shown=("prompt", "source", f"{origin} target", "source tokens", *_summaries(explored)),
                spans=(Span("lead"),) if explored else (),
                addresses=addresses,
                opened=True,
            ),
        ),
        limits=(
            "What holds for these texts may not hold for others: a finding about a head is a finding on these prompts.",
            f"Content and function words are told apart by lists of function words, not by a tagger: {_lists(read)}.",
        ),
        pages=pages,
    )


def _frame(
    prompts: Sequence[Prompt],
    read: ReadPrompts,
    explored: Sequence[ExplorerPrompt],
) -> pd.DataFrame:
    """One row a prompt: its texts, their lengths, and of those that were explored what happened."""
    frame = pd.DataFrame({
        "prompt": [prompt.id for prompt in prompts],
        "source": read.sources,
        f"{read.origin} target": read.targets,
        "source tokens": read.source_lengths,
        "target tokens": read.target_lengths,
    })
    for name, values in _summaries(explored).items():
        frame[name] = pd.Series(values, dtype=object if name in _TEXTS else float)
    return frame


def _addresses(count: int, pages: tuple[Page, ...]) -> tuple[str, ...]:
    """Where the page of each prompt is; empty for those without."""
    own = {page.name for page in pages}
    names = (f"prompt-{number}" for number in range(1, count + 1))
    return tuple(f"pages/{name}.html" if name in own else "" for name in names)


def _lists(read: ReadPrompts) -> str:
    """Whose lists of function words told the words of how many sources apart."""
    counts = read.languages
    named = [f"{language} in {count} of {len(read)} sources" for language, count in counts.most_common() if language]
    unknown = counts[""]
    left = f"in {unknown} of {len(read)} the words tell no language that has a list, and all of them count as content"
    return "; ".join([*named, *([left] if unknown else [])])


_TEXTS = ("strongest head", "from")


def _summaries(explored: Sequence[ExplorerPrompt]) -> dict[str, list[object]]:
    """What happened in each prompt, as columns of a table; none without prompts in full."""
    if not explored:
        return {}
    columns: dict[str, list[object]] = {"first choice": [], "lead": [], **{name: [] for name in _TEXTS}}
    for one in explored:
        said = [depths[-1][0][0] == label for depths, label in zip(one.lens, one.labels, strict=True)]
        layer, head = largest(np.abs(one.sources.sum((2, 3))))
        columns["first choice"].append(float(np.mean(said)))
        columns["lead"].append(float(one.lead.mean()))
        columns["strongest head"].append(str(HeadId("cross", layer, head)))
        token = largest(one.sources.sum((0, 1, 2)))[0]
        columns["from"].append(shown_token(one.patterns.source_tokens[token]))
    return columns


def _range(lengths: Lengths, noun: str) -> str:
    low, high = int(lengths.min()), int(lengths.max())
    return counted(high, noun) if low == high else f"{low} to {counted(high, noun)}"


def _shares(shares: Float[np.ndarray, " category"]) -> str:
    return ", ".join(
        f"{name} {fixed(share)}" for name, share in zip(CATEGORIES, shares, strict=True) if name != CATEGORIES[PAD]
    )
