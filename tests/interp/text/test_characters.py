"""Characters that are no text are refused by name."""

import pytest

from interp.errors import InputError
from interp.text.characters import check_characters


@pytest.mark.parametrize(("text", "what"), [("a\0", "holds a NUL"), ("\udcffa", "holds half a surrogate pair")])
def test_no_text(text: str, what: str) -> None:
    with pytest.raises(InputError, match=what):
        check_characters(text)


@pytest.mark.parametrize("text", ["", "text", "\N{GRINNING FACE}", "\x01"])
def test_any_text(text: str) -> None:
    check_characters(text)
