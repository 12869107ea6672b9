"""How is a heatmap laid out and drawn?

One scale and one colour bar for all panels, so that equal colours mean equal numbers. Nothing is hidden by the colour
map: an undefined cell carries a cross, a value beyond the scale a plus or a minus, and where cells are large enough
the number itself is printed. (The marks follow the habit of treescope's array view.)

All sizes are in inches. The width of a cell is chosen first, then panels flow into rows like words into lines.
"""

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colorbar import Colorbar
from matplotlib.colors import Colormap, Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from interp.report.drawings import Heatmap, Panel
from interp.report.tables import decimals_for
from interp.report.typeface import INK, MUTED, drawable, widest, width

_SMALL, _NORMAL = 7.5, 8.5  # font sizes in points
_LINE = 0.16  # height of a line of text
_MARGIN, _GAP, _BESIDE = 0.08, 0.14, 0.28  # around the figure, between rows, between panels
_SCALE = 3.0  # length of the colour bar
_CELL_MOST, _CELL_GOOD, _CELL_LEAST = 0.46, 0.30, 0.15
_TALLEST_CELL = 0.30
_MANY_CELLS = 4000  # beyond this a panel is one image instead of one shape per cell
_MANY_NUMBERS = 400  # beyond this no numbers are printed in the cells
_MANY_COLUMNS = 130  # beyond this labels are thinned even where they are words


@dataclass(frozen=True)
class _Scale:
    """The one relation between numbers and colours that all panels share."""

    norm: Normalize
    colours: Colormap


@dataclass(frozen=True)
class _Frame:
    """A panel with its measured margins: left and bottom hold labels, top the title."""

    panel: Panel
    row_labels: tuple[str, ...]
    column_labels: tuple[str, ...]
    left: float
    label_width: float

    @property
    def columns(self) -> int:
        return len(self.column_labels)

    def least_cell(self) -> float:
        """The narrowest cell at which every word under a column is still legible when set upright."""
        numbers = all(label.lstrip("-").isdigit() for label in self.column_labels)
        return 0.02 if numbers or self.columns > _MANY_COLUMNS else _CELL_LEAST

    def outer_width(self, cell: float) -> float:
        return max(self.left + self.columns * cell, width(drawable(self.panel.title, 60), 9.0, "bold"))

    def upright(self, cell: float) -> bool:
        """Whether column labels must be turned to fit."""
        return self.label_width > 0.92 * cell * self.step(cell, turned=False)

    def step(self, cell: float, turned: bool) -> int:
        """Every how many columns a label is printed: numbers are thinned, words only in very wide panels."""
        if self.least_cell() == _CELL_LEAST:
            return 1
        room = _LINE if turned else self.label_width + 0.04
        return _round_step(room / cell)

    def bottom(self, cell: float) -> float:
        """Height under the cells: labels and the name of the axis."""
        labels = self.label_width + 0.06 if self.upright(cell) else _LINE
        return labels + _LINE + 0.04

    def height(self, cell: float) -> float:
        return _LINE + 0.06 + len(self.row_labels) * _cell_height(cell) + self.bottom(cell)


def _cell_height(cell: float) -> float:
    return min(max(cell, 0.02 if cell < 0.1 else 0.16), _TALLEST_CELL)


