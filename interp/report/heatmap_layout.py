"""How much room does a heatmap need, and how are its panels arranged?

All sizes are in inches. Labels are measured first; then the width of a cell is chosen, the same for all panels, so
that as many panels as possible stand side by side and the words under the columns stay legible; then panels flow
into rows.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interp.report.charts import Panel
from interp.report.fonts import drawable, widest, width

SMALL, NORMAL = 7.5, 8.5  # font sizes in points
LINE = 0.16  # height of a line of text
MARGIN, GAP, BESIDE = 0.08, 0.14, 0.28  # around the figure, between rows, between panels
_CELL_MOST, _CELL_GOOD, _CELL_BARE, _CELL_LEAST = 0.46, 0.30, 0.17, 0.15
_TALLEST_CELL = 0.30
_MANY_COLUMNS = 130  # beyond this labels are thinned even where they are words


@dataclass(frozen=True)
class PanelFrame:
    """A panel with its measured labels and the width of its cells.

    Attributes:
        panel: the panel.
        row_labels: its row labels as they are drawn.
        column_labels: its column labels as they are drawn.
        left: width of the margin left of the cells, which holds the name of the rows and their labels.
        label_width: width of the widest column label.
        cell: width of a cell.
    """

    panel: Panel
    row_labels: tuple[str, ...]
    column_labels: tuple[str, ...]
    left: float
    label_width: float
    cell: float = _CELL_MOST

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.column_labels)

    @property
    def tall(self) -> float:
        """Height of a cell: square where that is neither too low for a label nor needlessly high."""
        return min(max(self.cell, 0.02 if self.cell < 0.1 else 0.16), _TALLEST_CELL)

    @property
    def least_cell(self) -> float:
        """The narrowest cell at which every word under a column is still legible when set upright."""
        numbers = all(label.lstrip("-−").isdigit() for label in self.column_labels)
        return 0.02 if numbers or self.columns > _MANY_COLUMNS else _CELL_LEAST

    @property
    def outer_width(self) -> float:
        """Width of cells and margin, or of the title or the name of the columns where those are wider."""
        title = width(drawable(self.panel.title, 60), 9.0, "bold")
        cells = self.columns * self.cell
        name = width(drawable(self.panel.column_axis, 60), NORMAL)
        return max(title, self.left + cells, self.left + (cells + name) / 2)

    @property
    def upright(self) -> bool:
        """Whether column labels must be turned to fit."""
        return self.label_width > 0.92 * self.cell * self._step(self.label_width + 0.04)

    @property
    def step(self) -> int:
        """Every how many columns a label is printed: numbers are thinned, words only in very wide panels."""
        return self._step(LINE if self.upright else self.label_width + 0.04)

    def _step(self, room: float) -> int:
        return 1 if self.least_cell == _CELL_LEAST else round_step(room / self.cell)

    @property
    def bottom(self) -> float:
        """Height under the cells: labels and the name of the axis."""
        return (self.label_width + 0.06 if self.upright else LINE) + LINE + 0.04

    @property
    def height(self) -> float:
        """Height of title, cells, labels and the name of the columns."""
        return LINE + 0.06 + len(self.row_labels) * self.tall + self.bottom


def round_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... that is not below a number.

    Args:
        least: the number.
    """
    power = int(10 ** math.floor(math.log10(max(least, 1.0))))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def arrange(panels: Sequence[Panel], inches: float, characters: int, numbered: bool) -> list[list[PanelFrame]]:
    """The panels in rows, as many side by side as leave good cells.

    Args:
        panels: the panels.
        inches: the width there is.
        characters: most characters of a label.
        numbered: whether cells are to hold numbers, which need more room than colors.
    """
    frames = [_measure(panel, characters) for panel in panels]
    room = inches - 2 * MARGIN
    for beside in range(len(frames), 0, -1):
        rows = [frames[start : start + beside] for start in range(0, len(frames), beside)]
        cell = min(_largest_cell(row, room) for row in rows)
        if cell >= (_CELL_GOOD if numbered else _CELL_BARE):
            break
    cell = max(min(cell, _CELL_MOST), *(frame.least_cell for frame in frames))
    return [[replace(frame, cell=cell) for frame in row] for row in rows]


def _measure(panel: Panel, characters: int) -> PanelFrame:
    rows, columns = (
        tuple(drawable(label, characters) for label in labels) for labels in (panel.row_labels, panel.column_labels)
    )
    # Axis name (turned), a gap, the widest row label, a gap.
    left = LINE + 0.04 + widest(rows, NORMAL) + 0.07
    return PanelFrame(panel, rows, columns, left, widest(columns, NORMAL))


def _largest_cell(row: list[PanelFrame], room: float) -> float:
    margins = sum(frame.left for frame in row) + BESIDE * (len(row) - 1)
    return (room - margins) / sum(frame.columns for frame in row)


def cell_axes(figure: Figure, left: float, lower: float, shape: tuple[int, int], cell: tuple[float, float]) -> Axes:
    """Axes whose unit is a cell, the first row at the top.

    Args:
        figure: where they are added.
        left: left edge.
        lower: lower edge.
        shape: number of rows and of columns.
        cell: width and height of a cell.
    """
    total_width, total_height = figure.get_size_inches()
    (rows, columns), (wide, tall) = shape, cell
    place = (left / total_width, lower / total_height, columns * wide / total_width, rows * tall / total_height)
    return figure.add_axes(place, xlim=(0, columns), ylim=(rows, 0))
