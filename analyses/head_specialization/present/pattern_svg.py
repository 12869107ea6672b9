"""A head's attention on one prompt as a small picture: with its tokens as SVG, or without them as a thumbnail.

Both are far cheaper than a figure. Tokens stand in the SVG as escaped text; weights below one in fifty are not drawn.
"""

import base64
import io
from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float
from PIL import Image

from interp.report import Hue, shorten, tint, visible

_CELL = 17
_LETTER = 6.3  # mean width of a letter at the size of the labels
_LONGEST = 13
_FAINTEST = 0.02
_NAMED = 0.05
_INK, _GRID = "#1b1f24", "#e3e7ea"


def shown_token(piece: str) -> str:
    """A piece as figures show it: a dot for the space, invisible characters named, long ones cut."""
    return shorten(visible(piece.replace("▁", "·")), _LONGEST)


def pattern_svg(
    pattern: Float[np.ndarray, "query key"], queries: Sequence[str], keys: Sequence[str], hue: Hue, label: str
) -> str:
    """Rows attend to columns; the darker, the larger the weight, and its number in a tooltip.

    Args:
        pattern: the weights.
        queries: tokens of the rows.
        keys: tokens of the columns.
        hue: the colour.
        label: what the picture shows, for those who do not see it.
    """
    rows, columns = ([shown_token(piece) for piece in pieces] for pieces in (queries, keys))
    left = round(max(map(len, rows)) * _LETTER) + 6
    top = round(max(map(len, columns)) * _LETTER) + 6
    wide, tall = len(columns) * _CELL, len(rows) * _CELL
    parts = [
        f'<svg role="img" aria-label="{escape(label)}" viewBox="0 0 {left + wide + 2} {top + tall + 2}" '
        f'width="{left + wide + 2}" height="{top + tall + 2}" font-size="10.5" fill="{_INK}" '
        'style="background:#fff;max-width:100%;height:auto" font-family="system-ui,sans-serif">',
        f'<path d="{_grid(left, top, len(rows), len(columns))}" stroke="{_GRID}"/>',
        *(
            f'<text x="{left - 4}" y="{top + (row + 0.72) * _CELL:g}" text-anchor="end">{escape(name)}</text>'
            for row, name in enumerate(rows)
        ),
        *(
            f'<text transform="translate({left + (column + 0.72) * _CELL:g} {top - 4}) rotate(-90)">{escape(name)}</text>'
            for column, name in enumerate(columns)
        ),
    ]
    for row, column in np.argwhere(pattern >= _FAINTEST):
        weight = float(pattern[row, column])
        place = f'x="{left + column * _CELL}" y="{top + row * _CELL}"'
        title = (
            f"<title>{escape(rows[row])} → {escape(columns[column])}: {weight:.2f}</title>" if weight >= _NAMED else ""
        )
        parts.append(f'<rect {place} width="{_CELL}" height="{_CELL}" fill="{tint(hue, weight)}">{title}</rect>')
    return "".join([*parts, "</svg>"])


def _grid(left: int, top: int, rows: int, columns: int) -> str:
    """The lines between cells as one path."""
    across = "".join(f"M{left} {top + row * _CELL}h{columns * _CELL}" for row in range(rows + 1))
    down = "".join(f"M{left + column * _CELL} {top}v{rows * _CELL}" for column in range(columns + 1))
    return across + down


def thumbnail(pattern: Float[np.ndarray, "query key"]) -> str:
    """The weights as a picture of one grey pixel each, black for 1, as a data address."""
    buffer = io.BytesIO()
    Image.fromarray((255 * (1.0 - np.clip(pattern, 0.0, 1.0))).round().astype(np.uint8)).save(buffer, format="png")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}"


def strongest_link(pattern: Float[np.ndarray, "query key"], queries: Sequence[str], keys: Sequence[str]) -> str:
    """The largest weight in words."""
    row, column = (int(place) for place in np.unravel_index(int(pattern.argmax()), pattern.shape))
    return f"{shown_token(queries[row])!r} to {shown_token(keys[column])!r} {pattern[row, column]:.2f}"
