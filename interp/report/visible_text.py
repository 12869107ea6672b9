"""How is a piece of foreign text shown without harm or loss?

Tokens may hold line breaks, characters of no width, or characters that turn the direction of everything
after them. Such characters are named ("[U+200B]") or drawn ("↵") instead of being obeyed, so that two different
tokens never look the same and none disturbs its neighbors (Unicode UAX #9, section 4.3, recommends isolation;
the page template adds it).
"""

import unicodedata

_SYMBOLS = {"\n": "↵", "\t": "⇥", "\r": "␍", "\x7f": "␡"}
_JOINERS = "\u200c\u200d"  # ordinary spelling in Persian, Hindi and emoji when they stand between letters


def visible(text: str) -> str:
    """A text in which every character that would be obeyed rather than seen is replaced by a visible sign for it.

    Args:
        text: any text, also with lone surrogates.

    Returns:
        The same text with control characters, line separators and format characters (zero width, direction)
        spelled out; joiners between two visible characters stay, because they belong to the spelling.
    """
    if text.isprintable():  # most texts are, and Python knows it far faster
        return text
    return "".join(_visible_character(text, position) for position in range(len(text)))


def visible_lines(text: str) -> str:
    """A text for a terminal or a file: line breaks and tabs stay, everything else that would be obeyed is spelled out.

    Args:
        text: any text, also with lone surrogates.
    """
    return "\n".join("\t".join(map(visible, line.split("\t"))) for line in text.split("\n"))


def _visible_character(text: str, position: int) -> str:
    character = text[position]
    if character.isascii() and character.isprintable():
        return character
    if character in _SYMBOLS:
        return _SYMBOLS[character]
    if character in _JOINERS and _between_visible(text, position):
        return character
    category = unicodedata.category(character)
    if category == "Cc" and ord(character) < 0x20:
        return chr(0x2400 + ord(character))
    if category in {"Cc", "Cf", "Cs", "Cn", "Zl", "Zp"}:
        return f"[U+{ord(character):04X}]"
    return character


def _between_visible(text: str, position: int) -> bool:
    neighbors = text[max(position - 1, 0) : position + 2]
    return len(neighbors) == 3 and all(
        unicodedata.category(neighbor)[0] in "LMNPS" for neighbor in (neighbors[0], neighbors[2])
    )


def shorten(text: str, limit: int) -> str:
    """The first `limit` characters of a text, the last of which is an ellipsis if the text is longer.

    Args:
        text: any text.
        limit: most characters of the result.

    Raises:
        ValueError: if `limit` is below 2.
    """
    if limit < 2:
        raise ValueError(f"A shortened text needs room for at least 2 characters, got a limit of {limit}.")
    return text if len(text) <= limit else text[: limit - 1] + "…"


def shown_token(piece: str, limit: int = 13) -> str:
    """A tokenizer's piece as pictures and tables show it: a dot for the space, nothing invisible, at most `limit` characters.

    Args:
        piece: the piece.
        limit: most characters of the result.
    """
    return shorten(visible(piece.replace("▁", "·")), limit)
