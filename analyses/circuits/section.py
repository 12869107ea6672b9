"""The section: the circuit first, then what it keeps, against what, and how it was found."""

from analyses.circuits.figures import check_figure, curve_figure, graph_explorer, graph_figure
from analyses.circuits.summary import AnswerCircuit, NoCircuit
from analyses.circuits.tables import tables
from analyses.circuits.wording import LIMITS, findings, headline, highlights, methods, no_headline
from interp.report import Section

TITLE = "Circuits"
QUESTION = "Which edges between heads, MLPs, embeddings and logits of both stacks carry an answer?"

_NAME = "circuits"


def present(result: AnswerCircuit | NoCircuit) -> Section:
    """The section of one run."""
    if isinstance(result, NoCircuit):
        return Section(
            name=_NAME,
            title=TITLE,
            question=QUESTION,
            findings=(result.reason,),
            blocks=(),
            limits=(
                "Nothing follows from pairs that a model cannot tell apart; give some of its own task by --pairs.",
            ),
            headline=no_headline(),
        )
    checked = () if result.check is None else (check_figure(result, result.check),)
    return Section(
        name=_NAME,
        title=TITLE,
        question=QUESTION,
        findings=findings(result),
        blocks=(
            graph_figure(result),
            graph_explorer(result),
            curve_figure(result),
            *checked,
            *tables(result),
        ),
        limits=LIMITS,
        cites=("syed2023", "hanna2024", "mueller2025", "wang2022", "elhage2021"),
        headline=headline(result),
        highlights=highlights(result),
        methods=methods(result),
    )
