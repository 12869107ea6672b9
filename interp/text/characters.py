"""Characters that are no text: half surrogate pairs, which Python makes of bytes that were no UTF-8, and the NUL."""

import re

from interp.errors import InputError

NO_TEXT = re.compile("[\0\ud800-\udfff]")
"""JSON escapes and broken bytes can spell these, but no tokenizer and no UTF-8 file can take them."""


def check_characters(text: str) -> None:
    """Nothing; a text with a character that is none is refused, as in files of prompts.

    Args:
        text: any text.

    Raises:
        InputError: if it holds a NUL or half a surrogate pair.
    """
    if (found := NO_TEXT.search(text)) is None:
        return
    if found[0] == "\0":
        raise InputError(f"The text {text[:60]!r} holds a NUL, which stands for no character; remove it.")
    raise InputError(
        f"The text {text[:60]!r} holds half a surrogate pair ({found[0]!r}), which stands for no character: mostly a byte "
        "that was no UTF-8; give UTF-8 text."
    )
