"""How good methods that name source words are, as a page: what `interp attribute --judge` writes."""

import numpy as np
import pandas as pd

from interp.report import Figure, Headline, LineGrid, Report, Section, Series, Span, Table
from interp.report.headline import Sureness
from interp.report.numbers import counted, interval
from interp.sources.judge import RANDOM, TWIN, Criteria, Judgement

_CURVES = ("tokens taken out", "tokens put back")


def judge_section(judged: Judgement, recovered: pd.DataFrame, name: str = "judge", fault: str = "") -> Section:
    """Curves of all methods beside random orders and the twin, what they sum up to, and who names the true words.

    Args:
        judged: the methods on the same prompts.
        recovered: the methods on compiled programs, of `interp.sources.recovery`.
        name: slug with which the names of its blocks begin.
        fault: why the explained targets say nothing, see `TextCounts.fault`; empty if they do.
    """
    random = judged.model[RANDOM]
    ranked = _ranked(judged)
    beyond = [one for one in ranked if _beyond(judged.model[one], random)]
    return Section(
        name=name,
        title="Which method names the source words that matter?",
        question="What happens to an answer while the tokens that a method calls important are taken out, or put back?",
        findings=(
            *fault_sentences(fault),
            f"The two lines of {ranked[0]} are furthest apart: {_areas(judged.model[ranked[0]])}; those of random orders: "
            f"{_areas(random)}.",
            f"{len(beyond)} of {len(ranked)} methods have both areas beyond those of random orders, 95 % intervals apart"
            f"{': ' if beyond else ''}{', '.join(beyond)}.",
        ),
        headline=Headline(
            f"{len(beyond)} of {len(ranked)} methods order source tokens better than chance.",
            "not judged" if fault else _sureness(judged, beyond),
            f"{name}-curves",
        ),
        blocks=(
            curve_figure(judged, ranked, name),
            Table(
                f"{name}-criteria",
                f"{counted(judged.n_prompts, 'prompt')}, a row of each. Deletion: low is good. Insertion: high is good. "
                "Occlusion: rank correlation with what taking out a token at a time loses; itself is judged by its own means.",
                judged.to_frame(),
                rows_shown=None,
                spans=tuple(Span(one, f"{one} low", f"{one} high") for one in ("deletion", "insertion", "occlusion")),
                opened=True,
            ),
            Table(
                f"{name}-true-words",
                "Rows of compiled programs whose true word comes first, as shares; rows: how many there are.",
                recovered,
                rows_shown=None,
            ),
            Table(f"{name}-curves", "The curves, in tenths of the tokens.", judged.curves()),
        ),
        limits=(
            "What is taken out leaves padding behind, which the model never saw there.",
            "One row of every prompt, drawn by chance; of other rows and prompts nothing follows.",
        ),
        methods=(
            "Tokens are taken out, most important first, until none is left (deletion), and put back into an empty source in "
            "the same order (insertion; Petsiuk et al. 2018). The share is of the fall of the explained difference from the "
            "whole source to none, means over prompts first; areas are means over the way.",
            "Controls: random orders of the same tokens, and the same method on an untrained twin, judged on the model "
            "(Adebayo et al. 2018).",
        ),
        cites=("petsiuk2018", "adebayo2018"),
    )


def fault_sentences(fault: str) -> tuple[str, ...]:
    """That the explained targets say nothing; no sentence if they do.

    Args:
        fault: why, as a clause; see `TextCounts.fault`.
    """
    return (
        (f"What is explained says nothing: {fault}; give prompts with targets, or a trained model.",) if fault else ()
    )


def curve_figure(judged: Judgement, order: list[str], name: str) -> Figure:
    """A panel for every method: both curves of it, of random orders, and of the method on the twin.

    Args:
        judged: the methods.
        order: their names in the order of the panels.
        name: slug with which the figure's name begins.
    """
    random = judged.model[RANDOM]
    panels = []
    for one in order:
        lines = [*_lines(judged.model[one]), *_lines(random, RANDOM)]
        if one in judged.twin:
            lines += _lines(judged.twin[one], TWIN)
        panels.append((one, tuple(lines)))
    twins = " and for the method on an untrained twin (gray, hollow squares)" if judged.twin else ""
    return Figure(
        name=f"{name}-curves",
        caption=(
            "How much of the difference is left while source tokens are taken out, the most important first (falling), and "
            f"while they are put back in that order (rising): for every method, for random orders (gray, hollow circles){twins}. "
            "The further a method's two lines are apart, the better it knows what matters; the best comes first."
        ),
        alt=(
            f"{len(order)} panels of falling and rising lines, those of {order[0]} furthest apart: "
            f"{_areas(judged.model[order[0]])}; random orders: {_areas(random)}."
        ),
        chart=LineGrid(tuple(panels), "share of source tokens taken out or put back", "share of the difference left"),
    )


def judge_report(
    judged: Judgement, recovered: pd.DataFrame, command: str, model: str, name: str = "judge", fault: str = ""
) -> Report:
    """The section as a report of its own.

    Args:
        judged: the methods on the same prompts.
        recovered: the methods on compiled programs.
        command: the command line that makes it again.
        model: name of the model.
        name: slug with which the names of its blocks begin.
        fault: why the explained targets say nothing; empty if they do.
    """
    section = judge_section(judged, recovered, name, fault)
    return Report(
        title=section.title,
        question=section.question,
        findings=section.findings[:1],
        command=command,
        sections=(section,),
        provenance=(("model", model), ("prompts", str(judged.n_prompts))),
        facts=(("model", model), ("prompts", str(judged.n_prompts)), ("methods", str(len(judged.model) - 1))),
    )


def _ranked(judged: Judgement) -> list[str]:
    """Methods, the one whose two areas are furthest apart first; those without an answer last."""

    def apart(name: str) -> float:
        one = judged.model[name]
        return float(np.nan_to_num(float(one.insertion.point) - float(one.deletion.point), nan=-np.inf))

    return sorted((name for name in judged.model if name != RANDOM), key=apart, reverse=True)


def _beyond(one: Criteria, control: Criteria) -> bool:
    """Whether both areas are better, their intervals apart."""
    return bool(one.deletion.high < control.deletion.low and one.insertion.low > control.insertion.high)


def _sureness(judged: Judgement, beyond: list[str]) -> Sureness:
    """Whether all methods that beat random orders beat themselves on the twin; without twins or intervals not judged."""
    if not judged.twin or judged.n_prompts < 2:
        return "not judged"
    surely = beyond and all(_beyond(judged.model[name], judged.twin[name]) for name in beyond)
    return "beyond all controls" if surely else "within the controls"


def _lines(one: Criteria, control: str = "") -> tuple[Series, ...]:
    shares = np.linspace(0.0, 1.0, one.curves.shape[1])
    return tuple(
        Series(control or label, shares, values, style="control" if control else "model")
        for label, values in zip(_CURVES, one.curves, strict=True)
    )


def _areas(one: Criteria) -> str:
    parts = (("deletion", one.deletion), ("insertion", one.insertion))
    return ", ".join(f"{word} {interval(float(of.point), float(of.low), float(of.high))}" for word, of in parts)
