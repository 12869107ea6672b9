"""Half surrogate pairs: what Python makes of bytes that were no UTF-8, and of broken escapes; no tokenizer takes them."""

import re

from interp.errors import InputError

_HALF = re.compile("[\ud800-\udfff]")


def check_surrogates(text: str) -> None:
    """Nothing; a text with half a surrogate pair is refused.

    Args:
        text: any text.

    Raises:
        InputError: if it holds one.
    """
    if half := _HALF.search(text):
        raise InputError(
            f"The text {text[:60]!r} holds half a surrogate pair ({half[0]!r}), which stands for no character: mostly a byte "
            "that was no UTF-8; give UTF-8 text."
        )
