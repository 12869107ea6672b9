"""The figures: masses over layers with bands and control, heads as heatmaps, shape over layers, and one prompt in full."""

from collections.abc import Mapping

import numpy as np

from analyses.core.contract import Example
from analyses.cross_attention_focus.measure.category_mass import VERSIONS, Version
from analyses.cross_attention_focus.present.hypothesis import CATEGORY_NAMES
from analyses.cross_attention_focus.present.prompt_matrices import example_matrices
from analyses.cross_attention_focus.summary import Focus
from interp.report import Figure, Heatmap, LinePlot, Panel
from interp.report.estimate_lines import estimate_lines
from interp.report.numbers import between, control_range, counted, fixed, with_interval
from interp.statistics import Estimate, largest

CAVEAT = "Attention is not importance: a claim needs its norm-weighted version or an intervention beside it (see the limits)."
"""Printed beside every figure of cross-attention (Jain and Wallace 2019)."""

_WHAT: Mapping[Version, str] = {
    "raw": "raw attention weights, mean over heads",
    "masked": "raw weights within the content span, renormalized",
    "norm": "lengths of what is written, ‖Σ a f(x)‖, as shares",
}
_HEAD_WHAT: Mapping[Version, str] = {
    "raw": "raw attention weights",
    "masked": _WHAT["masked"],
    "norm": "lengths of what the head writes, ‖a f(x)‖, as shares",
}
_DRAWN: Mapping[Version, tuple[str, ...]] = {
    "raw": ("prefix", "content", "eos"),
    "masked": ("content", "function"),
    "norm": ("prefix", "content", "eos"),
}


def mass_figure(focus: Focus, version: Version) -> Figure:
    """Mass of the main categories over the layers; the masked version also shows what was retained."""
    masses = focus.masses[version]
    drawn = {name: masses.layer[:, column] for column, name in enumerate(masses.categories)}
    drawn = {name: cells for name, cells in drawn.items() if name in _DRAWN[version]}
    if version == "masked":
        drawn["retained mass ρ"] = focus.shapes["raw.layer.retained"]
    rates = "; ".join(f"{name} {fixed(rate)}" for name, rate in zip(masses.categories, masses.base_rate, strict=True))
    return Figure(
        name=f"cross-focus-mass-{version}",
        caption=(
            f"Cross-attention mass by decoder layer, {_WHAT[version]}. Bands are 95 % intervals over "
            f"{counted(focus.n_sentences, 'sentence')}, gray the mean and range of {focus.n_twins} untrained twins. "
            f"Base rates: {rates}. {CAVEAT}"
        ),
        alt="; ".join(alt_text(CATEGORY_NAMES.get(name, name), cells) for name, cells in drawn.items()) + ".",
        chart=layer_lines(drawn, "mass", focus.n_layers),
    )


def shape_figures(focus: Focus) -> tuple[Figure, Figure]:
    """How spread out the reading of a layer is, and how it moves through the source."""
    spread = {
        "raw, all tokens": focus.shapes["raw.layer.entropy"],
        "raw, content span": focus.shapes["raw.layer.span_entropy"],
        "norm-weighted": focus.shapes["norm.layer.entropy"],
    }
    path = {
        "center of mass": focus.shapes["raw.layer.center"],
        "spread": focus.shapes["raw.layer.spread"],
        "monotonicity": focus.shapes["raw.layer.monotonicity"],
    }
    entropy = Figure(
        name="cross-focus-entropy",
        caption=(
            "Normalized entropy of a layer's reading (0: one token, 1: even spread), raw, masked and norm-weighted, with 95 % "
            f"intervals over sentences and untrained twins in gray. {CAVEAT}"
        ),
        alt="Normalized entropy. " + "; ".join(alt_text(name, cells) for name, cells in spread.items()) + ".",
        chart=layer_lines(spread, "entropy / ln n", focus.n_layers),
    )
    motion = Figure(
        name="cross-focus-path",
        caption=(
            "On the content span: center of mass (0: first token, 1: last), its spread, and Kendall's tau of the center with the "
            "decoder row (1: the reading only moves forward), with 95 % intervals over sentences and untrained twins in gray. "
            + CAVEAT
        ),
        alt="On the content span. " + "; ".join(alt_text(name, cells) for name, cells in path.items()) + ".",
        chart=layer_lines(path, "place or correlation", focus.n_layers),
    )
    return entropy, motion


