"""A map of words that names its points under the pointer: one SVG of plain markup, without script and without network.

Every point is a marker and a line of text; the line shows under the map while the pointer or the keyboard is on the
marker. All text is escaped, and control characters are drawn instead of being obeyed.
"""

from dataclasses import dataclass

import numpy as np
from markupsafe import escape

from interp.report import visible

_WIDTH, _HEIGHT, _MARGIN, _LINE = 760.0, 520.0, 26.0, 30.0
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00")
_GREY = "#7a828a"

_STYLE = """
.wordmap{max-width:100%;height:auto;font:13px system-ui,sans-serif;background:#fff}
.wordmap text{fill:#1b1f24;paint-order:stroke;stroke:#fff;stroke-width:4px;stroke-linejoin:round}
.wordmap .detail{opacity:0;pointer-events:none}
.wordmap g:hover .detail,.wordmap g:focus .detail{opacity:1}
.wordmap g:hover .mark,.wordmap g:focus .mark{stroke:#1b1f24;stroke-width:2}
.wordmap g{outline:none}
""".strip()


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the map.

    Attributes:
        x: horizontal position.
        y: vertical position, upwards.
        detail: what is said while it is pointed at; begins with its name.
        group: number of its group, which decides colour and shape; None for a grey background point.
    """

    x: float
    y: float
    detail: str
    group: int | None


def hover_map(points: tuple[Point, ...], groups: tuple[str, ...], description: str) -> str:
    """The map as a fragment of HTML.

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
    marks = "".join(_mark(point, x, y) for point, (x, y) in zip(points, places, strict=True))
    return (
        f"<style>{_STYLE}</style>"
        f'<svg class="wordmap" viewBox="0 0 {_WIDTH:.0f} {_HEIGHT + _LINE:.0f}" role="img" aria-label="{escape(description)}">'
        f"{_legend(groups)}{marks}</svg>"
    )


def _places(points: tuple[Point, ...]) -> np.ndarray:
    """Positions on the sheet; both axes have one scale, so that distances can be compared."""
    xy = np.array([[point.x, -point.y] for point in points])
    low, high = xy.min(axis=0), xy.max(axis=0)
    reach = np.where(high > low, high - low, 1.0)
    room = np.array([_WIDTH - 2 * _MARGIN, _HEIGHT - 3 * _MARGIN])
    scale = (room / reach).min()
    offset = np.array([_MARGIN, 2 * _MARGIN]) + (room - scale * (high - low)) / 2
    places: np.ndarray = offset + scale * (xy - low)
    return places


def _legend(groups: tuple[str, ...]) -> str:
    """One line of groups above the map."""
    entries, x = "", 12.0
    for number, group in enumerate(groups):
        name = visible(group)
        entries += _shape(number, x, 14.0) + f'<text x="{x + 10:.0f}" y="18">{escape(name)}</text>'
        x += 34.0 + 7.5 * len(name)
    return entries


def _shape(group: int | None, x: float, y: float) -> str:
    colour = _GREY if group is None else _COLOURS[group % len(_COLOURS)]
    if group is not None and group % 2:
        return f'<rect class="mark" x="{x - 4.5:.1f}" y="{y - 4.5:.1f}" width="9" height="9" fill="{colour}"/>'
    return f'<circle class="mark" cx="{x:.1f}" cy="{y:.1f}" r="{3 if group is None else 5}" fill="{colour}"/>'


def _mark(point: Point, x: float, y: float) -> str:
    detail = f'<text class="detail" x="8" y="{_HEIGHT + _LINE / 2:.0f}">{escape(visible(point.detail))}</text>'
    return f'<g tabindex="0">{_shape(point.group, x, y)}{detail}</g>'
