"""Which hues stand for categories, and how light is a strength?

Six hues of Okabe and Ito 2008, without their black and their yellow, which is too faint on white, so that one category has one
color in every figure, table and card of a report. At full strength any two of them lie at least 16 CIELAB units apart for
readers with normal, protan, deutan and tritan vision (simulated after Machado et al. 2009). A strength from 0 to 1 is the way
from almost white to the full hue, the same way for every hue, so lightness alone orders cells.
"""

from types import MappingProxyType
from typing import Literal

Hue = Literal["blue", "orange", "green", "purple", "gold", "sky", "gray"]

HUES: MappingProxyType[Hue, str] = MappingProxyType({
    "blue": "#0072B2",
    "orange": "#D55E00",
    "green": "#009E73",
    "purple": "#CC79A7",
    "gold": "#E69F00",
    "sky": "#56B4E9",
    "gray": "#8A939C",
})
"""Hue -> its color at full strength; gray is for "no category"."""

SERIES = tuple(HUES[hue] for hue in ("blue", "orange", "green", "purple", "sky", "gold"))
"""Colors of lines and groups that have no hue of their own, in order."""

_PALE = (244, 246, 247)
_FAINTEST = 0.08
# Pure black, because only then one of the two inks reaches 4.5 to 1 on every background (4.58 where they are equal).
_DARK, _WHITE = "#000000", "#ffffff"
_EQUAL_CONTRAST = 0.179  # luminance of a background that contrasts equally with both inks


def tint(hue: Hue, strength: float) -> str:
    """The color of a cell as `#rrggbb`.

    Args:
        hue: its category's.
        strength: from 0 (almost white, but with a trace of the hue) to 1; values beyond are clipped.
    """
    share = _FAINTEST + (1.0 - _FAINTEST) * min(max(strength, 0.0), 1.0)
    mixed = (round(pale + share * (full - pale)) for pale, full in zip(_PALE, _channels(HUES[hue]), strict=True))
    return "#" + "".join(f"{channel:02x}" for channel in mixed)


def readable_ink(color: str) -> str:
    """Dark or white, whichever contrasts more with a color (WCAG 2.2 relative luminance).

    Args:
        color: `#rrggbb`.
    """
    return _DARK if luminance(color) > _EQUAL_CONTRAST else _WHITE


def luminance(color: str) -> float:
    """Relative luminance, from 0 for black to 1 for white (WCAG 2.2).

    Args:
        color: `#rrggbb`.
    """
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in (channel / 255 for channel in _channels(color))
    ]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _channels(color: str) -> tuple[int, int, int]:
    return int(color[1:3], 16), int(color[3:5], 16), int(color[5:7], 16)
