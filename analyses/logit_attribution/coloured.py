"""A sentence whose tokens are coloured by what they contribute: purple raises the answer, orange raises the foil, white is zero.

Each token is text with its number under it, so that nothing rests on colour alone and a screen reader says both. Background and
ink are set together, which keeps their contrast in light and dark pages.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float

from analyses.logit_attribution.wording import number
from interp.report import readable_ink, shorten, tint, visible

_LONGEST_TOKEN = 24


def token_text(piece: str) -> str:
    """A piece as markup: harmless, isolated from its neighbours, its leading space as a dot."""
    return f"<bdi>{escape(shorten(visible(piece).replace('▁', '·'), _LONGEST_TOKEN))}</bdi>"


def coloured_sentence(pieces: Sequence[str], values: Float[np.ndarray, " token"], strongest: float) -> str:
    """One line of tokens with their contributions.

    Args:
        pieces: the tokens.
        values: their contributions, in logits.
        strongest: the size that gets the full colour; the same for all sentences that are to be compared.
    """
    return f'<p style="line-height:2.9">{"".join(map(_token, pieces, values.tolist(), [strongest] * len(pieces)))}</p>'


def _token(piece: str, value: float, strongest: float) -> str:
    strength = 0.0 if strongest == 0 or np.isnan(value) else abs(float(value)) / strongest
    colour = tint("purple" if value >= 0 else "orange", strength)
    style = f"display:inline-block;line-height:1.2;text-align:center;padding:.15rem .25rem;margin:.06rem;background:{colour}"
    signed = number(float(value)) if value < 0 else f"+{number(float(value))}"
    return f'<span style="{style};color:{readable_ink(colour)}">{token_text(piece)}<br><small>{signed}</small></span>'


def legend(strongest: float) -> str:
    """One line that says what the colours mean."""
    chips = (("orange", 1.0, f"−{number(strongest)}"), ("orange", 0.0, "0"), ("purple", 1.0, f"+{number(strongest)}"))
    words = ("for the foil", "", "for the answer")
    parts = []
    for (hue, strength, text), word in zip(chips, words, strict=True):
        colour = tint(hue, strength)  # type: ignore[arg-type]
        parts.append(
            f'<span style="padding:.1rem .4rem;background:{colour};color:{readable_ink(colour)}">{text}</span> {word} '
        )
    return f"<p><small>logits: {''.join(parts)}</small></p>"
