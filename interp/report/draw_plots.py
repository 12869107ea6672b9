"""How are lines, points and bars drawn?

Each function turns one drawing into a matplotlib figure of a given width. Color never carries meaning alone: every
series and group has its own marker and dash, controls are gray, hollow and dashed, signed bars start from a drawn
zero. Labels beside points are placed where they touch nothing; those for which there is no room are counted under
the figure instead of being printed on top of others.
"""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from matplotlib.transforms import Bbox

from interp.report.charts import BarChart, LinePlot, PointGroup, ScatterPlot
from interp.report.fonts import INK, MUTED, RULE, drawable, label_characters, widest, width
from interp.report.numbers import decimals_for, print_number
from interp.report.palette import HUES, SERIES
from interp.report.plot_parts import CONTROL_MARKERS, LEGEND_CHARACTERS, MARKERS, add_legend, draw_series, wrap_name
from interp.report.settled_layout import fix_layout

_POSITIVE, _NEGATIVE = "#7db4dc", "#eba36f"  # pale enough for a dark interval to stand out on them
_LABEL_SIZE = 8.0
_REMARK = 0.2  # height kept free under the legend of a scatter plot


def draw_line_plot(lines: LinePlot, inches: float) -> Figure:
    """A line plot with intervals as bands, and its legend below.

    Args:
        lines: the lines.
        inches: width of the figure.
    """
    figure, axes = _axes(inches, 3.2 if inches > 5 else 2.8)
    counts = {"model": 0, "control": 0}
    for series in lines.series:
        draw_series(axes, series, counts[series.style])
        counts[series.style] += 1
    _draw_zero(axes)
    _name_axes(figure, axes, lines.x_axis, lines.y_axis)
    xs = np.concatenate([series.x for series in lines.series])
    if lines.x_ticks is not None:
        _name_positions(axes, lines.x_ticks, inches)
    elif lines.logarithmic:
        _scale_logarithmically(axes, np.unique(xs), inches)
    else:
        axes.xaxis.set_major_locator(MaxNLocator(nbins="auto", integer=bool((xs == np.round(xs)).all())))
    add_legend(figure, [axes])
    return figure


def _name_positions(axes: Axes, names: tuple[str, ...], inches: float) -> None:
    """Print names at x = 0, 1, 2, ...: level if they fit, else upright, thinned only if even that is too tight."""
    texts = tuple(drawable(name, 20) for name in names)
    room = (inches - 0.8) / len(names)
    upright = widest(texts, 8.5) + 0.06 > room
    step = max(1, int(np.ceil(0.15 / room))) if upright else 1
    positions = range(0, len(names), step)
    axes.set_xticks(list(positions), [texts[position] for position in positions], rotation=90 if upright else 0)


def _scale_logarithmically(axes: Axes, positions: np.ndarray, inches: float) -> None:
    """log(x + 1), so that 0 has its place; ticks at the positions themselves, from the last one down, where they have room."""
    first, last = np.log1p(positions[[0, -1]])
    margin = 0.03 * max(float(last - first), 1e-9)
    axes.set_xlim(float(np.expm1(first - margin)), float(np.expm1(last + margin)))  # before: nothing lies below -1
    axes.set_xscale("function", functions=(np.log1p, np.expm1))
    room = (inches - 0.9) / max(float(last - first), 1e-9)
    kept: list[float] = []
    for position in positions[::-1].tolist():
        half = (widest((f"{position:,.0f}",), 8.5) + 0.12) / 2
        if all(room * abs(np.log1p(position) - np.log1p(other)) >= half + 0.25 for other in kept):
            kept.append(position)
    axes.set_xticks(kept, [f"{position:,.0f}" for position in kept])
    axes.minorticks_off()


def draw_bar_chart(bars: BarChart, inches: float) -> Figure:
    """Signed horizontal bars with intervals, controls and the printed values.

    Args:
        bars: the bars.
        inches: width of the figure.
    """
    labels = tuple(drawable(label, label_characters(inches)) for label in bars.labels)
    figure, axes = _axes(inches, 0.62 + 0.25 * len(labels))
    positions = np.arange(len(labels))
    defined = np.isfinite(bars.values)
    colors = [_POSITIVE if value >= 0 else _NEGATIVE for value in bars.values[defined]]
    axes.barh(positions[defined], bars.values[defined], height=0.64, color=colors, zorder=2)
    axes.plot(np.zeros((~defined).sum()), positions[~defined], "x", color=MUTED, label="_", zorder=3)
    if bars.low is not None and bars.high is not None:
        axes.hlines(positions, bars.low, bars.high, color=INK, linewidth=1.1, zorder=3, label="interval")
    if bars.control is not None:
        style: dict[str, Any] = {"markersize": 5, "markerfacecolor": "white", "markeredgecolor": INK, "zorder": 4}
        axes.plot(bars.control, positions, "D", label="control", **style)
    axes.axvline(0.0, color=INK, linewidth=0.8, zorder=2.5)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.set_yticks(positions, labels)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.set_xlabel(wrap_name(figure, bars.axis))
    axes.xaxis.set_major_locator(MaxNLocator(nbins=8 if inches > 5 else 4))
    _print_values(axes, bars.values)
    if bars.low is not None or bars.control is not None:
        add_legend(figure, [axes])
    return figure


def _print_values(axes: Axes, values: np.ndarray) -> None:
    """The values as a column of numbers right of the axes, so that no reader has to measure bars."""
    decimals = decimals_for(values)
    texts = [print_number(float(value), decimals) if np.isfinite(value) else "–" for value in values]
    column = axes.secondary_yaxis("right")
    column.set_yticks(np.arange(len(values)), texts)
    column.tick_params(length=0, pad=4 + 72 * widest(tuple(texts), 8.5))
    for label in column.get_yticklabels():
        label.set_horizontalalignment("right")
    column.spines["right"].set_visible(False)


