"""How do blocks make a report?

A report is a title, facts, findings and sections; a section is a question, what it says at a glance, its findings, blocks,
methods, and the limits of what the findings support. What is too long for it stands on pages of their own.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from interp.report.blocks import Block, Checked, Figure
from interp.report.explorer.contents import HeadNote
from interp.report.headline import Finding, Headline

MOST_HIGHLIGHTS = 5


@dataclass(frozen=True)
class Page(Checked):
    """A page of its own for what is too long for the report's: one prompt, or a card for every head.

    Attributes:
        name: slug; the file is `pages/<name>.html`.
        title: heading, and the text of the link that leads there.
        lead: what it shows, in a sentence or two.
        blocks: what it shows.
        explored: what of the page to explore shows the same, as its address has it behind the `#`; empty where nothing does.

    Raises:
        ValueError: if there is nothing to show.
    """

    name: str
    title: str
    lead: str
    blocks: tuple[Block, ...]
    explored: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.blocks:
            raise ValueError(f"Page {self.name!r} has no blocks; leave it out or show something.")


@dataclass(frozen=True)
class Section(Checked):
    """The answer to one question.

    Attributes:
        name: slug, the anchor on the page.
        title: heading.
        question: the question in one sentence.
        findings: what was found, as sentences with numbers.
        blocks: the evidence.
        limits: what the findings do not support; never empty.
        pages: pages of their own, linked after the blocks.
        headline: what it says at a glance.
        highlights: at most five plain sentences, shown first; the findings stand behind them.
        methods: how the numbers were made, paragraph by paragraph.
        cites: keys of the bibliography, of the works that its methods come from.
        heads: what it found about single heads, such as `XL2H4`, for the page to explore.

    Raises:
        ValueError: if the headline names a figure that the section lacks, or there are more than five highlights.
    """

    name: str
    title: str
    question: str
    findings: tuple[str, ...]
    blocks: tuple[Block, ...]
    limits: tuple[str, ...]
    pages: tuple[Page, ...] = ()
    headline: Headline | None = None
    highlights: tuple[Finding, ...] = ()
    methods: tuple[str, ...] = ()
    cites: tuple[str, ...] = ()
    heads: Mapping[str, HeadNote] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.highlights) > MOST_HIGHLIGHTS:
            raise ValueError(
                f"Section {self.name!r} has {len(self.highlights)} highlights; give the {MOST_HIGHLIGHTS} that matter."
            )
        if self.headline and self.headline.figure and self.main_figure is None:
            raise ValueError(
                f"The headline of section {self.name!r} names the figure {self.headline.figure!r}, which it lacks."
            )

    @property
    def main_figure(self) -> Figure | None:
        """The figure that the headline names."""
        wanted = self.headline.figure if self.headline else ""
        return next((block for block in self.blocks if isinstance(block, Figure) and block.name == wanted), None)

    @property
    def other_findings(self) -> tuple[str, ...]:
        """The findings that stand behind no highlight."""
        told = {sentence for highlight in self.highlights for sentence in highlight.behind}
        return tuple(sentence for sentence in self.findings if sentence not in told)


@dataclass(frozen=True)
class Report(Checked):
    """A whole page.

    Attributes:
        title: heading of the page.
        question: the question in one or two sentences.
        findings: the answer, as sentences.
        command: the exact command that makes this page again.
        sections: the parts.
        provenance: pairs of name and value, such as versions and hashes.
        notes: remarks on how to read the whole, possibly none.
        facts: pairs of name and value that say at a glance what was looked at.
        explorer: address of the page to explore, beside this one; empty where there is none.

    Raises:
        ValueError: if there is no section.
    """

    title: str
    question: str
    findings: tuple[str, ...]
    command: str
    sections: tuple[Section, ...]
    provenance: tuple[tuple[str, str], ...]
    notes: tuple[str, ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    explorer: str = ""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.sections:
            raise ValueError("Report.sections is empty; give at least one Section.")
