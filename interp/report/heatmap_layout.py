"""How much room does a heatmap need, and how are its panels arranged?

All sizes are in inches. Labels are measured first; then the width of a cell is chosen, the same for all panels, so
that as many panels as possible stand side by side and the words under the columns stay legible; then panels flow
into rows.
"""

import math
from dataclasses import dataclass

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
    """A panel with its measured labels.

    Attributes:
        panel: the panel.
        row_labels: its row labels as they are drawn.
        column_labels: its column labels as they are drawn.
        left: width of the margin left of the cells, which holds the name of the rows and their labels.
        label_width: width of the widest column label.
    """

    panel: Panel
    row_labels: tuple[str, ...]
    column_labels: tuple[str, ...]
    left: float
    label_width: float

    @property
    def columns(self) -> int:
        """Number of columns."""
        return len(self.column_labels)

    def least_cell(self) -> float:
        """The narrowest cell at which every word under a column is still legible when set upright."""
        numbers = all(label.lstrip("-").isdigit() for label in self.column_labels)
        return 0.02 if numbers or self.columns > _MANY_COLUMNS else _CELL_LEAST

    def outer_width(self, cell: float) -> float:
        """Width of cells and margin, or of the title or the name of the columns where those are wider."""
        title = width(drawable(self.panel.title, 60), 9.0, "bold")
        cells = self.columns * cell
        name = width(drawable(self.panel.column_axis, 60), NORMAL)
        return max(title, self.left + cells, self.left + (cells + name) / 2)

    def upright(self, cell: float) -> bool:
        """Whether column labels must be turned to fit."""
        return self.label_width > 0.92 * cell * self.step(cell, turned=False)

    def step(self, cell: float, turned: bool) -> int:
        """Every how many columns a label is printed: numbers are thinned, words only in very wide panels."""
        if self.least_cell() == _CELL_LEAST:
            return 1
        room = LINE if turned else self.label_width + 0.04
        return round_step(room / cell)

    def bottom(self, cell: float) -> float:
        """Height under the cells: labels and the name of the axis."""
        labels = self.label_width + 0.06 if self.upright(cell) else LINE
        return labels + LINE + 0.04

    def height(self, cell: float) -> float:
        """Height of title, cells, labels and the name of the columns."""
        return LINE + 0.06 + len(self.row_labels) * cell_height(cell) + self.bottom(cell)


def cell_height(cell: float) -> float:
    """Height of a cell: square where that is neither too low for a label nor needlessly high."""
    return min(max(cell, 0.02 if cell < 0.1 else 0.16), _TALLEST_CELL)


def round_step(least: float) -> int:
    """The smallest of 1, 2, 5, 10, 20, 50, ... that is not below `least`."""
    power = int(10 ** math.floor(math.log10(max(least, 1.0))))
    return next(factor * power for factor in (1, 2, 5, 10) if factor * power >= least)


def measure(panel: Panel, characters: int) -> PanelFrame:
    """Prepare the labels of a panel, cut to a number of characters, and measure them."""
    rows = tuple(drawable(label, characters) for label in panel.row_labels)
    columns = tuple(drawable(label, characters) for label in panel.column_labels)
    # Axis name (turned), a gap, the widest row label, a gap.
    left = LINE + 0.04 + widest(rows, NORMAL) + 0.07
    return PanelFrame(panel, rows, columns, left, widest(columns, NORMAL))


def arrange(frames: list[PanelFrame], room: float, numbered: bool) -> tuple[list[list[PanelFrame]], float]:
    """Put as many panels side by side as leave good cells; return the rows of panels and the width of a cell.

    Args:
        frames: the panels.
        room: the width there is.
        numbered: whether cells are to hold numbers, which need more room than colours.
    """
    good = _CELL_GOOD if numbered else _CELL_BARE
    least = max(frame.least_cell() for frame in frames)
    for beside in range(len(frames), 0, -1):
        rows = [frames[start : start + beside] for start in range(0, len(frames), beside)]
        cell = min(_largest_cell(row, room) for row in rows)
        if cell >= good:
            break
    return rows, max(min(cell, _CELL_MOST), least)


def _largest_cell(row: list[PanelFrame], room: float) -> float:
    margins = sum(frame.left for frame in row) + BESIDE * (len(row) - 1)
    return (room - margins) / sum(frame.columns for frame in row)


def row_width(row: list[PanelFrame], cell: float) -> float:
    """Width of panels side by side."""
    return sum(frame.outer_width(cell) for frame in row) + BESIDE * (len(row) - 1)
