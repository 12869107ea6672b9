"""How is a heatmap laid out and drawn?

One scale and one colour bar for all panels, so that equal colours mean equal numbers. Nothing is hidden by the colour
map: an undefined cell carries a cross, a value beyond the scale a plus or a minus, and where cells are large enough
the number itself is printed. (The marks follow the habit of treescope's array view.)

All sizes are in inches; `panels.py` says where everything stands.
"""

from dataclasses import dataclass
from typing import Literal

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
    cell_height,
    measure,
    round_step,
    row_width,
)
from interp.report.palette import readable_ink
from interp.report.tables import decimals_for

_SCALE = 3.0  # length of the colour bar
_LABEL_GAP = 0.045  # between cells and labels
_MANY_CELLS = 1500  # in a figure; beyond this a panel is one image instead of one shape per cell
_MANY_NUMBERS = 600  # in a figure; beyond this no numbers are printed in the cells


@dataclass(frozen=True)
class _Scale:
    """The one relation between numbers and colours that all panels share."""

    norm: Normalize
    colors: Colormap


def draw_heatmap(heatmap: Heatmap, inches: float) -> Figure:
    """Lay out and draw a heatmap.

    Args:
        heatmap: the panels and their scale.
        inches: the width aimed at; few columns need less, many labelled columns more.

    Returns:
        The figure, without a canvas of its own choosing.
    """
    frames = [measure(panel, label_characters(inches)) for panel in heatmap.panels]
    n_cells = sum(panel.values.size for panel in heatmap.panels)
    rows, cell = arrange(frames, inches - 2 * MARGIN, numbered=n_cells <= _MANY_NUMBERS)
    decimals = _choose_decimals(heatmap, cell)
    notes = _notes(heatmap, marks_clipped=decimals is None)
    heights = [max(frame.height(cell) for frame in row) for row in rows]
    scale_width = min(max(_SCALE, width(drawable(heatmap.color_label, 90), NORMAL)), inches - 2 * MARGIN)
    total_width = 2 * MARGIN + max([scale_width + 0.1, *(row_width(row, cell) for row in rows)])
    scale_height = 0.52 + LINE * bool(notes)
    total_height = sum(heights) + GAP * len(rows) + scale_height + 2 * MARGIN
    figure = Figure(figsize=(total_width, total_height))
    colors = "viridis" if heatmap.center is None else "PuOr"
    scale = _Scale(Normalize(*heatmap.limits), colormaps[colors])
    top = total_height - MARGIN
    as_image = n_cells > _MANY_CELLS
    for row, height in zip(rows, heights, strict=True):
        left = MARGIN
        for frame in row:
            _draw_panel(figure, frame, scale, cell, left, top, decimals, as_image)
            left += frame.outer_width(cell) + BESIDE
        top -= height + GAP
    _draw_scale(figure, heatmap, scale, notes)
    return figure


def _draw_panel(
    figure: Figure,
    frame: PanelFrame,
    scale: _Scale,
    cell: float,
    left: float,
    top: float,
    decimals: int | None,
    as_image: bool,
) -> None:
    tall = cell_height(cell)
    n_rows, n_columns = frame.panel.values.shape
    total_width, total_height = figure.get_size_inches()
    lower = top - LINE - 0.06 - n_rows * tall
    axes = figure.add_axes((
        (left + frame.left) / total_width,
        lower / total_height,
        n_columns * cell / total_width,
        n_rows * tall / total_height,
    ))
    axes.set_xlim(0, n_columns)
    axes.set_ylim(n_rows, 0)
    _draw_cells(axes, frame.panel.values, scale, as_image)
    if decimals is None:
        _mark_clipped(axes, frame.panel.values, scale, 0.45 * min(cell, tall))
    else:
        _draw_numbers(axes, frame.panel.values, scale, decimals)
    _mark(axes, np.isnan(frame.panel.values), "x", MUTED, 0.5 * min(cell, tall))
    _label_axes(axes, frame, cell, tall)
    title = drawable(frame.panel.title, 60)
    figure.text(left / total_width, top / total_height, title, fontsize=9.0, fontweight="bold", va="top")
    _name_axes(figure, frame, cell, left, lower)


def _name_axes(figure: Figure, frame: PanelFrame, cell: float, left: float, lower: float) -> None:
    """Say what a row and a column are; `lower` is the lower edge of the cells."""
    total_width, total_height = figure.get_size_inches()
    rows, columns = drawable(frame.panel.row_axis, 60), drawable(frame.panel.column_axis, 60)
    middle = (left + frame.left + frame.columns * cell / 2) / total_width
    below = (lower - frame.bottom(cell) + 0.06) / total_height
    figure.text(middle, below, columns, fontsize=NORMAL, color=MUTED, ha="center", va="bottom")
    tall = len(frame.row_labels) * cell_height(cell)
    # A name longer than the panel is high begins at its top and runs into the free corner below.
    fits = width(rows, NORMAL) <= tall
    start = lower + (tall / 2 if fits else tall)
    figure.text(
        left / total_width,
        start / total_height,
        rows,
        fontsize=NORMAL,
        color=MUTED,
        rotation=90,
        va="center" if fits else "top",
    )


