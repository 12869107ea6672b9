"""How do our objects show themselves in a notebook? As tables and rows of tokens, without style sheets, scripts or addresses."""

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from interp.report.escaping import fill
from interp.report.visible_text import shown_token

_LONGEST_CELL = 80
_TINTS = {
    "prefix": "#e69f0055",
    "content": "#0072b244",
    "function": "#56b4e933",
    "punctuation": "#99999933",
    "eos": "#cc79a755",
    "sentinel": "#009e7344",
}
"""Color of every category of source tokens; the category is also the token's tooltip."""


def table(caption: str, columns: Iterable[object], rows: Iterable[Sequence[object]]) -> Markup:
    """A table; the first cell of every row is its heading.

    Args:
        caption: what the rows are.
        columns: headings.
        rows: cells; numbers are printed with four digits, and what is not defined as a dash.
    """
    cells = [[_text(cell) for cell in row] for row in rows]
    shown = caption.replace("▁", "·")
    return fill("notebook_table.html.jinja", caption=shown, columns=[_text(name) for name in columns], rows=cells)


def tokens(pieces: Sequence[str], notes: Sequence[str] | None = None) -> Markup:
    """Tokens in boxes, in reading order.

    Args:
        pieces: the tokenizer's pieces.
        notes: for every piece what its tooltip says; a category of source tokens also tints it.
    """
    notes = notes or [""] * len(pieces)
    boxes = [
        (_text(piece), _text(note), _TINTS.get(note, "transparent")) for piece, note in zip(pieces, notes, strict=True)
    ]
    return fill("notebook_tokens.html.jinja", boxes=boxes)


def lines(pairs: Iterable[tuple[str, str]]) -> Markup:
    """Lines of text or markup, each behind a word that says what it is.

    Args:
        pairs: the word, and what stands behind it: text, unless it is `Markup`.
    """
    return fill("notebook_lines.html.jinja", pairs=list(pairs))


def _text(value: object) -> str:
    if isinstance(value, float):
        return "–" if math.isnan(value) else f"{value:.4g}"
    return shown_token(str(value), _LONGEST_CELL)
