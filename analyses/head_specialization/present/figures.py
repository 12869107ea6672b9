"""The figures of the head atlas: roles and metrics by layer and head, position biases, and heads laid out by likeness."""

from collections.abc import Iterator

import numpy as np

from analyses.head_specialization.measure.position import distances
from analyses.head_specialization.present.atlas_cells import MARK_LABELS, atlas_cells
from analyses.head_specialization.present.legend import FAMILIES, Family
from analyses.head_specialization.present.tables import heads_of
from analyses.head_specialization.roles.decide import RoleLabel
from analyses.head_specialization.summary import HeadAtlas, Metric
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import HeadId
from interp.report import CategoryHeatmap, Figure, Heatmap, Panel, PointGroup, ScatterPlot
from interp.report.numbers import between, fixed
from interp.report.views import KIND_NAMES

_SHOWN: tuple[tuple[str, str, str], ...] = (
    ("entropy", "normalized entropy (1: even spread)", "Entropy of the attention of every head"),
    ("divergence from position alone", "Jensen-Shannon divergence, nats", "Distance from position bias alone [ours]"),
    ("distance", "mean distance in tokens", "Attention distance (Vig and Belinkov 2019)"),
)
"""Metric, color label, caption."""

_MOST_TABLES = 3


def metric_figures(atlas: HeadAtlas) -> Iterator[Figure]:
    """One heatmap for each metric, with a panel for every kind of attention that has it; none where no kind does."""
    for name, color, caption in _SHOWN:
        found = {kind: metric for kind in ATTENTION_KINDS for metric in atlas.metrics[kind] if metric.name == name}
        if not found:
            continue
        panels = tuple(layer_head_panel(KIND_NAMES[kind], metric.point) for kind, metric in found.items())
        yield Figure(
            name=f"heads-{name.lower().replace(' ', '-')}",
            caption=f"{caption}; rows are layers, columns are heads, means over {atlas.counts}.",
            alt=f"{caption}. {' '.join(_extremes(kind, metric) for kind, metric in found.items())}",
            chart=Heatmap(panels, color, lower=0.0, upper=1.0 if name == "entropy" else None),
        )


def atlas_figure(atlas: HeadAtlas, kind: AttentionKind) -> Figure:
    """Every head of one kind at its place: its role or the nearest one by hue and letters, its strength by lightness."""
    labels, doubtful = (
        [label for label in some if label.head.kind == kind] for some in (atlas.labels, atlas.uncertain)
    )
    cells = atlas_cells(atlas, kind)
    return Figure(
        name=f"atlas-{kind}",
        caption=(
            f"Atlas of {KIND_NAMES[kind]}. Hue and letters: the role a head has (thick frame: it meets the published threshold; "
            "thin frame: a clear tendency; +: several), or the one it is nearest to; none if it is not a quarter of the way to "
            "any. Lightness and number: how far its score lies from chance (0) to always (1). Broken frame: the rule holds on "
            "average, but the controls, the test or the resamples do not confirm it."
        ),
        alt=_atlas_in_words(atlas, kind, labels, doubtful),
        chart=CategoryHeatmap(
            category=cells.category,
            strength=cells.strength,
            codes=cells.codes,
            marks=cells.marks,
            categories=tuple((_legend(family, cells.codes), family.hue) for family in FAMILIES),
            strength_label="from chance to always",
            mark_labels=MARK_LABELS,
            row_axis="layer",
            column_axis="head",
        ),
    )


def _legend(family: Family, codes: tuple[tuple[str, ...], ...]) -> str:
    """The name of a family with the letters that occur and do not speak for themselves."""
    present = {code.rstrip("+") for row in codes for code in row}
    spelled = ", ".join(
        f"{code} = {role}" for role, code in family.codes.items() if code in present and code not in role.split()
    )
    return f"{family.name} ({spelled})" if spelled else family.name


def _atlas_in_words(atlas: HeadAtlas, kind: AttentionKind, labels: list[RoleLabel], doubtful: list[RoleLabel]) -> str:
    found = ", ".join(f"{label.head} {label} {fixed(label.score)}" for label in labels) or "no head has a role"
    text = f"Roles in {KIND_NAMES[kind]}: {found}."
    if doubtful:
        text += f" Uncertain: {', '.join(f'{label.head} {label} {fixed(label.score)}' for label in doubtful)}."
    nearest = atlas.nearest[kind]
    free = np.where(np.isfinite(nearest.progress), nearest.progress, -np.inf)
    for label in (*labels, *doubtful):
        free[label.head.layer, label.head.head] = -np.inf
    layer, head = (int(place) for place in np.unravel_index(free.argmax(), free.shape))
    if np.isfinite(free[layer, head]):
        text += (
            f" Of the others {HeadId(kind, layer, head)} comes nearest to a role, {nearest.role[layer][head]}: score "
            f"{fixed(nearest.score[layer, head])}, chance {fixed(nearest.null[layer, head])}."
        )
    return text


