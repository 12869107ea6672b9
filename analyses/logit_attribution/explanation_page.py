"""The page of one explained prediction: what `interp attribute` writes."""

import numpy as np

from analyses.logit_attribution.attribute import Explanation, inexact
from analyses.logit_attribution.prompt_page import legend
from interp.report import Card, Line, Report, Section, Table, Token, TokenStrip, visible
from interp.report.numbers import number


def explanation_section(explanation: Explanation, name: str = "attribution") -> Section:
    """The page of one prediction.

    Args:
        explanation: what was found.
        name: slug with which the names of its blocks begin.
    """
    top = explanation.components.iloc[0]
    strongest = explanation.sources.iloc[int(explanation.sources["contribution"].abs().argmax())]
    label, foil = visible(explanation.label), visible(explanation.foil)
    cross = float(explanation.sources["contribution"].sum())
    findings = (
        f"{label!r} leads {foil!r} by {number(explanation.difference)} logits at position {explanation.position} "
        f"of the {explanation.target_origin} target; the largest contribution is {top['component']}, "
        f"{number(float(top['contribution']))}.",
        f"Cross-attention adds {number(cross)}, most of it at {visible(str(strongest['source token']))!r} "
        f"({number(float(strongest['contribution']))}).",
        f"The contributions add up with a gap of {number(explanation.gap, 1)} of their size (root of the summed squares).",
        *inexact(explanation),
    )
    return Section(
        name=name,
        title=f"Why {label!r} and not {foil!r}?",
        question=f"What wrote the logit difference at position {explanation.position}?",
        findings=findings,
        blocks=(
            _sentence(explanation, name),
            Table(
                f"{name}-components",
                "Contributions of all components, largest first; they add up to the difference.",
                explanation.components,
            ),
            Table(
                f"{name}-sources",
                "Source tokens in reading order: what each contributes through all cross-attention heads, and its "
                "parts by kind of encoder component at that token.",
                explanation.sources,
                rows_shown=None,
            ),
        ),
        limits=(
            "One prediction of one prompt: nothing here is an average, and there is no control.",
            "Direct effects only, with the final norms and all attention patterns held at their values.",
        ),
    )


def _sentence(explanation: Explanation, name: str) -> Card:
    pieces, values = explanation.sources["source token"], explanation.sources["contribution"].to_numpy()
    strongest = float(np.abs(values).max())
    title = "The source, its tokens colored by what they add through all cross-attention heads"
    parts = (
        Line((f"target ({explanation.target_origin}): {explanation.target}",)),
        Line((Token(explanation.label), " rather than ", Token(explanation.foil))),
        TokenStrip(tuple(pieces), values, strongest),
        legend(strongest),
    )
    return Card(f"{name}-sentence", title, parts)


def explanation_report(explanation: Explanation, command: str, model: str, name: str = "attribution") -> Report:
    """The page of one prediction as a report of its own.

    Args:
        explanation: what was found.
        command: the command line that makes it again.
        model: name of the model.
        name: slug with which the names of its blocks begin.
    """
    section = explanation_section(explanation, name)
    return Report(
        title=section.title,
        question=section.question,
        findings=section.findings[:1],
        command=command,
        sections=(section,),
        provenance=(("model", model), ("source", explanation.source), ("target", explanation.target)),
    )
