"""The figures of the head atlas: heatmaps of metrics by layer and head, and the patterns of one prompt."""

from collections.abc import Iterator

import numpy as np

from analyses.head_specialization.summary import HeadAtlas, Metric
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.names import HeadId
from interp.report import Figure, Heatmap, Panel, visible

_PANEL_TITLES: dict[AttentionKind, str] = {
    "encoder": "encoder self-attention",
    "decoder": "decoder self-attention",
    "cross": "cross-attention",
}

_SHOWN: tuple[tuple[str, str, str], ...] = (
    ("entropy", "normalised entropy (1: even spread)", "Entropy of the attention of every head"),
    ("confidence", "mean largest weight", "Confidence (Voita et al. 2019), special keys excluded"),
    ("EOS mass", "mass on end-of-sentence", "Attention on the end-of-sentence token"),
    ("prefix mass", "mass on the task prefix", "Attention on the task prefix"),
    ("first token mass", "mass on the first key", "Attention on the first key, in the decoder the start token"),
    ("previous token mass", "mass on the previous token", "Attention on the token before"),
    ("next token mass", "mass on the next token", "Attention on the token after"),
    ("current token mass", "mass on the token itself", "Attention on the token itself"),
    ("distance", "mean distance in tokens", "Attention distance (Vig and Belinkov 2019)"),
)
"""Metric, colour label, caption."""

_MOST_PATTERNS = 4


def metric_figures(atlas: HeadAtlas) -> Iterator[Figure]:
    """One heatmap for each metric, with a panel for every kind of attention that has it."""
    for name, colour, caption in _SHOWN:
        found = {kind: metric for kind in ATTENTION_KINDS for metric in atlas.metrics[kind] if metric.name == name}
        panels = tuple(layer_head_panel(_PANEL_TITLES[kind], metric.point) for kind, metric in found.items())
        share = name != "distance"
        yield Figure(
            name=f"heads-{name.lower().replace(' ', '-')}",
            caption=f"{caption}; rows are layers, columns are heads, means over {atlas.prompts} prompts.",
            alt=f"{caption}. {' '.join(_extremes(kind, metric) for kind, metric in found.items())}",
            drawing=Heatmap(panels, colour, lower=0.0, upper=1.0 if share else None),
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
