"""The section on heads: their roles over the steps, small multiples of their scores, and where these change."""

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from analyses.head_specialization.present.legend import FAMILIES, code_of, family_of, hue_of
from analyses.trace.histories import LEVEL, RoleHistory
from analyses.trace.present.curves import step_figure, step_words
from analyses.trace.trace import RunTrace, Trace
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import HeadId
from interp.report import (
    Block,
    Card,
    Figure,
    Headline,
    Line,
    LinePanel,
    LinePanels,
    PanelLine,
    Section,
    Series,
    Table,
    Tinted,
    TintedTable,
)
from interp.report.headline import Sureness
from interp.report.numbers import counted
from interp.statistics import controlled
from interp.statistics.change_points import LEAST_TESTED

KIND_NAMES: Mapping[AttentionKind, str] = {
    "encoder": "encoder self-attention",
    "decoder": "decoder self-attention",
    "cross": "cross-attention",
}
_NO_ROLE = "·"


def heads_section(trace: Trace) -> Section:
    """Roles and scores of every head of the main run."""
    main = trace.main
    born = [one for one in main.histories if one.born is not None]
    lost = [one for one in born if one.lost is not None]
    sentences = [
        str(trace),
        f"{counted(len(born), 'time')} a head gets a role, and {counted(len(lost), 'time')} it loses one; heads with several "
        f"roles in turn: {_turning(born)}.",
        *(_first(trace, born)),
        _of_changes(main),
        *(_of_control(run) for run in trace.runs if run.part == "control"),
    ]
    return Section(
        name="heads",
        title="How heads come to be",
        question="Which head gets which role at which step, which does it lose, and where does its score change?",
        findings=tuple(sentences),
        blocks=(
            _counts(trace),
            *_grids(trace),
            *(_multiples(trace, kind) for kind in ATTENTION_KINDS),
            histories_table(trace),
        ),
        headline=Headline(
            f"{len(main.roles_at(-1))} of {len(main.leading)} heads have a role at the last step of {main.name}.",
            _sureness(trace),
            "trace-role-counts",
        ),
        methods=(
            "Roles are those of the head analysis, by its one decision at every moment: rule, effect, untrained twins, false "
            "discovery and bootstrap. Its experiments (copying, translation, permuted weights, shuffled texts) are not run at "
            "every moment.",
            "Changes are those of least squares with a penalty, found exactly; the main one is the single cut that explains "
            "most, its interval resamples sentences. Moments are counted, not steps, and they lie on a logarithmic axis.",
        ),
        limits=(
            "A role is given or not: a head just below a threshold looks as if it had none; its score shows how near it was.",
            "A gradual rise is cut into two or three steps; the main change is where one cut fits best.",
            "A change by the test is no learning: scores that only drift, as weights on a random walk make them, hang together "
            "over the steps too, and most of them pass it. What a control makes of it stands beside it.",
            "Roles that need an experiment (copying, translation, syntax) are not looked for.",
        ),
        cites=("killick2012", "truong2020"),
    )


def _sureness(trace: Trace) -> Sureness:
    """Whether more heads have a role at the last step than one more model like the first or a control may; else not judged."""
    controls = [float(len(run.roles_at(-1))) for run in trace.runs if run.part == "control"]
    if not controls:
        return "not judged"
    count = controlled(float(len(trace.main.roles_at(-1))), [float(len(trace.main.roles_at(0))), *controls])
    return "beyond all controls" if count.above_controls else "within the controls"


def _counts(trace: Trace) -> Figure:
    """How many heads have a role of each family, over the steps."""
    main = trace.main
    steps = np.array(main.steps, dtype=np.float64)
    at = [[family_of(role).name for role in main.roles_at(place).values()] for place in range(len(steps))]
    series = [
        Series(family.name, steps, np.array([float(names.count(family.name)) for names in at]))
        for family in FAMILIES
        if any(family.name in names for names in at)
    ]
    for run in trace.runs:
        if run.part == "control" or not series:
            counts = np.array([float(len(run.roles_at(place))) for place in range(len(run.steps))])
            series.append(
                Series(f"any role in {run.name}", np.array(run.steps, dtype=np.float64), counts, style="control")
            )
    return step_figure(
        "trace-role-counts",
        series,
        "heads with such a role",
        f"Heads of {main.name} by the kind of their strongest role, over the steps; controls: heads with any role.",
        f"At the last step {len(main.roles_at(-1))} of {len(main.leading)} heads have a role, at the first "
        f"{len(main.roles_at(0))}.",
    )


def _first(trace: Trace, born: Sequence[RoleHistory]) -> list[str]:
    if not born:
        return ["No head ever has a role."]
    kept = sorted((one for one in born if one.lost is None), key=lambda one: (one.born or 0, one.head))[:3]
    words = [f"{one.head} {one.role} from step {step_words(trace, one.born or 0)}" for one in kept]
    return [f"The first roles that last: {'; '.join(words)}."] if words else []


def _turning(born: Sequence[RoleHistory]) -> str:
    roles: dict[HeadId, list[RoleHistory]] = {}
    for one in born:
        roles.setdefault(one.head, []).append(one)
    several = [
        f"{head} ({', then '.join(one.role for one in sorted(found, key=lambda one: one.born or 0))})"
        for head, found in roles.items()
        if len(found) > 1
    ]
    shown = "; ".join(several[:4])
    return f"{shown} and {len(several) - 4} more" if len(several) > 4 else shown or "none"


def _of_changes(run: RunTrace) -> str:
    if len(run.steps) < LEAST_TESTED:
        return f"Whether scores change is not tested: {len(run.steps)} moments have too few orders, {LEAST_TESTED} are needed."
    return (
        f"The score of {_changed(run)} of {len(run.leading)} heads changes by the test over random orders of the moments "
        f"(false discovery rate {LEVEL:g}, over all heads and roles)."
    )