def _draw_cells(axes: Axes, values: np.ndarray, scale: _Scale, as_image: bool) -> None:
    n_rows, n_columns = values.shape
    masked = np.ma.masked_invalid(values)
    axes.set_facecolor("#eef0f2")
    if as_image:
        axes.imshow(
            masked,
            cmap=scale.colors,
            norm=scale.norm,
            extent=(0, n_columns, n_rows, 0),
            interpolation="none",
            aspect="auto",
        )
        return
    axes.pcolormesh(
        np.arange(n_columns + 1),
        np.arange(n_rows + 1),
        masked,
        cmap=scale.colors,
        norm=scale.norm,
        edgecolors="white",
        linewidth=0.5,
    )


def _choose_decimals(heatmap: Heatmap, cell: float) -> int | None:
    """Decimals of the numbers printed in all cells, or None if some panel has no room for them."""
    values = np.concatenate([panel.values.ravel() for panel in heatmap.panels])
    values = values[np.isfinite(values)]
    crowded = sum(panel.values.size for panel in heatmap.panels) > _MANY_NUMBERS
    if crowded or cell_height(cell) < 0.15:
        return None
    decimals = decimals_for(values)
    if np.abs(values).max(initial=0.0) >= 0.1:
        decimals = min(decimals, 2)
    texts = {_print(value, decimals) for value in values}
    return decimals if widest(tuple(texts), SMALL) <= 0.88 * cell else None


def _print(value: float, decimals: int) -> str:
    # Adding zero turns -0.0 into 0.0.
    return f"{round(float(value), decimals) + 0.0:.{decimals}f}".replace("-", "−")


def _draw_numbers(axes: Axes, values: np.ndarray, scale: _Scale, decimals: int) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            _write(axes, row, column, _print(value, decimals), _readable_ink(scale, value))


def _write(axes: Axes, row: int, column: int, text: str, color: str) -> None:
    x, y = column + 0.5, row + 0.5
    axes.text(x, y, text, fontsize=SMALL, color=color, ha="center", va="center_baseline")


def _readable_ink(scale: _Scale, value: float) -> str:
    return readable_ink(to_hex(scale.colors(float(scale.norm(value)))))


def _mark_clipped(axes: Axes, values: np.ndarray, scale: _Scale, size: float) -> None:
    """Mark values beyond the scale: all above it have one colour and all below it another, so two inks suffice."""
    lower, upper = scale.norm.vmin or 0.0, scale.norm.vmax or 0.0
    _mark(axes, values > upper, "+", _readable_ink(scale, upper), size)
    _mark(axes, values < lower, "_", _readable_ink(scale, lower), size)


def _mark(axes: Axes, where: np.ndarray, marker: str, color: str, size: float) -> None:
    """Draw one marker, `size` inches wide, in the middle of some cells."""
    rows, columns = np.nonzero(where)
    if len(rows):
        axes.plot(
            columns + 0.5,
            rows + 0.5,
            linestyle="none",
            marker=marker,
            markersize=72 * size,
            markeredgewidth=0.9,
            color=color,
        )


def _label_axes(axes: Axes, frame: PanelFrame, cell: float, tall: float) -> None:
    """Write row and column labels as plain text: a tick is a dozen objects, and none but its label would be seen."""
    axes.xaxis.set_visible(False)
    axes.yaxis.set_visible(False)
    for side in axes.spines.values():
        side.set_visible(False)
    upright = frame.upright(cell)
    n_rows = len(frame.row_labels)
    for column in range(0, frame.columns, frame.step(cell, upright)):
        axes.text(
            column + 0.5,
            n_rows + _LABEL_GAP / tall,
            frame.column_labels[column],
            rotation=90 if upright else 0,
            fontsize=NORMAL,
            ha="center",
            va="top",
        )
    for row in range(0, n_rows, round_step(0.13 / tall)):
        place = -_LABEL_GAP / cell
        axes.text(place, row + 0.5, frame.row_labels[row], fontsize=NORMAL, ha="right", va="center_baseline")


def _draw_scale(figure: Figure, heatmap: Heatmap, scale: _Scale, notes: str) -> None:
    """One horizontal colour bar at the bottom left, its quantity above it and the legend of marks below."""
    total_width, total_height = figure.get_size_inches()
    lower = MARGIN + 0.2 + LINE * bool(notes)
    # Room on both sides for half of the outermost numbers.
    x = (MARGIN + 0.15) / total_width
    length = min(_SCALE, total_width - 2 * MARGIN - 0.3)
    axes = figure.add_axes((x, lower / total_height, length / total_width, 0.11 / total_height))
    values = np.concatenate([panel.values.ravel() for panel in heatmap.panels])
    low, high = heatmap.limits
    below, above = bool((values < low).any()), bool((values > high).any())
    extend: dict[tuple[bool, bool], Literal["neither", "min", "max", "both"]]
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = Colorbar(
        axes, ScalarMappable(scale.norm, scale.colors), orientation="horizontal", extend=extend[below, above]
    )
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
