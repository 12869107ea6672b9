"""The figures of the head atlas: heatmaps of metrics by layer and head, and the patterns of one prompt."""

from collections.abc import Iterator

import numpy as np

from analyses.head_specialization.position import distances
from analyses.head_specialization.roles import RoleLabel
from analyses.head_specialization.summary import HeadAtlas, Metric
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.names import HeadId
from interp.report import Figure, Heatmap, Panel, PointGroup, Scatter, visible
from interp.report.drawings import Style

_PANEL_TITLES: dict[AttentionKind, str] = {
    "encoder": "encoder self-attention",
    "decoder": "decoder self-attention",
    "cross": "cross-attention",
}

_SHOWN: tuple[tuple[str, str, str], ...] = (
    ("entropy", "normalised entropy (1: even spread)", "Entropy of the attention of every head"),
    (
        "divergence from position alone",
        "Jensen-Shannon divergence, nats",
        "Distance from position bias alone [ours]",
    ),
    ("EOS mass", "mass on end-of-sentence", "Attention on the end-of-sentence token"),
    ("prefix mass", "mass on the task prefix", "Attention on the task prefix"),
    ("first token mass", "mass on the first key", "Attention on the first key, in the decoder the start token"),
    ("previous token mass", "mass on the previous token", "Attention on the token before"),
    ("next token mass", "mass on the next token", "Attention on the token after"),
    ("distance", "mean distance in tokens", "Attention distance (Vig and Belinkov 2019)"),
)
"""Metric, colour label, caption."""

_MOST_PATTERNS = 3


def metric_figures(atlas: HeadAtlas) -> Iterator[Figure]:
    """One heatmap for each metric, with a panel for every kind of attention that has it."""
    for name, colour, caption in _SHOWN:
        found = {kind: metric for kind in ATTENTION_KINDS for metric in atlas.metrics[kind] if metric.name == name}
        panels = tuple(layer_head_panel(_PANEL_TITLES[kind], metric.point) for kind, metric in found.items())
        share = name != "distance" and "divergence" not in name
        yield Figure(
            name=f"heads-{name.lower().replace(' ', '-')}",
            caption=f"{caption}; rows are layers, columns are heads, means over {atlas.prompts} prompts.",
            alt=f"{caption}. {' '.join(_extremes(kind, metric) for kind, metric in found.items())}",
            drawing=Heatmap(panels, colour, lower=0.0, upper=1.0 if share else None),
        )


def atlas_figure(atlas: HeadAtlas, kind: AttentionKind) -> Figure:
    """Every head of one kind at its place, coloured and marked by its role, with its score beside it."""
    labels = [label for label in atlas.labels if label.head.kind == kind]
    doubtful = [label for label in atlas.uncertain if label.head.kind == kind]
    shape = atlas.metric(kind, "entropy").point.shape
    named = {label.head for label in (*labels, *doubtful)}
    plain = [HeadId(kind, *map(int, cell)) for cell in np.ndindex(*shape) if HeadId(kind, *map(int, cell)) not in named]
    groups = [_group(role, [label for label in labels if label.role == role]) for role in _roles(labels)]
    if doubtful:
        groups.append(_group("rule holds, test or bootstrap does not", doubtful, "control"))
    if plain:
        x, y = (np.array([getattr(head, axis) for head in plain], float) for axis in ("head", "layer"))
        groups.append(PointGroup("no role", x, y, ("",) * len(plain), "control"))
    found = ", ".join(f"{label.head} {label} {label.score:.2f}" for label in labels) or "no head has a role"
    return Figure(
        name=f"atlas-{kind}",
        caption=(
            f"Atlas of {_PANEL_TITLES[kind]}: every head at its layer and index, by colour and mark the role it has, with its "
            "score; hollow marks are heads without a certain role."
        ),
        alt=f"Roles in {_PANEL_TITLES[kind]}: {found}.",
        drawing=Scatter(tuple(groups), "head", "layer"),
    )


def _roles(labels: list[RoleLabel]) -> list[str]:
    return sorted({label.role for label in labels})


def _group(name: str, labels: list[RoleLabel], style: Style = "model") -> PointGroup:
    return PointGroup(
        name,
        np.array([label.head.head for label in labels], float),
        np.array([label.head.layer for label in labels], float),
        tuple(f"{label.score:.2f}" for label in labels),
        style,
    )


