"""A sentence coloured by what its tokens contribute: purple raises the answer, orange raises the foil, pale grey is zero.

Each token is text with its number under it, so that nothing rests on colour alone and a screen reader says both. Background and
ink are set together, which keeps their contrast in light and dark pages.
"""

from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float

from interp.report import readable_ink, shorten, tint, visible

_LONGEST_TOKEN = 24
_NEUTRAL, _FAINT = "#f4f6f7", 0.01
"""The colour of zero, and the share of the strongest contribution below which a token has it."""


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
    tokens = "".join(_token(piece, value, strongest) for piece, value in zip(pieces, values.tolist(), strict=True))
    return f'<p style="line-height:2.9;max-width:none">{tokens}</p>'


def signed(value: float) -> str:
    """A contribution with two decimals and its sign; what rounds to zero has none."""
    rounded = round(value, 2)
    return f"{rounded:+.2f}" if rounded else "0.00"


def _token(piece: str, value: float, strongest: float) -> str:
    strength = 0.0 if strongest == 0 else abs(value) / strongest
    colour = _NEUTRAL if strength < _FAINT else tint("purple" if value > 0 else "orange", strength)
    style = f"display:inline-block;line-height:1.2;text-align:center;padding:.15rem .25rem;margin:.06rem;background:{colour}"
    return f'<span style="{style};color:{readable_ink(colour)}">{token_text(piece)}<br><small>{signed(value)}</small></span>'


def legend(strongest: float) -> str:
    """One line that says what the colours mean."""
    chips = (
        (tint("orange", 1.0), signed(-strongest), "for the foil"),
        (_NEUTRAL, "0", ""),
        (tint("purple", 1.0), signed(strongest), "for the answer"),
    )
    parts = [
        f'<span style="padding:.1rem .4rem;background:{colour};color:{readable_ink(colour)}">{text}</span> {word} '
        for colour, text, word in chips
    ]
    return f"<p><small>logits: {''.join(parts)}</small></p>"
