"""How is a heatmap laid out and drawn?

One scale and one color bar for all panels, so that equal colors mean equal numbers. Nothing is hidden by the color
map: an undefined cell carries a cross, a value beyond the scale a plus or a minus, and where cells are large enough
the number itself is printed. (The marks follow the habit of treescope's array view.)

All sizes are in inches; `heatmap_layout.py` says where everything stands.
"""

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, Normalize, to_hex
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from interp.report.charts import Heatmap
from interp.report.fonts import MUTED, drawable, label_characters, widest, width
from interp.report.heatmap_layout import (
    BESIDE,
    GAP,
    LINE,
    MARGIN,
    NORMAL,
    SMALL,
    PanelFrame,
    arrange,
    cell_axes,
    round_step,
)
from interp.report.numbers import decimals_for, fixed
from interp.report.palette import readable_ink

_SCALE = 3.0  # length of the color bar
_LABEL_GAP = 0.045  # between cells and labels
_MANY_CELLS = 1500  # in a figure; beyond this a panel is one image instead of one shape per cell
_MANY_NUMBERS = 600  # in a figure; beyond this no numbers are printed in the cells


@dataclass(frozen=True)
class _Scale:
    """The one relation between numbers and colors that all panels share."""

    norm: Normalize
    colors: Colormap


def draw_heatmap(heatmap: Heatmap, inches: float) -> Figure:
    """Lay out and draw a heatmap.

    Args:
        heatmap: the panels and their scale.
        inches: the width aimed at; few columns need less, many labeled columns more.

    Returns:
        The figure, without a canvas of its own choosing.
    """
    n_cells = sum(panel.values.size for panel in heatmap.panels)
    rows = arrange(heatmap.panels, inches, label_characters(inches), numbered=n_cells <= _MANY_NUMBERS)
    decimals = _choose_decimals(heatmap, rows[0][0]) if n_cells <= _MANY_NUMBERS else None
    notes = _notes(heatmap, marks_clipped=decimals is None)
    heights = [max(frame.height for frame in row) for row in rows]
    widths = [sum(frame.outer_width for frame in row) + BESIDE * (len(row) - 1) for row in rows]
    scale_width = min(max(_SCALE, width(drawable(heatmap.color_label, 90), NORMAL)), inches - 2 * MARGIN)
    total_height = sum(heights) + GAP * len(rows) + 0.52 + LINE * bool(notes) + 2 * MARGIN
    figure = Figure(figsize=(2 * MARGIN + max(scale_width + 0.1, *widths), total_height))
    colors = "viridis" if heatmap.center is None else "PuOr"
    scale = _Scale(Normalize(*heatmap.limits), colormaps[colors])
    top = total_height - MARGIN
    for row, height in zip(rows, heights, strict=True):
        left = MARGIN
        for frame in row:
            axes = _draw_panel(figure, frame, left, top)
            _draw_cells(axes, frame.panel.values, scale, as_image=n_cells > _MANY_CELLS)
            _mark_cells(axes, frame, scale, decimals)
            left += frame.outer_width + BESIDE
        top -= height + GAP
    _draw_scale(figure, heatmap, scale, notes)
    return figure


def _draw_panel(figure: Figure, frame: PanelFrame, left: float, top: float) -> Axes:
    """A panel with its title and labels, its cells still empty."""
    n_rows, n_columns = frame.panel.values.shape
    lower = top - LINE - 0.06 - n_rows * frame.tall
    axes = cell_axes(figure, left + frame.left, lower, (n_rows, n_columns), (frame.cell, frame.tall))
    _label_axes(axes, frame)
    inches = figure.dpi_scale_trans
    title, rows, columns = (
        drawable(text, 60) for text in (frame.panel.title, frame.panel.row_axis, frame.panel.column_axis)
    )
    figure.text(left, top, title, transform=inches, fontsize=9.0, fontweight="bold", va="top")
    style: dict[str, Any] = {"transform": inches, "fontsize": NORMAL, "color": MUTED}
    middle = left + frame.left + n_columns * frame.cell / 2
    figure.text(middle, lower - frame.bottom + 0.06, columns, ha="center", va="bottom", **style)
    high = n_rows * frame.tall
    # A name longer than the panel is high begins at its top and runs into the free corner below.
    fits = width(rows, NORMAL) <= high
    start = lower + (high / 2 if fits else high)
    figure.text(left, start, rows, rotation=90, va="center" if fits else "top", **style)
    return axes


def _draw_cells(axes: Axes, values: np.ndarray, scale: _Scale, as_image: bool) -> None:
    n_rows, n_columns = values.shape
    masked = np.ma.masked_invalid(values)
    axes.set_facecolor("#eef0f2")
    look: dict[str, Any] = {"cmap": scale.colors, "norm": scale.norm}
    if as_image:
        place = (0, n_columns, n_rows, 0)
        axes.imshow(masked, extent=place, interpolation="none", aspect="auto", **look)
    else:
        edges = np.arange(n_columns + 1), np.arange(n_rows + 1)
        axes.pcolormesh(*edges, masked, edgecolors="white", linewidth=0.5, **look)


