"""The section on other runs: do seeds end with the same heads?"""

import numpy as np
import pandas as pd

from analyses.trace.present.curves import PARTS, step_figure
from analyses.trace.present.heads import KIND_NAMES
from analyses.trace.trace import Beside, Trace
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.report import Block, Figure, Headline, Section, Series, Table
from interp.report.charts import Style
from interp.report.numbers import fixed


def seeds_section(trace: Trace) -> Section:
    """Heads of every other run matched with those of the main run by what they look at."""
    runs = [one for one in trace.beside if one.steps]
    sentences = [sentence for one in runs for sentence in _sentences(trace, one)]
    blocks: list[Block] = [_figure(trace, runs, kind) for kind in ATTENTION_KINDS]
    blocks.append(_pairs(trace, runs))
    best = min(runs, key=lambda one: float(np.mean(list(one.agreements[-1].matched.values()))))
    gap = np.mean([best.agreements[-1].unmatched[kind] - best.agreements[-1].matched[kind] for kind in ATTENTION_KINDS])
    return Section(
        name="seeds",
        title="Other seeds and controls",
        question="Do runs of other seeds end with the same heads, matched by what they look at?",
        findings=tuple(sentences),
        blocks=tuple(blocks),
        headline=Headline(
            f"Matched heads of {best.run} are {fixed(float(gap))} bits nearer than heads paired at random.",
            "not judged",
            f"trace-seeds-{ATTENTION_KINDS[-1]}",
        ),
        methods=(
            "Divergence is Jensen-Shannon's in bits, mean over rows and sentences; the matching with the smallest sum is exact "
            "(Kuhn 1955). It is found on one half of the prompts and judged on the other, both ways; "
            "self-attention heads keep their "
            "place in all layers of a stack, because T5's layers share position biases by index.",
        ),
        limits=(
            "What heads look at is matched, not what they write.",
            "A matching finds the best of what there is; its gain at the first step is what chance allows.",
        ),
        cites=("kuhn1955", "lin1991"),
    )


def _sentences(trace: Trace, one: Beside) -> list[str]:
    first, last = one.agreements[0], one.agreements[-1]
    parts = [
        f"{KIND_NAMES[kind]} {fixed(last.matched[kind])} bits apart against {fixed(last.unmatched[kind])} unmatched (first step: "
        f"{fixed(first.matched[kind])} against {fixed(first.unmatched[kind])})"
        for kind in ATTENTION_KINDS
    ]
    said = [
        f"Heads of {one.run}{PARTS[one.part]} matched with {trace.main.name} at step {one.steps[-1]:,}: {'; '.join(parts)}."
    ]
    if one.roles is not None:
        said.append(
            f"{one.roles.same} of {one.roles.counted} matched heads of {one.run} of which one has a role have the "
            "same role; random "
            f"pairings give {one.roles.by_chance:.1f} (p = {one.roles.p_value:.3f})."
        )
    return said


def _figure(trace: Trace, runs: list[Beside], kind: AttentionKind) -> Figure:
    series = []
    for one in runs:
        steps = np.array(one.steps, dtype=np.float64)
        style: Style = "control" if one.part == "control" else "model"
        for what in ("matched", "unmatched"):
            values = np.array([getattr(agreement, what)[kind] for agreement in one.agreements])
            series.append(Series(f"{one.run}: {what}", steps, values, style=style))
    name = KIND_NAMES[kind]
    return step_figure(
        f"trace-seeds-{kind}",
        series,
        "Jensen-Shannon divergence (bits)",
        f"{name.capitalize()}: how far heads of other runs are from those of {trace.main.name}, matched on the other half of the "
        "prompts, and paired at random.",
        f"{name.capitalize()} heads of {runs[0].run} end {fixed(runs[0].agreements[-1].matched[kind])} bits from their partners.",
    )


def _pairs(trace: Trace, runs: list[Beside]) -> Table:
    """Every head of the main run with its partner in each other run, and the roles of both at the last common step."""
    columns: dict[str, list[str]] = {"head": [], "role": []}
    of_run = {one.run: next(run for run in trace.runs if run.name == one.run) for one in runs}
    for position, one in enumerate(runs):
        main_roles = trace.main.roles_at(trace.main.steps.index(one.steps[-1]))
        roles = of_run[one.run].roles_at(of_run[one.run].steps.index(one.steps[-1]))
        if position == 0:
            columns["head"] = [str(first) for first, _ in one.agreements[-1].pairs]
            columns["role"] = [main_roles.get(first, "") for first, _ in one.agreements[-1].pairs]
        columns[one.run] = [str(second) for _, second in one.agreements[-1].pairs]
        columns[f"{one.run} role"] = [roles.get(second, "") for _, second in one.agreements[-1].pairs]
    return Table(
        "trace-matched-heads",
        f"Every head of {trace.main.name} with the head of each other run that looks at the same, and their "
        "roles at the last step.",
        pd.DataFrame(columns),
        rows_shown=24,
        columns_shown=tuple(list(columns)[:8]),
    )
