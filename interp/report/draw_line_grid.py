"""How are small line charts on the same axes drawn? As many side by side as stay legible, with one legend below."""

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.ticker import MaxNLocator

from interp.report.charts import LineGrid, Series
from interp.report.fonts import INK, RULE, drawable
from interp.report.plot_parts import add_legend, draw_series, wrap_name

_NARROWEST = 1.6  # inches of a panel
_MOST = 4  # panels side by side
_ROW = 1.55
_NAME = 0.22  # height of the name of x


def draw_line_grid(grid: LineGrid, inches: float) -> Figure:
    """Small multiples with their legend.

    Args:
        grid: the panels.
        inches: width of the figure.
    """
    beside = max(1, min(_MOST, int(inches / _NARROWEST), len(grid.panels)))
    rows = -(-len(grid.panels) // beside)
    figure = Figure(figsize=(inches, _ROW * rows + _NAME + 0.3), layout="constrained")
    places = figure.subplots(rows, beside, sharex=True, sharey=True, squeeze=False).ravel().tolist()
    numbers = _numbers_of_labels(grid)
    for place, axes in enumerate(places):
        if place < len(grid.panels):
            _draw_panel(axes, *grid.panels[place], numbers)
        else:
            axes.set_axis_off()
            places[place - beside].tick_params(labelbottom=True)
    figure.suptitle(wrap_name(figure, grid.y_axis), fontsize=9.0, color=INK, x=0.005, ha="left")
    name = wrap_name(figure, grid.x_axis)
    legend = add_legend(figure, places)
    _name_below(figure, name, legend)
    return figure


def _name_below(figure: Figure, text: str, legend: float) -> None:
    """The name of x, between the panels and a legend of some inches."""
    height, layout = figure.get_figheight(), figure.get_layout_engine()
    assert isinstance(layout, ConstrainedLayoutEngine)
    share = (legend + _NAME + 0.15 * text.count("\n")) / height
    layout.set(rect=(0.0, share, 1.0, 1.0 - share))
    figure.text(0.5, (legend + 0.03) / height, text, fontsize=9.0, color=INK, ha="center", va="bottom")


def _numbers_of_labels(grid: LineGrid) -> dict[str, int]:
    """Label -> which of its style it is."""
    found: dict[str, dict[str, int]] = {"model": {}, "control": {}}
    for _, lines in grid.panels:
        for line in lines:
            found[line.style].setdefault(line.label, len(found[line.style]))
    return found["control"] | found["model"]


def _draw_panel(axes: Axes, title: str, lines: tuple[Series, ...], numbers: dict[str, int]) -> None:
    for line in lines:
        draw_series(axes, line, numbers[line.label], size=2.5)
    axes.set_title(drawable(title, 20), fontsize=8.5, pad=3)
    axes.grid(color=RULE, linewidth=0.4)
    axes.set_axisbelow(True)
    axes.xaxis.set_major_locator(MaxNLocator(nbins=2, steps=[1, 5, 10]))
    axes.yaxis.set_major_locator(MaxNLocator(nbins=4))
