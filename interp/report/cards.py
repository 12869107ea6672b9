"""How does a card become markup? Colors, places and pictures of its parts are worked out here, and printed by a template."""

import base64
import io
from collections.abc import Iterator

import numpy as np
from markupsafe import Markup, escape
from PIL import Image

from interp.report.blocks import Card
from interp.report.card_parts import PatternPicture, StripLegend, Thumbnail, Token, TokenStrip
from interp.report.escaping import fill
from interp.report.numbers import fixed, signed
from interp.report.palette import readable_ink, tint
from interp.report.visible_text import shown_token, visible

_CELL = 17  # pixels
_LETTER = 6.3  # mean width of a letter at the size of the labels
_FAINTEST, _NAMED = 0.02, 0.05  # weights that are drawn, and that have a tooltip
_NEUTRAL, _FAINT = "#f4f6f7", 0.01
"""The color of zero, and the share of the strongest value below which a token has it."""

_SIDE = 112


def card_html(card: Card) -> Markup:
    """The parts of a card, in order.

    Args:
        card: the card.
    """
    return fill(
        "card.html.jinja",
        parts=card.parts,
        strip_tokens=_strip_tokens,
        legend_colors=_legend_colors,
        pattern=_pattern,
        thumbnail=_thumbnail,
    )


def _strip_tokens(strip: TokenStrip) -> Iterator[tuple[Token, str, str, str]]:
    """Every token with its background, its ink and its number."""
    for piece, value in zip(strip.pieces, strip.values.tolist(), strict=True):
        strength = 0.0 if strip.strongest == 0 else abs(value) / strip.strongest
        color = _NEUTRAL if strength < _FAINT else tint("purple" if value > 0 else "orange", strength)
        yield Token(piece), color, readable_ink(color), signed(value)


def _legend_colors(legend: StripLegend) -> Iterator[tuple[str, str, str, str]]:
    """Background, ink, number and word of the two ends and the middle."""
    for color, value, word in (
        (tint("orange", 1.0), signed(-legend.strongest), legend.below),
        (_NEUTRAL, "0", ""),
        (tint("purple", 1.0), signed(legend.strongest), legend.above),
    ):
        yield color, readable_ink(color), value, word


def _pattern(picture: PatternPicture) -> dict[str, object]:
    """Sizes in pixels, the grid as one path, and every label and cell with its place."""
    weights = picture.weights
    rows, columns = ([shown_token(piece) for piece in pieces] for pieces in (picture.queries, picture.keys))
    first, second = np.unravel_index(int(weights.argmax()), weights.shape)
    strongest = f"{rows[first]!r} to {columns[second]!r} {fixed(weights[first, second])}"
    left, top = (round(max(map(len, names)) * _LETTER) + 6 for names in (rows, columns))
    across = "".join(f"M{left} {top + row * _CELL}h{len(columns) * _CELL}" for row in range(len(rows) + 1))
    down = "".join(f"M{left + column * _CELL} {top}v{len(rows) * _CELL}" for column in range(len(columns) + 1))
    return {
        "label": f"{picture.label}; its largest weight is from {strongest}",
        "width": left + len(columns) * _CELL + 2,
        "height": top + len(rows) * _CELL + 2,
        "grid": across + down,
        "rows": [(left - 4, f"{top + (row + 0.72) * _CELL:g}", name) for row, name in enumerate(rows)],
        "columns": [(f"{left + (column + 0.72) * _CELL:g}", top - 4, name) for column, name in enumerate(columns)],
        "cells": _cells(picture, rows, columns, left, top),
    }


def _cells(picture: PatternPicture, rows: list[str], columns: list[str], left: int, top: int) -> Markup:
    """One square for every weight that is seen: pages have thousands, so they are joined here and their names escaped once."""
    weights, size = picture.weights, f'width="{_CELL}" height="{_CELL}"'
    queries, keys = ([str(escape(visible(name))) for name in names] for names in (rows, columns))
    places = np.argwhere(weights >= _FAINTEST)
    squares = []
    for (row, column), weight in zip(places.tolist(), weights[tuple(places.T)].tolist(), strict=True):
        named = f"<title>{queries[row]} → {keys[column]}: {fixed(weight)}</title>" if weight >= _NAMED else ""
        place = f'x="{left + column * _CELL}" y="{top + row * _CELL}"'
        squares.append(f'<rect {place} {size} fill="{tint(picture.hue, weight)}">{named}</rect>')
    return Markup("".join(squares))


def _thumbnail(picture: Thumbnail) -> dict[str, object]:
    """A data address, and the size in pixels."""
    buffer = io.BytesIO()
    gray = (255 * (1.0 - np.clip(picture.weights, 0.0, 1.0))).round().astype(np.uint8)
    Image.fromarray(gray).save(buffer, format="png")
    rows, columns = picture.weights.shape
    return {
        "address": f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode('ascii')}",
        "width": _SIDE,
        "height": round(_SIDE * min(max(rows / columns, 0.4), 1.6)),
    }