def _round_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... that is not below `least`."""
    power = int(10 ** math.floor(math.log10(max(least, 1.0))))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def draw_heatmap(heatmap: Heatmap, inches: float) -> Figure:
    """Lay out and draw a heatmap.

    Args:
        heatmap: the panels and their scale.
        inches: the width aimed at; few columns need less, many labelled columns more.

    Returns:
        The figure, without a canvas of its own choosing.
    """
    frames = [_measure(panel) for panel in heatmap.panels]
    rows, cell = _arrange(frames, inches - 2 * _MARGIN)
    decimals = _choose_decimals(heatmap, cell)
    notes = _notes(heatmap, marks_clipped=decimals is None)
    heights = [max(frame.height(cell) for frame in row) for row in rows]
    scale_width = min(max(_SCALE, width(drawable(heatmap.colour_label, 90), _NORMAL)), inches - 2 * _MARGIN)
    total_width = 2 * _MARGIN + max([scale_width + 0.1, *(_row_width(row, cell) for row in rows)])
    scale_height = 0.52 + _LINE * bool(notes)
    total_height = sum(heights) + _GAP * len(rows) + scale_height + 2 * _MARGIN
    figure = Figure(figsize=(total_width, total_height))
    colours = "viridis" if heatmap.centre is None else "PuOr"
    scale = _Scale(Normalize(*heatmap.limits), colormaps[colours])
    top = total_height - _MARGIN
    for row, height in zip(rows, heights, strict=True):
        left = _MARGIN
        for frame in row:
            _draw_panel(figure, frame, scale, cell, left, top, decimals)
            left += frame.outer_width(cell) + _BESIDE
        top -= height + _GAP
    _draw_scale(figure, heatmap, scale, notes)
    return figure


def _measure(panel: Panel) -> _Frame:
    rows = tuple(drawable(label) for label in panel.row_labels)
    columns = tuple(drawable(label) for label in panel.column_labels)
    # Axis name (turned), a gap, the widest row label, a gap.
    left = _LINE + 0.04 + widest(rows, _NORMAL) + 0.07
    return _Frame(panel, rows, columns, left, widest(columns, _NORMAL))


def _arrange(frames: list[_Frame], room: float) -> tuple[list[list[_Frame]], float]:
    """Put as many panels side by side as leave good cells; return the rows of panels and the width of a cell."""
    least = max(frame.least_cell() for frame in frames)
    for beside in range(len(frames), 0, -1):
        rows = [frames[start : start + beside] for start in range(0, len(frames), beside)]
        cell = min(_largest_cell(row, room) for row in rows)
        if cell >= _CELL_GOOD:
            break
    return rows, max(min(cell, _CELL_MOST), least)


def _largest_cell(row: list[_Frame], room: float) -> float:
    margins = sum(frame.left for frame in row) + _BESIDE * (len(row) - 1)
    return (room - margins) / sum(frame.columns for frame in row)


def _row_width(row: list[_Frame], cell: float) -> float:
    return sum(frame.outer_width(cell) for frame in row) + _BESIDE * (len(row) - 1)


def _draw_panel(
    figure: Figure, frame: _Frame, scale: _Scale, cell: float, left: float, top: float, decimals: int | None
) -> None:
    tall = _cell_height(cell)
    n_rows, n_columns = frame.panel.values.shape
    total_width, total_height = figure.get_size_inches()
    lower = top - _LINE - 0.06 - n_rows * tall
    axes = figure.add_axes((
        (left + frame.left) / total_width,
        lower / total_height,
        n_columns * cell / total_width,
        n_rows * tall / total_height,
    ))
    axes.set_xlim(0, n_columns)
    axes.set_ylim(n_rows, 0)
    _draw_cells(axes, frame.panel.values, scale)
    if decimals is None:
        _mark_clipped(axes, frame.panel.values, scale)
    else:
        _draw_numbers(axes, frame.panel.values, scale, decimals)
    _cross_out(axes, frame.panel.values)
    _label_axes(axes, frame, cell, tall)
    x, y = left / total_width, top / total_height
    title = drawable(frame.panel.title, 60)
    figure.text(x, y, title, fontsize=9.0, fontweight="bold", ha="left", va="top")
    name_height = _LINE + (frame.label_width + 0.06 if frame.upright(cell) else _LINE) - 0.02
    figure.text(
        (left + frame.left + n_columns * cell / 2) / total_width,
        (lower - name_height) / total_height,
        drawable(frame.panel.column_axis, 60),
        fontsize=_NORMAL,
        color=MUTED,
        ha="center",
        va="bottom",
    )
    figure.text(
        x,
        (lower + n_rows * tall / 2) / total_height,
        drawable(frame.panel.row_axis, 60),
        fontsize=_NORMAL,
        color=MUTED,
        rotation=90,
        ha="left",
        va="center",
    )


def _draw_cells(axes: Axes, values: np.ndarray, scale: _Scale) -> None:
    n_rows, n_columns = values.shape
    masked = np.ma.masked_invalid(values)
    axes.set_facecolor("#eef0f2")
    if values.size > _MANY_CELLS:
        axes.imshow(
            masked,
            cmap=scale.colours,
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
        cmap=scale.colours,
        norm=scale.norm,
        edgecolors="white",
        linewidth=0.5,
    )


def _choose_decimals(heatmap: Heatmap, cell: float) -> int | None:
    """Decimals of the numbers printed in all cells, or None if some panel has no room for them."""
    values = np.concatenate([panel.values.ravel() for panel in heatmap.panels])
    values = values[np.isfinite(values)]
    crowded = any(panel.values.size > _MANY_NUMBERS for panel in heatmap.panels)
    if crowded or _cell_height(cell) < 0.15:
        return None
    decimals = decimals_for(values)
    if np.abs(values).max(initial=0.0) >= 0.1:
        decimals = min(decimals, 2)
    texts = {_print(value, decimals) for value in values}
    return decimals if widest(tuple(texts), _SMALL) <= 0.88 * cell else None


def _print(value: float, decimals: int) -> str:
    # Adding zero turns -0.0 into 0.0.
    return f"{round(float(value), decimals) + 0.0:.{decimals}f}".replace("-", "−")


def _draw_numbers(axes: Axes, values: np.ndarray, scale: _Scale, decimals: int) -> None:
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            _write(axes, row, column, _print(value, decimals), _readable_ink(scale, value))


def _write(axes: Axes, row: int, column: int, text: str, colour: str) -> None:
    x, y = column + 0.5, row + 0.5
    axes.text(x, y, text, fontsize=_SMALL, color=colour, ha="center", va="center_baseline")


def _readable_ink(scale: _Scale, value: float) -> str:
    """Dark or white, whichever contrasts more with the cell (WCAG 2.2 relative luminance)."""
    red, green, blue, _ = scale.colours(float(scale.norm(value)))
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in (red, green, blue)]
    luminance = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    return INK if luminance > 0.205 else "white"


def _mark_clipped(axes: Axes, values: np.ndarray, scale: _Scale) -> None:
    lower, upper = scale.norm.vmin or 0.0, scale.norm.vmax or 0.0
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value) and not lower <= value <= upper:
            _write(axes, row, column, "+" if value > upper else "−", _readable_ink(scale, value))


def _cross_out(axes: Axes, values: np.ndarray) -> None:
    strokes = [
        stroke
        for row, column in np.argwhere(np.isnan(values))
        for stroke in (
            [(column + 0.25, row + 0.25), (column + 0.75, row + 0.75)],
            [(column + 0.25, row + 0.75), (column + 0.75, row + 0.25)],
        )
    ]
    if strokes:
        axes.add_collection(LineCollection(strokes, colors=MUTED, linewidths=0.9), autolim=False)


def _label_axes(axes: Axes, frame: _Frame, cell: float, tall: float) -> None:
    upright = frame.upright(cell)
    step = frame.step(cell, upright)
    columns = range(0, frame.columns, step)
    axes.set_xticks(
        [column + 0.5 for column in columns],
        [frame.column_labels[column] for column in columns],
        rotation=90 if upright else 0,
        fontsize=_NORMAL,
    )
    rows = range(0, len(frame.row_labels), _round_step(0.13 / tall))
    axes.set_yticks([row + 0.5 for row in rows], [frame.row_labels[row] for row in rows], fontsize=_NORMAL)
    axes.tick_params(length=0, pad=3)
    for side in axes.spines.values():
        side.set_visible(False)


def _draw_scale(figure: Figure, heatmap: Heatmap, scale: _Scale, notes: str) -> None:
    """One horizontal colour bar at the bottom left, its quantity above it and the legend of marks below."""
    total_width, total_height = figure.get_size_inches()
    lower = _MARGIN + 0.2 + _LINE * bool(notes)
    x = (_MARGIN + 0.03) / total_width
    length = min(_SCALE, total_width - 2 * _MARGIN - 0.1)
    axes = figure.add_axes((x, lower / total_height, length / total_width, 0.11 / total_height))
    values = np.concatenate([panel.values.ravel() for panel in heatmap.panels])
    low, high = heatmap.limits
    below, above = bool((values < low).any()), bool((values > high).any())
    extend: dict[tuple[bool, bool], Literal["neither", "min", "max", "both"]]
    extend = {(False, False): "neither", (True, False): "min", (False, True): "max", (True, True): "both"}
    bar = Colorbar(
        axes, ScalarMappable(scale.norm, scale.colours), orientation="horizontal", extend=extend[below, above]
    )
    bar.outline.set_visible(False)
    bar.locator = MaxNLocator(nbins=5)
    bar.ax.tick_params(labelsize=_NORMAL, length=2, pad=2)
    label = drawable(heatmap.colour_label, 90)
    figure.text(x, (lower + 0.16) / total_height, label, fontsize=_NORMAL, ha="left", va="bottom")
    if notes:
        figure.text(x, _MARGIN / total_height, notes, fontsize=_SMALL, color=MUTED, va="bottom")


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