def map_figure(atlas: HeadAtlas, kind: AttentionKind) -> Figure:
    """Heads of one kind laid out by how alike they attend, coloured by role."""
    layout = atlas.maps[kind]
    heads = [HeadId(kind, *map(int, cell)) for cell in np.ndindex(*atlas.metric(kind, "entropy").point.shape)]
    role_of = {label.head: label.role for label in reversed(atlas.labels)}
    groups = []
    for role in sorted({role_of.get(head, "no role") for head in heads}):
        chosen = [index for index, head in enumerate(heads) if role_of.get(head, "no role") == role]
        style: Style = "control" if role == "no role" else "model"
        names = tuple(str(heads[index]) for index in chosen)
        groups.append(PointGroup(role, layout.place[chosen, 0], layout.place[chosen, 1], names, style))
    return Figure(
        name=f"map-{kind}",
        caption=(
            f"Map of {_PANEL_TITLES[kind]}: heads that attend alike lie near each other (Jensen-Shannon divergence of their "
            f"rows; stress {layout.stress:.2f}, 0 is a faithful map)."
        ),
        alt=(
            f"{len(heads)} heads in {int(layout.cluster.max()) + 1} clusters, mean silhouette {layout.silhouette:.2f}; "
            f"largest distance {layout.distance.max():.2f} nats."
        ),
        drawing=Scatter(tuple(groups), "first axis, nats", "second axis, nats"),
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
                tuple(str(distance) for distance in reach),
                "head",
                "key - query",
            )
            for index, table in enumerate(tables[:_MOST_PATTERNS])
        )
        head, place = np.unravel_index(np.abs(tables[0]).argmax(), tables[0].shape)
        yield Figure(
            name=f"position-bias-{stack}",
            caption=(
                f"Position bias of the {stack}'s self-attention: what is added to the score of a key at each signed distance. "
                "Heads of equal index share it in every layer, unless the family has a table for each layer."
            ),
            alt=f"The largest bias is {tables[0][head, place]:.2f}, of head {head} at distance {reach[place]}.",
            drawing=Heatmap(panels, "bias added to the score", centre=0.0),
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
        return f"{_PANEL_TITLES[kind].capitalize()}: not defined."
    low, high = (np.unravel_index(pick(metric.point), metric.point.shape) for pick in (np.nanargmin, np.nanargmax))
    return (
        f"{_PANEL_TITLES[kind].capitalize()}: from {metric.point[low]:.2f} ({HeadId(kind, int(low[0]), int(low[1]))}) to "
        f"{metric.point[high]:.2f} ({HeadId(kind, int(high[0]), int(high[1]))}); untrained twins "
        f"{np.nanmin(metric.control_low):.2f} to {np.nanmax(metric.control_high):.2f}."
    )


def example_figure(atlas: HeadAtlas, kind: AttentionKind) -> Figure:
    """The patterns of some heads on the example prompt: those with a role first, then the most focused ones."""
    pattern = atlas.example[f"pattern.{kind}"]
    heads = _chosen_heads(atlas, kind)
    queries, keys = _tokens(atlas, kind)
    roles = {head: ", ".join(str(label) for label in atlas.labels if label.head == head) for head in heads}
    panels = tuple(
        Panel(
            f"{head} {roles[head]}".rstrip(),
            pattern[head.layer, head.head],
            queries,
            keys,
            "query",
            "key",
        )
        for head in heads
    )
    strongest = " ".join(_strongest(pattern, head, queries, keys) for head in heads[:2])
    return Figure(
        name=f"example-{kind}",
        caption=(
            f"{_PANEL_TITLES[kind].capitalize()} of prompt {atlas.example_id}: {len(heads)} of "
            f"{pattern.shape[0] * pattern.shape[1]} heads, those with a role first. Rows attend to columns."
        ),
        alt=f"Attention patterns of {', '.join(str(head) for head in heads)}. {strongest}",
        drawing=Heatmap(panels, "attention weight", lower=0.0, upper=1.0),
    )


def _chosen_heads(atlas: HeadAtlas, kind: AttentionKind) -> list[HeadId]:
    labels = sorted((label for label in atlas.labels if label.head.kind == kind), key=lambda label: -label.score)
    chosen = list(dict.fromkeys(label.head for label in labels))
    entropy = atlas.metric(kind, "entropy").point
    for flat in np.argsort(entropy, axis=None, kind="stable"):
        layer, head = np.unravel_index(flat, entropy.shape)
        chosen.append(HeadId(kind, int(layer), int(head)))
    return list(dict.fromkeys(chosen))[:_MOST_PATTERNS]


def _tokens(atlas: HeadAtlas, kind: AttentionKind) -> tuple[tuple[str, ...], tuple[str, ...]]:
    source, target = (
        tuple(visible(piece.replace("▁", "·")) for piece in pieces)
        for pieces in (atlas.source_pieces, atlas.decoder_pieces)
    )
    return (source if kind == "encoder" else target), (target if kind == "decoder" else source)


def _strongest(pattern: np.ndarray, head: HeadId, queries: tuple[str, ...], keys: tuple[str, ...]) -> str:
    """The key a head attends to most over all rows, in words."""
    mass = pattern[head.layer, head.head].mean(0)
    key = int(mass.argmax())
    return f"{head} puts {mass[key]:.2f} of its attention on {keys[key]!r} (position {key}) over {len(queries)} rows."
