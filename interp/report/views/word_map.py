"""A map of words that names its points under the pointer: one SVG of plain markup, without script and without network.

Every point is a marker and a line of text; the line shows under the map while the pointer or the keyboard is on the marker.
"""

from dataclasses import dataclass

import numpy as np
from markupsafe import Markup

from interp.report.escaping import fill
from interp.report.palette import SERIES
from interp.report.visible_text import visible

_WIDTH, _HEIGHT, _MARGIN, _LINE = 760.0, 520.0, 26.0, 30.0
_GRAY = "#7a828a"


@dataclass(frozen=True, slots=True)
class MapPoint:
    """One point of the map.

    Attributes:
        x: horizontal position.
        y: vertical position, upwards.
        detail: what is said while it is pointed at; begins with its name.
        group: number of its group, which decides color and shape; None for a gray background point.
    """

    x: float
    y: float
    detail: str
    group: int | None


def map_view(points: tuple[MapPoint, ...], groups: tuple[str, ...], description: str) -> Markup:
    """The map as a fragment for `interp.report.View`.

    Args:
        points: the points; later ones are drawn over earlier ones.
        groups: names of the groups, for the legend.
        description: what is to be seen, for those who do not see it.

    Raises:
        ValueError: without points.
    """
    if not points:
        raise ValueError("A map needs at least one point.")
    places = _places(points)
    starts = np.cumsum([12.0] + [34.0 + 7.5 * len(visible(name)) for name in groups])
    return fill(
        "word_map.html.jinja",
        description=description,
        width=f"{_WIDTH:.0f}",
        height=f"{_HEIGHT + _LINE:.0f}",
        foot=f"{_HEIGHT + _LINE / 2:.0f}",
        legend=[
            (_marker(number, x, 14.0), f"{x + 10:.0f}", name)
            for number, (x, name) in enumerate(zip(starts.tolist(), groups, strict=False))
        ],
        points=[(_marker(point.group, x, y), point.detail) for point, (x, y) in zip(points, places, strict=True)],
    )


def _places(points: tuple[MapPoint, ...]) -> np.ndarray:
    """Positions on the sheet; both axes have one scale, so that distances can be compared."""
    xy = np.array([[point.x, -point.y] for point in points])
    low, high = xy.min(axis=0), xy.max(axis=0)
    reach = np.where(high > low, high - low, 1.0)
    room = np.array([_WIDTH - 2 * _MARGIN, _HEIGHT - 3 * _MARGIN])
    scale = (room / reach).min()
    offset = np.array([_MARGIN, 2 * _MARGIN]) + (room - scale * (high - low)) / 2
    places: np.ndarray = offset + scale * (xy - low)
    return places


def _marker(group: int | None, x: float, y: float) -> dict[str, object]:
    """Shape, place and color: squares for odd groups, circles for even ones, small circles for the background."""
    color = _GRAY if group is None else SERIES[group % len(SERIES)]
    if group is not None and group % 2:
        return {"square": True, "x": f"{x - 4.5:.1f}", "y": f"{y - 4.5:.1f}", "color": color}
    return {"square": False, "x": f"{x:.1f}", "y": f"{y:.1f}", "radius": 3 if group is None else 5, "color": color}
