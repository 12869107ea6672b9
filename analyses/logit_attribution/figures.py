"""Figures: the components that make up the logit difference, and where in the decoder the heads among them sit."""

import numpy as np

from analyses.logit_attribution.summary import LogitAttribution
from interp.attribution.components import ComponentKind
from interp.report import BarChart, Figure, Heatmap, Panel
from interp.report.numbers import number

SHOWN = 14
"""Components with a bar of their own."""


def waterfall_figure(result: LogitAttribution) -> Figure:
    """Bars of the largest contributions, of all others together, and of their sum."""
    chosen, rest = result.order[:SHOWN], result.order[SHOWN:]
    point, twins = result.difference.point, result.difference.control_mean
    others = [float(point[rest].sum())] if len(rest) else []
    other_twins = [float(twins[rest].sum())] if len(rest) else []
    other_label = [f"{len(rest)} others"] if len(rest) else []
    nan = [np.nan] * len(others)
    first, second = (result.components[index] for index in result.order[:2])
    return Figure(
        name="logit-attribution-components",
        caption=(
            "Contributions to the logit difference of label and runner-up, in logits: mean over sentences with 95 % "
            "bootstrap interval; diamonds are the mean of the untrained twins. The bars above the last add up to "
            "the last."
        ),
        alt=(
            f"Bars of contributions to a logit difference of {number(float(result.value.point[0]))}; the largest "
            f"are {first} with {number(float(point[result.order[0]]))} and {second} with "
            f"{number(float(point[result.order[1]]))}."
        ),
        chart=BarChart(
            labels=(*(result.components[index].label for index in chosen), *other_label, "sum: logit difference"),
            values=np.array([*point[chosen], *others, *result.value.point]),
            low=np.array([*result.difference.low[chosen], *nan, *result.value.low]),
            high=np.array([*result.difference.high[chosen], *nan, *result.value.high]),
            control=np.array([*twins[chosen], *other_twins, *result.value.control_mean]) if result.n_twins else None,
            axis="contribution to logit difference (logits)",
        ),
    )


def heads_figure(result: LogitAttribution) -> Figure:
    """Layer by head for self- and cross-attention, on one zero-centered scale."""
    panels = []
    kinds: tuple[ComponentKind, ...] = ("self-attention head", "cross-attention head")
    for kind, title in zip(kinds, ("decoder self-attention", "cross-attention"), strict=True):
        indices = result.heads(kind)
        panels.append(
            Panel(
                title=title,
                values=result.difference.point[indices],
                row_labels=tuple(str(layer) for layer in range(indices.shape[0])),
                column_labels=tuple(str(head) for head in range(indices.shape[1])),
                row_axis="layer",
                column_axis="head",
            )
        )
    head = result.strongest_cross
    value = float(panels[1].values[head.layer, head.head])
    sums = [float(panel.values.sum()) for panel in panels]
    return Figure(
        name="logit-attribution-heads",
        caption=(
            "Mean contribution of every decoder head to the logit difference of label and runner-up: purple raises the "
            "label, orange raises the runner-up."
        ),
        alt=(
            f"Heatmaps of head contributions: self-attention heads sum to {number(sums[0])}, cross-attention heads to "
            f"{number(sums[1])}; the strongest cross head is {head} with {number(value)}."
        ),
        chart=Heatmap(panels=tuple(panels), color_label="contribution to logit difference (logits)", center=0.0),
    )