def draw_scatter_plot(scatter: ScatterPlot, inches: float) -> Figure:
    """A scatter plot with names beside the points.

    Args:
        scatter: the points.
        inches: width of the figure, where that is not needlessly large.
    """
    side = min(inches, 6.4)
    figure, axes = _axes(side, 0.98 * side if scatter.diagonal else 0.75 * side)
    counts = {"model": 0, "control": 0}
    for group in scatter.groups:
        _draw_group(axes, group, counts[group.style])
        counts[group.style] += 1
    _name_axes(figure, axes, scatter.x_axis, scatter.y_axis)
    axes.margins(0.08)
    if scatter.diagonal:
        _draw_diagonal(axes)
    add_legend(figure, [axes], handle=1.6, remark=_REMARK)
    left_out = _name_points(figure, axes, scatter.groups)
    if left_out:
        named = sum(bool(name) for group in scatter.groups for name in group.names)
        note = f"{left_out} of {named} names are left out where they would overlap."
        figure.text(0.01, 0.05 / figure.get_figheight(), note, fontsize=7.5, color=MUTED, va="bottom", in_layout=False)
    return figure


def _draw_group(axes: Axes, group: PointGroup, number: int) -> None:
    control = group.style == "control"
    color = HUES[group.hue] if group.hue else MUTED if control else SERIES[number % len(SERIES)]
    markers = MARKERS if group.marker is not None or not control else CONTROL_MARKERS
    number = number if group.marker is None else group.marker
    style: dict[str, Any] = {"facecolors": "white" if control else color, "edgecolors": color, "linewidths": 1.0}
    label, marker = drawable(group.label, LEGEND_CHARACTERS), markers[number % len(markers)]
    axes.scatter(group.x, group.y, s=26, marker=marker, label=label, zorder=2.5 if control else 3, **style)


def _draw_diagonal(axes: Axes) -> None:
    lower = min(axes.get_xlim()[0], axes.get_ylim()[0])
    upper = max(axes.get_xlim()[1], axes.get_ylim()[1])
    axes.set(xlim=(lower, upper), ylim=(lower, upper), aspect="equal")
    axes.plot((lower, upper), (lower, upper), color=MUTED, linewidth=0.9, dashes=(4, 3), label="equal", zorder=1)


def _name_points(figure: Figure, axes: Axes, groups: tuple[PointGroup, ...]) -> int:
    """Write each name at the first of eight places where it covers nothing; return how many found none.

    Points far from the middle come first: they are the ones a text will speak about.
    """
    # Settles the layout, on which positions in dots depend; axes of equal aspect need a second round.
    figure.draw_without_rendering()
    figure.draw_without_rendering()
    fix_layout(figure)
    points = np.concatenate([axes.transData.transform(np.column_stack([group.x, group.y])) for group in groups])
    names = [name for group in groups for name in group.names]
    defined = np.isfinite(points).all(axis=1)
    dot = figure.dpi / 72.0
    taken = [Bbox.from_bounds(x - 3 * dot, y - 3 * dot, 6 * dot, 6 * dot) for x, y in points[defined]]
    distance = np.where(defined, np.hypot(*(points - np.nanmedian(points, axis=0)).T), np.inf)
    left_out = 0
    for index in np.argsort(-distance, kind="stable"):
        if not defined[index] or not names[index]:
            continue
        box = _free_place(axes, points[index], drawable(names[index], 20), dot, taken)
        if box is None:
            left_out += 1
            continue
        taken.append(box)
        x, y = axes.transAxes.inverted().transform((box.x0, box.y0))
        text = drawable(names[index], 20)
        axes.text(x, y, text, transform=axes.transAxes, fontsize=_LABEL_SIZE, va="bottom", in_layout=False, zorder=5)
    return left_out


def _free_place(axes: Axes, point: np.ndarray, text: str, dot: float, taken: list[Bbox]) -> Bbox | None:
    size = np.array([72 * dot * width(text, _LABEL_SIZE), 1.2 * _LABEL_SIZE * dot])
    reach = 5.0 * dot
    for right, up in ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, 1), (1, -1), (-1, -1)):
        away = reach * np.array([right, up]) * (0.8 if right and up else 1.0)
        corner = point + away + size * np.array([(right - 1) / 2, (up - 1) / 2])
        box = Bbox.from_bounds(*corner, *size)
        inside = axes.bbox.x0 <= box.x0 and box.x1 <= axes.bbox.x1 and axes.bbox.y0 <= box.y0 <= box.y1 <= axes.bbox.y1
        if inside and not any(box.overlaps(other) for other in taken):
            return box
    return None


def _axes(inches: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(inches, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure, figure.add_subplot()


def _name_axes(figure: Figure, axes: Axes, x_axis: str, y_axis: str) -> None:
    """The name of y stands level above the axes, where it can be read without turning the head."""
    axes.set_xlabel(wrap_name(figure, x_axis))
    axes.set_title(wrap_name(figure, y_axis), pad=8)
    axes.grid(color=RULE, linewidth=0.5)
    axes.set_axisbelow(True)
    axes.yaxis.set_major_locator(MaxNLocator(nbins=6))
    if figure.get_figwidth() < 5:
        axes.xaxis.set_major_locator(MaxNLocator(nbins=5))


def _draw_zero(axes: Axes) -> None:
    lower, upper = axes.get_ylim()
    if lower < 0.0 < upper:
        axes.axhline(0.0, color=INK, linewidth=0.8, zorder=1.5)
