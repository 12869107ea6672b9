"""What a run says in words: sections as data, and the section of an analysis that was not made."""

from collections.abc import Sequence
from dataclasses import asdict

from analyses.core.contract import Analysis
from analyses.runs.manifest import canonical_json
from interp.report import Headline, Section


def results_json(names: Sequence[str], sections: Sequence[Section]) -> bytes:
    """Questions, headlines, highlights, findings and limits by analysis, as JSON."""
    return canonical_json({
        name: {
            "question": section.question,
            "headline": None if section.headline is None else asdict(section.headline),
            "highlights": [highlight.sentence for highlight in section.highlights],
            "findings": section.findings,
            "limits": section.limits,
        }
        for name, section in zip(names, sections, strict=True)
    })


def refusal(analysis: Analysis, why: str) -> Section:
    """The section of an analysis that cannot be made on this model."""
    return Section(
        name=analysis.name.replace("_", "-"),
        title=analysis.title,
        question=analysis.question,
        findings=(f"Not answered for this model: {why}.",),
        blocks=(),
        headline=Headline("Not answered for this model.", "not judged"),
        limits=("Nothing follows from an analysis that was not made.",),
    )