def head_figure(focus: Focus, version: Version) -> Figure:
    """Mass of every head on every category."""
    masses = focus.masses[version]
    layers, heads = (tuple(map(str, range(n))) for n in (focus.n_layers, focus.n_heads))
    panels = tuple(
        Panel(
            f"{name} (base rate {fixed(masses.base_rate[column])})",
            masses.head.point[:, :, column],
            layers,
            heads,
            "layer",
            "head",
        )
        for column, name in enumerate(masses.categories)
    )
    most = [
        f"{CATEGORY_NAMES[name]} {_extremes(masses.head[:, :, column])}"
        for column, name in enumerate(masses.categories)
    ]
    return Figure(
        name=f"cross-focus-heads-{version}",
        caption=(
            f"Mass of every cross-attention head on every category of source token: {_HEAD_WHAT[version]}. "
            f"Means over sentences; intervals and untrained twins are in the table. {CAVEAT}"
        ),
        alt="Mass of heads: " + "; ".join(most) + ".",
        chart=Heatmap(panels, "mass", lower=0.0, upper=1.0),
    )


def example_figure(example: Example) -> Figure:
    """What the first and the last layer read at every step of one prompt, in three versions."""
    rows, columns = (
        tuple(piece.replace("▁", "·") for piece in pieces) for pieces in (example.label_pieces, example.source_pieces)
    )
    matrices = {version: example_matrices(example, version) for version in VERSIONS}
    last = len(matrices["raw"]) - 1
    panels = tuple(
        Panel(f"layer {layer}, {version}", values[layer], rows, columns, "predicted token", "source token")
        for layer in dict.fromkeys((0, last))
        for version, values in matrices.items()
    )
    versions = "; ".join(f"{version}: {text}" for version, text in _WHAT.items())
    return Figure(
        name="cross-focus-example",
        caption=(
            f"Prompt {example.id}: what the first and the last decoder layer read when they predict each target token. "
            f"{versions}. Rows sum to 1; a crossed row keeps less than 0.05 of its mass on the content span; a dot marks the "
            f"start of a word. {CAVEAT}"
        ),
        alt=f"Prompt {example.id}. " + "; ".join(_strongest(panel) for panel in panels) + ".",
        chart=Heatmap(panels, "share of the row", lower=0.0, upper=1.0),
    )


def layer_lines(drawn: Mapping[str, Estimate], axis: str, n_layers: int) -> LinePlot:
    """One line over the layers for each estimate, and its control."""
    curves = [(name, cells, f"{name}, untrained") for name, cells in drawn.items()]
    return estimate_lines(curves, "decoder layer", axis, tuple(map(str, range(n_layers))))


def alt_text(name: str, cells: Estimate, place: str = "layer") -> str:
    """The first and last of some estimates in words, with the control."""
    first, last = cells[0], cells[-1]
    return (
        f"{name}: {with_interval(first)} in {place} 0 and {with_interval(last)} in {place} {len(cells.point) - 1}, "
        f"untrained twins {control_range(first)} and {control_range(last)}"
    )


def _extremes(cells: Estimate) -> str:
    if np.isnan(cells.point).all():
        return "undefined, for no head reads the content span"
    model, twins = (between(np.nanmin(values), np.nanmax(values)) for values in (cells.point, cells.controls))
    return f"{model}, untrained twins {twins}"


def _strongest(panel: Panel) -> str:
    if np.isnan(panel.values).all():
        return f"{panel.title} reads nothing of the content span"
    row, column = largest(panel.values)
    return (
        f"{panel.title} reads {panel.column_labels[column]} most strongly, at {panel.row_labels[row]}, "
        f"with {fixed(panel.values[row, column])}"
    )
