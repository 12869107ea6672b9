"""Where the axes of a figure lie, found once and the same in every run.

The solver behind matplotlib's constrained layout adds numbers in the order of their addresses in memory, so that places differ in
their last bits from one drawing of a figure to the next. That reaches the file: clip paths are named by a hash of their places,
and a coordinate can fall on either side of a rounding. Rounded places do neither.
"""

import numpy as np
from matplotlib.figure import Figure

_PLACES = 6
"""Decimals of a figure's width or height: a thousandth of a dot."""
_SVG_DPI = 72.0


def settle_layout(figure: Figure) -> None:
    """Lay a figure out for good, as it would be in a vector file.

    Args:
        figure: the figure; one without a layout engine stays as it is.
    """
    engine = figure.get_layout_engine()
    if engine is None:
        return
    before = figure.dpi
    figure.set_dpi(_SVG_DPI)
    for _ in range(2):  # sizes of labels depend on those of axes
        engine.execute(figure)
    figure.set_dpi(before)
    fix_layout(figure)


def fix_layout(figure: Figure) -> None:
    """Keep the places of the axes that a layout found, rounded.

    Args:
        figure: the figure, laid out.
    """
    figure.set_layout_engine("none")
    for axes in figure.axes:
        x, y, width, height = np.round(axes.get_position(original=True).bounds, _PLACES)
        axes.set_position((x, y, width, height))
        axes.apply_aspect()