def map_figure(atlas: HeadAtlas, kind: AttentionKind) -> Figure:
    """Heads of one kind laid out by how alike they attend: color by role, marker by cluster."""
    layout = atlas.maps[kind]
    heads, cells = heads_of(atlas, kind), atlas_cells(atlas, kind)
    members: dict[tuple[int, bool, int], list[int]] = {}
    for index, head in enumerate(heads):
        without = cells.marks[head.layer][head.head] not in ("certain", "tendency")
        family = int(cells.category[head.layer, head.head])
        members.setdefault((int(layout.cluster[index]), without, family), []).append(index)
    groups = []
    for (cluster, without, family), chosen in sorted(members.items()):
        name = "no role near" if family < 0 else f"near {FAMILIES[family].name}" if without else FAMILIES[family].name
        groups.append(
            PointGroup(
                label=f"{cluster + 1}: {name}",
                x=layout.place[chosen, 0],
                y=layout.place[chosen, 1],
                names=tuple(str(heads[index]) for index in chosen),
                style="control" if without else "model",
                hue="gray" if family < 0 else FAMILIES[family].hue,
                marker=cluster,
            )
        )
    twin = f", of an untrained twin {fixed(layout.control)}" if np.isfinite(layout.control) else ""
    return Figure(
        name=f"map-{kind}",
        caption=(
            f"Map of {KIND_NAMES[kind]}: heads that attend alike lie near each other (Jensen-Shannon divergence of their "
            f"rows; stress {fixed(layout.stress)}, 0 is a faithful map). Marker and number: cluster; color: role as in the "
            "atlas, filled if the head has it, hollow if it is only near."
        ),
        alt=(
            f"{len(heads)} heads in {int(layout.cluster.max()) + 1} clusters, mean silhouette {fixed(layout.silhouette)}{twin}; "
            f"largest distance {fixed(layout.distance.max())} nats."
        ),
        chart=ScatterPlot(tuple(groups), "first axis, nats", "second axis, nats"),
    )


def bias_figures(atlas: HeadAtlas) -> Iterator[Figure]:
    """The position-bias table of each stack: what every head index adds to the score at every distance."""
    for stack, tables in atlas.bias.items():
        reach = distances(stack)
        panels = tuple(
            Panel(
                f"{stack}, layer {index}" if len(tables) > 1 else f"{stack}, all layers",
                table,
                _numbers(len(table)),
                tuple(fixed(distance, 0) for distance in reach),
                "head",
                "key − query",
            )
            for index, table in enumerate(tables[:_MOST_TABLES])
        )
        head, place = np.unravel_index(np.abs(tables[0]).argmax(), tables[0].shape)
        yield Figure(
            name=f"position-bias-{stack}",
            caption=(
                f"Position bias of the {stack}'s self-attention: what is added to the score of a key at each signed distance. "
                "Heads of equal index share it in every layer, unless the family has a table for each layer."
            ),
            alt=f"The largest bias is {fixed(tables[0][head, place])}, of head {head} at distance {reach[place]}.",
            chart=Heatmap(panels, "bias added to the score", center=0.0),
        )


def layer_head_panel(title: str, values: np.ndarray) -> Panel:
    """A panel with a row for every layer and a column for every head."""
    layers, heads = values.shape
    return Panel(title, values, _numbers(layers), _numbers(heads), "layer", "head")


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(str(index) for index in range(count))


def _extremes(kind: AttentionKind, metric: Metric) -> str:
    """Lowest and highest head of one panel in words, with the twins' range."""
    if np.isnan(metric.point).all():
        return f"{KIND_NAMES[kind].capitalize()}: not defined."
    low, high = (np.unravel_index(pick(metric.point), metric.point.shape) for pick in (np.nanargmin, np.nanargmax))
    return (
        f"{KIND_NAMES[kind].capitalize()}: from {fixed(metric.point[low])} ({HeadId(kind, int(low[0]), int(low[1]))}) to "
        f"{fixed(metric.point[high])} ({HeadId(kind, int(high[0]), int(high[1]))}); untrained twins "
        f"{between(np.nanmin(metric.control_low), np.nanmax(metric.control_high))}."
    )
