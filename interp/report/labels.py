"""How is a piece of foreign text shown without harm or loss?

Tokens may hold line breaks, characters of no width, or characters that turn the direction of everything
after them. Such characters are named ("[U+200B]") or drawn ("↵") instead of being obeyed, so that two different
tokens never look the same and none disturbs its neighbours (Unicode UAX #9, section 4.3, recommends isolation;
the page template adds it).
"""

import unicodedata

_SYMBOLS = {"\n": "↵", "\t": "⇥", "\r": "␍", "\x7f": "␡"}
_JOINERS = "\u200c\u200d"  # ordinary spelling in Persian, Hindi and emoji when they stand between letters


def visible(text: str) -> str:
    """Replace every character that would be obeyed rather than seen by a visible sign for it.

    Args:
        text: any text, also with lone surrogates.

    Returns:
        The same text with control characters, line separators and format characters (zero width, direction)
        spelled out; joiners between two visible characters stay, because they belong to the spelling.
    """
    return "".join(_visible_character(text, position) for position in range(len(text)))


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
    neighbours = text[max(position - 1, 0) : position + 2]
    return len(neighbours) == 3 and all(
        unicodedata.category(neighbour)[0] in "LMNPS" for neighbour in (neighbours[0], neighbours[2])
    )


def shorten(text: str, limit: int) -> str:
    """Cut a text to `limit` characters, the last of which is then an ellipsis.

    Raises:
        ValueError: if `limit` is below 2.
    """
    if limit < 2:
        raise ValueError(f"A shortened text needs room for at least 2 characters, got a limit of {limit}.")
    return text if len(text) <= limit else text[: limit - 1] + "…"
