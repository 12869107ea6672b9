"""Which letters can a figure draw, and how wide are they?

Figures use DejaVu Sans, which matplotlib carries with it, as outlines: the same picture on every machine. A
character the font lacks is named by its code point instead of being drawn as an empty box. Widths are measured
before anything is placed, because layout by guess is how labels come to overlap.
"""

from functools import cache, lru_cache
from typing import Any

from matplotlib import font_manager, rc_params_from_file
from matplotlib.backends.backend_agg import RendererAgg
from matplotlib.font_manager import FontProperties

from interp.report.escaping import TEMPLATES
from interp.report.visible_text import shorten, visible

FAMILY = "DejaVu Sans"
INK = "#1b1f24"
MUTED = "#5c6670"
RULE = "#c9d0d7"

_settings: Any = rc_params_from_file(TEMPLATES / "figures.mplstyle", use_default_template=False)
STYLE: dict[str, Any] = dict(_settings)

_DOTS_PER_INCH = 720.0  # fine enough that rounding to whole dots does not widen small letters


def drawable(text: str, limit: int = 28) -> str:
    """A label as a figure can draw it: no invisible characters, no missing glyphs.

    Args:
        text: the label.
        limit: most characters.
    """
    characters = _charmap()
    named = (
        character if ord(character) in characters else f"[U+{ord(character):04X}]"
        for character in visible(text[: 4 * limit])
    )
    return shorten("".join(named), limit)


def label_characters(inches: float) -> int:
    """How many characters a label beside an axis may have, so that room for the data is left.

    Args:
        inches: width of the figure.
    """
    return 28 if inches > 5 else 14


@lru_cache(maxsize=20_000)
def width(text: str, size: float, weight: str = "normal") -> float:
    """Width of one line of text in inches.

    Args:
        text: the line.
        size: of the font, in points.
        weight: of the font.
    """
    properties = FontProperties(family=[FAMILY], size=size, weight=weight)
    dots, _, _ = _renderer().get_text_width_height_descent(text, properties, ismath=False)
    return float(dots) / _DOTS_PER_INCH


def widest(texts: tuple[str, ...], size: float) -> float:
    """Width in inches of the widest of some texts; 0 without texts.

    Args:
        texts: lines of text.
        size: of the font, in points.
    """
    return max((width(text, size) for text in set(texts)), default=0.0)


@cache
def _charmap() -> frozenset[int]:
    path = font_manager.findfont(FontProperties(family=[FAMILY]), fallback_to_default=False)
    return frozenset(font_manager.get_font(path).get_charmap())


@cache
def _renderer() -> RendererAgg:
    return RendererAgg(1, 1, _DOTS_PER_INCH)
