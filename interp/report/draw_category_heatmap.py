"""How is a category heat map laid out and drawn?

Hue is the category, lightness the strength, and a few letters in the cell say the same as the hue, so that no reader depends on
colors. A thick frame marks a certain cell, a thin one a tendency, a broken one an uncertain cell, a cross an undefined one. The
legend names only what occurs. All sizes are in inches.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PolyCollection
from matplotlib.figure import Figure

from interp.report.charts import CategoryHeatmap
from interp.report.fonts import INK, MUTED, drawable, widest, width
from interp.report.heatmap_layout import LINE, MARGIN, NORMAL, SMALL, cell_axes
from interp.report.numbers import fixed
from interp.report.palette import Hue, readable_ink, tint

_CELL_MOST, _CELL_LEAST = 0.78, 0.12
_TALL_MOST, _TALL_LEAST = 0.40, 0.14
_TWO_LINES = 0.32  # height of a cell with a code and a number under it
_SMALLEST = 5.5  # points; letters that would have to be smaller are left out
_PATCH, _PATCH_GAP, _ENTRY_GAP = 0.17, 0.06, 0.22
_STEPS = 5  # patches of the scale of strengths
_FRAME = 2.0
_FRAMES: dict[str, tuple[Any, float]] = {
    "certain": ("solid", 1.8),
    "tendency": ("solid", 0.7),
    "uncertain": ((0, (2.2, 1.4)), 1.2),
}
"""Mark -> style and width of its frame."""
_LEGEND, _LEGEND_LINE = 6.4, 0.21  # width it may have where the cells need less; height of a line
_LONGEST = 120
_NO_PATCH = ("", "")


def draw_category_heatmap(heatmap: CategoryHeatmap, inches: float) -> Figure:
    """Lay out and draw a heatmap.

    Args:
        heatmap: the cells and their meaning.
        inches: the width of the figure; few columns need less.
    """
    n_rows, n_columns = heatmap.strength.shape
    left = MARGIN + LINE + 0.04 + width(str(n_rows - 1), NORMAL) + 0.07
    cell = min(max((inches - left - MARGIN) / n_columns, _CELL_LEAST), _CELL_MOST)
    tall = min(max(0.62 * cell, _TALL_LEAST), _TALL_MOST)
    cells_width = left + n_columns * cell + MARGIN
    legend = list(_wrapped(_entries(heatmap), max(cells_width, min(inches, _LEGEND)) - 2 * MARGIN))
    total_width = max(cells_width, *(_line_width(line) + 2 * MARGIN for line in legend))
    below = LINE + LINE + 0.10
    total_height = MARGIN + n_rows * tall + below + len(legend) * _LEGEND_LINE + MARGIN
    figure = Figure(figsize=(total_width, total_height))
    lower = total_height - MARGIN - n_rows * tall
    axes = cell_axes(figure, left, lower, (n_rows, n_columns), (cell, tall))
    axes.set_axis_off()
    _draw_cells(axes, heatmap, cell, tall)
    _draw_labels(figure, heatmap, cell, tall, left, lower)
    _draw_legend(figure, legend, lower - below)
    return figure


def _color(heatmap: CategoryHeatmap, row: int, column: int) -> str:
    strength, index = float(heatmap.strength[row, column]), int(heatmap.category[row, column])
    hue: Hue = "gray" if index < 0 else heatmap.categories[index][1]
    return "#ffffff" if np.isnan(strength) else tint(hue, strength)


def _draw_cells(axes: Axes, heatmap: CategoryHeatmap, cell: float, tall: float) -> None:
    cells = [(int(row), int(column)) for row, column in np.ndindex(*heatmap.strength.shape)]
    colors = {place: _color(heatmap, *place) for place in cells}
    corners = [((column, row), (column + 1, row), (column + 1, row + 1), (column, row + 1)) for row, column in cells]
    axes.add_collection(PolyCollection(corners, facecolors=list(colors.values()), edgecolors="white", linewidths=0.8))
    undefined = np.argwhere(np.isnan(heatmap.strength))
    axes.plot(undefined[:, 1] + 0.5, undefined[:, 0] + 0.5, "x", color=MUTED, markersize=72 * 0.4 * min(cell, tall))
    for mark, (style, line) in _FRAMES.items():
        frames = [_frame(row, column, cell, tall) for row, column in cells if heatmap.marks[row][column] == mark]
        axes.add_collection(LineCollection(frames, colors=INK, linewidths=line, linestyles=[style], capstyle="butt"))
    _write_cells(axes, heatmap, colors, cell, tall)


def _frame(row: int, column: int, cell: float, tall: float) -> list[tuple[float, float]]:
    """A closed line just inside a cell."""
    dx, dy = _FRAME / 72 / cell, _FRAME / 72 / tall
    left, right, top, bottom = column + dx, column + 1 - dx, row + dy, row + 1 - dy
    return [(left, top), (right, top), (right, bottom), (left, bottom), (left, top)]


def _write_cells(
    axes: Axes, heatmap: CategoryHeatmap, colors: dict[tuple[int, int], str], cell: float, tall: float
) -> None:
    """Codes, and under them the strengths where cells are high enough; nothing if letters had to be too small."""
    codes = tuple(code for row in heatmap.codes for code in row if code)
    size = _fitting(codes, 0.86 * cell, NORMAL)
    numbered = tall >= _TWO_LINES and width("0.00", SMALL) <= 0.86 * cell
    style: dict[str, Any] = {"ha": "center", "va": "center_baseline"}
    for (row, column), color in colors.items():
        code, strength = heatmap.codes[row][column], float(heatmap.strength[row, column])
        if np.isnan(strength):
            continue
        x, style["color"] = column + 0.5, readable_ink(color)
        both = numbered and bool(code)
        if code and size and tall >= 0.14:
            weight = "bold" if heatmap.marks[row][column] == "certain" else "normal"
            axes.text(x, row + (0.33 if both else 0.5), code, fontsize=size, fontweight=weight, **style)
        if numbered:
            axes.text(x, row + (0.72 if both else 0.5), fixed(strength), fontsize=SMALL, **style)


def _fitting(texts: tuple[str, ...], room: float, most: float) -> float:
    """The largest font size up to `most` at which every text fits; 0 if that is too small to read."""
    needed = widest(texts, most)
    size = most if needed <= room else most * room / needed
    return size if size >= _SMALLEST else 0.0


def _draw_labels(figure: Figure, heatmap: CategoryHeatmap, cell: float, tall: float, left: float, lower: float) -> None:
    n_rows, n_columns = heatmap.strength.shape
    style: dict[str, Any] = {"transform": figure.dpi_scale_trans, "fontsize": NORMAL}
    step = 1 if width(str(n_columns), NORMAL) + 0.03 <= cell else 2
    for column in range(0, n_columns, step):
        figure.text(left + (column + 0.5) * cell, lower - 0.05, str(column), ha="center", va="top", **style)
    for row in range(n_rows):
        y = lower + (n_rows - row - 0.5) * tall
        figure.text(left - 0.06, y, str(row), ha="right", va="center_baseline", **style)
    columns, rows = drawable(heatmap.column_axis, 40), drawable(heatmap.row_axis, 40)
    style["color"] = MUTED
    figure.text(left + n_columns * cell / 2, lower - LINE - 0.05, columns, ha="center", va="top", **style)
    figure.text(MARGIN, lower + n_rows * tall / 2, rows, rotation=90, va="center", **style)


_Entry = tuple[tuple[tuple[str, str], ...], str]
"""Patches as (color, frame), and the words beside them."""


def _entries(heatmap: CategoryHeatmap) -> Iterator[_Entry]:
    """What the legend must explain: categories that occur, the scale, and marks that occur."""
    present = set(heatmap.category[np.isfinite(heatmap.strength)].tolist())
    for index, (name, hue) in enumerate(heatmap.categories):
        if index in present:
            yield ((tint(hue, 0.75), ""),), drawable(name, _LONGEST)
    scale = tuple((tint("gray", step / (_STEPS - 1)), "") for step in range(_STEPS))
    yield scale, drawable(f"0 to 1: {heatmap.strength_label}", _LONGEST)
    marks = {mark for row in heatmap.marks for mark in row}
    for mark, label in zip(_FRAMES, heatmap.mark_labels, strict=True):
        if mark in marks:
            yield (("#ffffff", mark),), drawable(label, _LONGEST)
    if np.isnan(heatmap.strength).any():
        yield (("#ffffff", "cross"),), "not defined"


def _indent(entry: _Entry) -> float:
    return len(entry[0]) * _PATCH + _PATCH_GAP


def _folded(entry: _Entry, room: float) -> Iterator[_Entry]:
    """An entry in pieces that fit; words that go on in the next line stand under the first ones."""
    patches, words = entry
    line = ""
    for word in words.split():
        longer = f"{line} {word}".lstrip()
        if line and _indent(entry) + width(longer, NORMAL) > room:
            yield patches, line
            patches, longer = ((_NO_PATCH,) * len(patches)), word
        line = longer
    yield patches, line


def _wrapped(entries: Iterator[_Entry], room: float) -> Iterator[list[_Entry]]:
    """Entries in lines of at most `room`; an entry that needs several lines has them to itself."""
    line: list[_Entry] = []
    used = 0.0
    for entry in entries:
        needed = _indent(entry) + width(entry[1], NORMAL)
        if line and used + needed > room:
            yield line
            line, used = [], 0.0
        if needed > room:
            yield from ([piece] for piece in _folded(entry, room))
            continue
        line.append(entry)
        used += needed + _ENTRY_GAP
    if line:
        yield line


def _line_width(line: list[_Entry]) -> float:
    return sum(_indent(entry) + width(entry[1], NORMAL) for entry in line) + _ENTRY_GAP * (len(line) - 1)


def _draw_legend(figure: Figure, lines: list[list[_Entry]], top: float) -> None:
    total_width, total_height = figure.get_size_inches()
    # One invisible pair of axes in inches for all patches.
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_xlim(0, total_width)
    axes.set_ylim(0, total_height)
    axes.set_axis_off()
    for number, line in enumerate(lines):
        x, y = MARGIN, top - number * _LEGEND_LINE - 0.16
        for patches, words in line:
            for color, mark in patches:
                if (color, mark) != _NO_PATCH:
                    _draw_patch(axes, x, y, color, mark)
                x += _PATCH
            x += _PATCH_GAP
            axes.text(x, y + 0.065, words, fontsize=NORMAL, color=INK, va="center_baseline")
            x += width(words, NORMAL) + _ENTRY_GAP


def _draw_patch(axes: Axes, x: float, y: float, color: str, mark: str) -> None:
    side, tall = _PATCH - 0.01, 0.13
    corners = [(x, y), (x + side, y), (x + side, y + tall), (x, y + tall)]
    axes.add_collection(PolyCollection([corners], facecolors=[color]))
    if mark in _FRAMES:
        style, line = _FRAMES[mark]
        axes.add_collection(LineCollection([[*corners, corners[0]]], colors=INK, linewidths=line, linestyles=[style]))
    elif mark == "cross":
        axes.plot([x + side / 2], [y + tall / 2], "x", color=MUTED, markersize=6)
