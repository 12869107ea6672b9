"""Displays: how do our objects show themselves in a notebook?

A few pieces of escaped HTML without style sheets, scripts or addresses: tables, and rows of tokens. They are small whatever
they show, and characters that would be obeyed rather than seen are spelled out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import asdict
from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_LONGEST_CELL = 80
_CELL = "text-align:left;padding:.15em .8em .15em 0"
_TOKEN = "display:inline-block;padding:0 .3em;margin:1px;border:1px solid #8886;border-radius:3px"

_TINTS = {
    "prefix": "#e69f0055",
    "content": "#0072b244",
    "function": "#56b4e933",
    "punctuation": "#99999933",
    "eos": "#cc79a755",
    "sentinel": "#009e7344",
}
"""Colour of every category of source tokens; the category is also the token's tooltip."""


def table(caption: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; the first cell of every row is its heading.

    Args:
        caption: what the rows are.
        columns: headings.
        rows: cells; numbers are printed with four digits.
    """
    head = "".join(f'<th scope="col" style="{_CELL}">{_text(column)}</th>' for column in columns)
    body = "".join(f"<tr>{''.join(_cells(row))}</tr>" for row in rows)
    return (
        f'<table style="border-collapse:collapse"><caption style="text-align:left">{_text(caption, None)}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    )


def facts(caption: str, thing: "DataclassInstance") -> str:
    """The fields of a dataclass, as a table."""
    return table(caption, ("fact", "value"), asdict(thing).items())


def _cells(row: Sequence[object]) -> list[str]:
    first, *rest = row
    return [f'<th scope="row" style="{_CELL}">{_text(first)}</th>'] + [
        f'<td style="{_CELL}">{_text(cell)}</td>' for cell in rest
    ]


def tokens(pieces: Sequence[str], notes: Sequence[str] | None = None) -> str:
    """Tokens in boxes, in reading order.

    Args:
        pieces: the tokenizer's pieces.
        notes: for every piece what its tooltip says; a category of source tokens also tints it.
    """
    notes = notes or [""] * len(pieces)
    return "".join(
        f'<span title="{_text(note)}" style="{_TOKEN};background:{_TINTS.get(note, "transparent")}">{_text(piece)}</span>'
        for piece, note in zip(pieces, notes, strict=True)
    )


def lines(pairs: Iterable[tuple[str, str]]) -> str:
    """Lines of ready markup, each behind a word that says what it is."""
    return "".join(f"<div><small>{_text(name)}</small> {markup}</div>" for name, markup in pairs)


def _text(value: object, limit: int | None = _LONGEST_CELL) -> str:
    from interp.report.labels import shorten, visible  # with the library of figures, which a model does not need

    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    shown = visible(text).replace("▁", "·")
    return escape(shown if limit is None else shorten(shown, limit))