def _changed(run: RunTrace) -> int:
    return sum(one.changed for one in run.leading.values())


def _of_control(run: RunTrace) -> str:
    changed = f", and the scores of {_changed(run)} change" if len(run.steps) >= LEAST_TESTED else ""
    return f"In the control {run.name} {len(run.roles_at(-1))} of {len(run.leading)} heads have a role at the last step{changed}."


def _grids(trace: Trace) -> list[Block]:
    """The roles of all heads over the steps, one grid a run."""
    return [
        Card(
            f"trace-roles-{number}",
            f"Roles of every head of {run.name} over the steps",
            (role_grid(run), *((_legend(trace),) if number == 0 else ())),
        )
        for number, run in enumerate(trace.runs)
    ]


def role_grid(run: RunTrace) -> TintedTable:
    """Heads over steps: letters of the strongest role, darker where more attention is behind it.

    Args:
        run: the run.
    """
    rows = []
    at = [run.roles_at(place) for place in range(len(run.steps))]
    for head in run.leading:
        cells = []
        for place, roles in enumerate(at):
            role = roles.get(head)
            if role is None:
                cells.append(Tinted(_NO_ROLE, title=f"{head} at step {run.steps[place]:,}: no role"))
                continue
            labels = [label for label in run.snapshots[place].labels if label.head == head]
            said = ", ".join(f"{label} {label.score:.2f}" for label in labels)
            strength = max(label.effect for label in labels)
            cells.append(
                Tinted(code_of(role), hue_of(role), min(strength, 1.0), f"{head} at step {run.steps[place]:,}: {said}")
            )
        rows.append((str(head), tuple(cells)))
    caption = f"{run.name}: the role of every head (rows) at every step (columns)."
    return TintedTable(caption, ("head", *(f"{step:,}" for step in run.steps)), tuple(rows))


def _legend(trace: Trace) -> Line:
    """The letters of the roles that occur."""
    seen = {label.leading for run in trace.runs for snapshot in run.snapshots for label in snapshot.labels}
    words = [f"{code} {role}" for family in FAMILIES for role, code in family.codes.items() if role in seen]
    return Line(
        (f"{', '.join([*words, f'{_NO_ROLE} no role'])}. Darker is more attention behind the role.",), small=True
    )


def _multiples(trace: Trace, kind: AttentionKind) -> Card:
    """Scores of every head of one kind over the steps."""
    main = trace.main
    found: dict[HeadId, list[RoleHistory]] = {}
    for one in main.histories:
        if one.head.kind == kind:
            found.setdefault(one.head, []).append(one)
    panels = []
    for head, histories in found.items():
        lines = tuple(
            PanelLine(f"{one.role}", one.score, hue_of(one.role), one.has)
            for one in sorted(histories, key=lambda one: one.has.sum())
        )
        lead = main.leading[head]
        place = lead.changes.main.place if lead.changes.main is not None and lead.changed else None
        names = " → ".join(dict.fromkeys(code_of(one.role) for one in sorted(histories, key=lambda one: one.born or 0)))
        panels.append(LinePanel(f"{head} {names}", lines, place))
    lowest = min(float(np.nanmin(one.score, initial=0.0)) for of in found.values() for one in of)
    parts = LinePanels(
        panels=tuple(panels),
        columns=trace.cfg.heads_of(kind),
        x=np.log1p(np.array(main.steps, dtype=np.float64)),
        x_names=(f"step {main.steps[0]:,}", f"{main.steps[-1]:,}"),
        lower=-1.0 if lowest < -0.5 else -0.5 if lowest < -0.05 else 0.0,
        upper=1.0,
        label=f"Scores of {KIND_NAMES[kind]} heads over the steps",
    )
    note = (
        f"{KIND_NAMES[kind].capitalize()}, a chart a head: its score for every role that it ever has, else for the one it comes "
        "nearest to; thick where it has the role; broken upright line: the main change of its leading role."
    )
    return Card(f"trace-scores-{kind}", parts.label, (Line((note,), small=True), parts))


def histories_frame(trace: Trace) -> pd.DataFrame:
    """A row for every head and role that is followed in the main run.

    Args:
        trace: the trace.
    """
    steps = trace.main.steps
    rows = []
    for one in trace.main.histories:
        change = one.changes.main
        rows.append({
            "head": str(one.head),
            "role": one.role,
            "born at step": _step(steps, one.born),
            "lost at step": _step(steps, one.lost),
            "changes before step": _step(steps, None if change is None else change.place),
            "earliest": _step(steps, None if change is None else change.low),
            "latest": _step(steps, None if change is None else change.high),
            "jump": np.nan if change is None else change.jump,
            "explained": one.changes.explained,
            "p adjusted": one.p_adjusted,
            "changes": len(one.changes.all),
            "first score": one.score[0],
            "last score": one.score[-1],
            "moments with the role": int(one.has.sum()),
        })
    return pd.DataFrame(rows)


def _step(steps: Sequence[int], place: int | None) -> str:
    return "" if place is None else str(steps[place])


def histories_table(trace: Trace) -> Table:
    """The same as a table of the page."""
    frame = histories_frame(trace)
    return Table(
        name="trace-heads",
        caption=(
            "Heads and roles of the main run: first step with the role, first step without it for good, and the first step "
            "after the main change of its score with the range of 95 % of resamples."
        ),
        frame=frame,
        rows_shown=16,
        columns_shown=(
            "head",
            "role",
            "born at step",
            "lost at step",
            "changes before step",
            "earliest",
            "latest",
            "jump",
        ),
        hues={role: hue_of(role) for role in frame["role"].unique()},
    )
