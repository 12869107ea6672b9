"""What drawings with axes share: lines with their markers, names of axes in lines that fit, and the legend under everything."""

import textwrap
from collections.abc import Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from interp.report.charts import Series
from interp.report.fonts import MUTED, drawable, widest
from interp.report.palette import SERIES
from interp.report.visible_text import shorten

MARKERS = ("o", "s", "^", "D", "v", "P", "X", "p")
_DASHES: tuple[tuple[float, ...], ...] = ((), (5, 1.5), (5, 1.5, 1, 1.5), (1.5, 1.5))
CONTROL_MARKERS = ("o", "s", "^", "D")
_CONTROL_DASHES: tuple[tuple[float, ...], ...] = ((3, 2), (1, 1.3), (6, 2), (3, 2, 1, 2))
_LEGEND_LINE = 0.19  # height in inches of one row of the legend
LEGEND_CHARACTERS = 44
_NARROW_LEGEND = 36  # characters


def draw_series(axes: Axes, series: Series, number: int, size: float = 4.5) -> None:
    """A line with its markers and, where it has one, its band.

    Args:
        axes: where it is drawn.
        series: the line.
        number: which of its style it is, for its color, marker and dashes.
        size: of the markers.
    """
    control = series.style == "control"
    markers = CONTROL_MARKERS if control else MARKERS
    color = MUTED if control else SERIES[number % len(SERIES)]
    style: dict[str, Any] = {"color": color, "markerfacecolor": "white" if control else color}
    style |= {"marker": markers[number % len(markers)], "markersize": size, "zorder": 2.5 if control else 3}
    label = drawable(series.label, LEGEND_CHARACTERS)
    (line,) = axes.plot(series.x, series.y, linewidth=1.5, label=label, **style)
    kinds = _CONTROL_DASHES if control else _DASHES
    dashes = kinds[number % len(kinds)]
    if dashes:
        line.set_dashes(dashes)
    if series.low is not None and series.high is not None:
        axes.fill_between(series.x, series.low, series.high, color=color, alpha=0.16, linewidth=0, zorder=2)


def wrap_name(figure: Figure, text: str) -> str:
    """The name of an axis in lines that fit beside the other axis; the figure grows by the lines added.

    Args:
        figure: the figure.
        text: the name.
    """
    inches, height = figure.get_size_inches()
    lines = textwrap.wrap(drawable(text, 120), int((inches - 0.9) / 0.082))
    figure.set_size_inches(inches, height + 0.15 * max(len(lines) - 1, 0))
    return "\n".join(lines)


def add_legend(figure: Figure, axes: Sequence[Axes], handle: float = 2.6, remark: float = 0.0) -> float:
    """The height in inches of a legend drawn under everything, with as many columns as its longest entry allows.

    Args:
        figure: the figure, which grows by the legend.
        axes: whose lines it names, every label once.
        handle: length of a sample, in letters.
        remark: inches kept free under it.
    """
    named = [zip(*one.get_legend_handles_labels(), strict=True) for one in axes]
    samples = {label: sample for some in named for sample, label in some}
    inches, height = figure.get_size_inches()
    labels = tuple(shorten(label, LEGEND_CHARACTERS if inches > 5 else _NARROW_LEGEND) for label in samples)
    entry = widest(labels, 8.5) + 0.12 * handle + 0.3
    columns = max(1, min(len(labels), int((inches - 0.1) / entry)))
    rows = -(-len(labels) // columns)
    below = remark + rows * _LEGEND_LINE + 0.1
    height += below
    figure.set_size_inches(inches, height)
    place: dict[str, Any] = {"loc": "lower left", "bbox_to_anchor": (0.0, remark / height), "borderaxespad": 0.2}
    figure.legend(samples.values(), labels, ncols=columns, handlelength=handle, columnspacing=1.4, **place)
    layout = figure.get_layout_engine()
    if isinstance(layout, ConstrainedLayoutEngine):
        layout.set(rect=(0.0, below / height, 1.0, 1.0 - below / height))
    return below
