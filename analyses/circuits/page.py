"""The page of one circuit, as `interp circuit --page` writes it."""

from dataclasses import replace

from analyses.circuits.section import present
from analyses.circuits.summary import AnswerCircuit
from interp.report import Block, Figure, Report, Table, View


def circuit_report(result: AnswerCircuit, command: str, model: str, stem: str) -> Report:
    """The section of one circuit as a report of its own.

    Args:
        result: the circuit.
        command: the command line that makes it again.
        model: name of the model.
        stem: slug with which the names of its blocks begin, so that pages of one folder do not share files.
    """
    section = present(result)
    headline = section.headline
    assert headline is not None
    renamed = replace(
        section,
        blocks=tuple(_named(block, stem) for block in section.blocks),
        headline=replace(headline, figure=f"{stem}-{headline.figure}"),
    )
    return Report(
        title=f"Circuit of {result.settings.kind or 'given'} pairs",
        question=section.question,
        findings=section.findings[:1],
        command=command,
        sections=(renamed,),
        provenance=(("model", model), ("pairs", ", ".join(pair.id for pair in result.found_on))),
        facts=(
            ("model", model),
            ("pairs", str(len({*result.found_on, *result.judged_on}))),
            ("edges", f"{len(result.circuit)} of {len(result.circuit.graph):,}"),
        ),
    )


def _named(block: Block, stem: str) -> Block:
    if isinstance(block, View):
        return replace(block, name=f"{stem}-{block.name}", fallback=f"{stem}-{block.fallback}")
    return replace(block, name=f"{stem}-{block.name}") if isinstance(block, Table | Figure) else block
