"""Presenting the check by ablation: sentences, a scatter of attribution against ablation, and the table behind it."""

import numpy as np
import pandas as pd

from analyses.logit_attribution.ablation import AblationCheck
from analyses.logit_attribution.assumptions import FINAL_NORM
from analyses.logit_attribution.tables import estimate_columns
from interp.hooks.names import HeadId
from interp.patching.replacements import ABLATIONS
from interp.report import Block, Figure, PointGroup, ScatterPlot, Span, Table
from interp.report.numbers import counted, interval, number, percent, with_interval
from interp.statistics import falling_order, largest

ZERO = 0

KIND_NAMES = ("self-attention heads", "cross-attention heads")


def head_labels(check: AblationCheck) -> np.ndarray:
    """Labels of all decoder heads, [layer kind head]."""
    layers, kinds, heads = check.total.point.shape[1:]
    labels = [
        [[str(HeadId("cross" if kind else "decoder", layer, head)) for head in range(heads)] for kind in range(kinds)]
        for layer in range(layers)
    ]
    return np.array(labels)


def ablation_findings(check: AblationCheck, norms: str = FINAL_NORM) -> tuple[str, ...]:
    """What ablation says about the attributions.

    Args:
        check: what was found.
        norms: the norms between a head and the logits, in words.
    """
    return (_agreement(check), _repair(check, norms), _disagreements(check))


def _agreement(check: AblationCheck) -> str:
    parts = []
    for mode, name in enumerate(ABLATIONS):
        having = int(check.total.interval.count[mode].min())
        if not having:
            parts.append(f"undefined under {name} ablation, because no two sentences of the sample share a task prefix")
            continue
        point, low, high = (float(value) for value in check.agreement.correlation[mode])
        twin = ""
        if check.twin_agreement is not None:
            twin = f"; untrained twin {number(float(check.twin_agreement.correlation[mode, 0]))}"
        sign = percent(float(check.agreement.same_sign[mode, 0]))
        parts.append(
            f"{interval(point, low, high, write=number)} under {name} ablation ({sign} of heads with equal "
            f"sign{twin}{_left_out(check, having)})"
        )
    return (
        f"Ablating every decoder head on {check.sentences} of the sentences, the rank correlation of direct effect "
        f"(what attribution says) and total effect (what happens) over heads is {', '.join(parts)}."
    )


def _left_out(check: AblationCheck, having: int) -> str:
    missing = check.sentences - having
    return (
        f"; without {missing} sentence{'' if missing == 1 else 's'} whose task prefix no other sentence of the sample has"
        if missing
        else ""
    )


def _repair(check: AblationCheck, norms: str) -> str:
    labels = head_labels(check)
    place = largest(-check.total.point[ZERO])
    total, direct, anew, repair = (
        with_interval(effect[(ZERO, *place)], write=number)
        for effect in (check.total, check.frozen, check.recomputed, check.repair)
    )
    return (
        f"The head most missed is {labels[place]}: zeroing it changes the logit difference by {total}, of which {direct} is "
        f"direct ({anew} with {norms} taken anew) and {repair} is the answer of later components. Summed over heads, zeroed "
        f"one at a time, total effects are {number(check.total.point[ZERO].sum())} and direct effects "
        f"{number(check.frozen.point[ZERO].sum())}."
    )


def _disagreements(check: AblationCheck) -> str:
    labels = head_labels(check)
    parts = []
    for mode, name in enumerate(ABLATIONS):
        heads = labels[check.disagree(mode)]
        parts.append(f"{', '.join(heads) if len(heads) else 'none'} ({name})")
    return (
        "Heads whose direct and total effects have intervals on different sides of zero, so that the attribution "
        f"must not be read as what they do: {'; '.join(parts)}."
    )


def ablation_frame(check: AblationCheck) -> pd.DataFrame:
    """One row a decoder head, the one most missed under zero ablation first."""
    labels = head_labels(check)
    columns: dict[str, object] = {"head": labels.reshape(-1)}
    for mode, name in enumerate(ABLATIONS):
        for what, estimate in (
            ("total", check.total),
            ("direct", check.frozen),
            ("direct, norm anew", check.recomputed),
            ("self-repair", check.repair),
        ):
            for column, values in estimate_columns(f"{name}: {what}", estimate, twins_range=False).items():
                columns[column] = np.asarray(values)[mode].reshape(-1)
        columns[f"{name}: disagrees"] = np.where(check.disagree(mode).reshape(-1), "yes", "no")
    order = falling_order(-check.total.point[ZERO].reshape(-1))
    return pd.DataFrame(columns).iloc[order].reset_index(drop=True)


def ablation_blocks(check: AblationCheck, norms: str = FINAL_NORM) -> tuple[Block, ...]:
    """Scatter and table; `norms` as for `ablation_findings`."""
    drawn = (
        "zero: total",
        "zero: direct",
        "zero: direct, norm anew",
        "zero: self-repair",
        "mean: total",
        "resample: total",
    )
    table = Table(
        name="logit-attribution-causal",
        caption=(
            f"Every decoder head ablated on {counted(check.sentences, 'sentence')}, the most missed first: change of the logit "
            f"difference in total, its direct part with {norms} held (minus the attribution) and taken "
            "anew, and the difference of total and direct part (self-repair, positive where later components make "
            "up for a helpful head). Mean and resample ablation take z from rows of the same class in the "
            "sample's other sentences with the same task prefix, and leave out prompts that have none. The CSV has all intervals."
        ),
        frame=ablation_frame(check),
        rows_shown=12,
        columns_shown=("head", *drawn, "zero: disagrees"),
        spans=tuple(Span.of(name, f"{name}: ", controls=()) for name in drawn),
    )
    return _scatter(check), table


def _scatter(check: AblationCheck) -> Figure:
    labels = head_labels(check)
    direct, total = -check.frozen.point[ZERO], -check.total.point[ZERO]
    groups = [
        PointGroup(
            label=name,
            x=direct[:, kind].reshape(-1),
            y=total[:, kind].reshape(-1),
            names=tuple(labels[:, kind].reshape(-1)),
        )
        for kind, name in enumerate(KIND_NAMES)
    ]
    if check.twin_agreement is not None:
        x, y = -check.frozen.control_mean[ZERO].reshape(-1), -check.total.control_mean[ZERO].reshape(-1)
        groups.append(PointGroup(label="untrained twin", x=x, y=y, names=("",) * len(x), style="control"))
    point, low, high = (float(value) for value in check.agreement.correlation[ZERO])
    return Figure(
        name="logit-attribution-causal",
        caption=(
            "Attribution against ablation, one point a decoder head: what the head writes for the label (its "
            "direct effect) and how much of the logit difference is lost when its z is set to zero. On the line, "
            "both are equal; below it, later components make up for the loss; above it, they multiply it."
        ),
        alt=(
            f"Scatter of direct against total effects of {labels.size} decoder heads under zero ablation; their "
            f"rank correlation is {interval(point, low, high, write=number)}."
        ),
        chart=ScatterPlot(
            groups=tuple(groups),
            x_axis="attribution to the logit difference (logits)",
            y_axis="logit difference lost by zero ablation (logits)",
            diagonal=True,
        ),
    )