def _choose_decimals(heatmap: Heatmap, frame: PanelFrame) -> int | None:
    """Decimals of the numbers printed in all cells, or None if cells like those of a frame have no room for them."""
    values = np.concatenate([panel.values.ravel() for panel in heatmap.panels])
    values = values[np.isfinite(values)]
    decimals = decimals_for(values)
    if np.abs(values).max(initial=0.0) >= 0.1:
        decimals = min(decimals, 2)
    texts = tuple({fixed(value, decimals) for value in values})
    return decimals if frame.tall >= 0.15 and widest(texts, SMALL) <= 0.88 * frame.cell else None


def _mark_cells(axes: Axes, frame: PanelFrame, scale: _Scale, decimals: int | None) -> None:
    """Numbers where there is room; else marks of values beyond the scale: those above have one color, those below another."""
    values, side = frame.panel.values, min(frame.cell, frame.tall)
    _mark(axes, np.isnan(values), "x", MUTED, 0.5 * side)
    if decimals is None:
        lower, upper = scale.norm.vmin or 0.0, scale.norm.vmax or 0.0
        _mark(axes, values > upper, "+", _readable_ink(scale, upper), 0.45 * side)
        _mark(axes, values < lower, "_", _readable_ink(scale, lower), 0.45 * side)
        return
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            ink, text = _readable_ink(scale, value), fixed(value, decimals)
            axes.text(column + 0.5, row + 0.5, text, fontsize=SMALL, color=ink, ha="center", va="center_baseline")


def _readable_ink(scale: _Scale, value: float) -> str:
    return readable_ink(to_hex(scale.colors(float(scale.norm(value)))))


def _mark(axes: Axes, where: np.ndarray, marker: str, color: str, size: float) -> None:
    """Draw one marker, `size` inches wide, in the middle of some cells."""
    rows, columns = np.nonzero(where)
    if len(rows):
        look: dict[str, Any] = {"marker": marker, "markersize": 72 * size, "markeredgewidth": 0.9, "color": color}
        axes.plot(columns + 0.5, rows + 0.5, linestyle="none", **look)


def _label_axes(axes: Axes, frame: PanelFrame) -> None:
    """Write row and column labels as plain text: a tick is a dozen objects, and none but its label would be seen."""
    axes.xaxis.set_visible(False)
    axes.yaxis.set_visible(False)
    for side in axes.spines.values():
        side.set_visible(False)
    n_rows, turn = len(frame.row_labels), 90 if frame.upright else 0
    below, beside = n_rows + _LABEL_GAP / frame.tall, -_LABEL_GAP / frame.cell
    for column in range(0, frame.columns, frame.step):
        label = frame.column_labels[column]
        axes.text(column + 0.5, below, label, rotation=turn, fontsize=NORMAL, ha="center", va="top")
    for row in range(0, n_rows, round_step(0.13 / frame.tall)):
        axes.text(beside, row + 0.5, frame.row_labels[row], fontsize=NORMAL, ha="right", va="center_baseline")


def _draw_scale(figure: Figure, heatmap: Heatmap, scale: _Scale, notes: str) -> None:
    """One horizontal color bar at the bottom left, its quantity above it and the legend of marks below."""
    total_width, total_height = figure.get_size_inches()
    lower = MARGIN + 0.2 + LINE * bool(notes)
    # Room on both sides for half of the outermost numbers.
    x = (MARGIN + 0.15) / total_width
    length = min(_SCALE, total_width - 2 * MARGIN - 0.3)
    axes = figure.add_axes((x, lower / total_height, length / total_width, 0.11 / total_height))
    values = np.concatenate([panel.values.ravel() for panel in heatmap.panels])
    low, high = heatmap.limits
    below, above = bool((values < low).any()), bool((values > high).any())
    extend: Literal["neither", "min", "max", "both"] = (
        "both" if below and above else "min" if below else "max" if above else "neither"
    )
    bar = Colorbar(axes, ScalarMappable(scale.norm, scale.colors), orientation="horizontal", extend=extend)
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(nbins=5)
    bar.ax.tick_params(labelsize=NORMAL, length=2, pad=2)
    label = drawable(heatmap.color_label, 90)
    figure.text(x, (lower + 0.16) / total_height, label, fontsize=NORMAL, ha="left", va="bottom")
    if notes:
        figure.text(x, MARGIN / total_height, notes, fontsize=SMALL, color=MUTED, va="bottom")


def _notes(heatmap: Heatmap, marks_clipped: bool) -> str:
    """What the marks in the cells mean, only for marks that occur."""
    values = np.concatenate([panel.values.ravel() for panel in heatmap.panels])
    low, high = heatmap.limits
    notes = (
        ("× not defined", bool(np.isnan(values).any())),
        ("+ above the scale", marks_clipped and bool((values > high).any())),
        ("− below the scale", marks_clipped and bool((values < low).any())),
    )
    return "   ".join(text for text, occurs in notes if occurs)
