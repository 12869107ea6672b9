import pytest

from interp.report import shorten, visible


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 中 </s>", "plain é 中 </s>"),
        ("a\nb\tc\rd", "a↵b⇥c␍d"),
        ("\x00\x1b\x7f\x85", "␀␛␡[U+0085]"),
        ("\u202eabc\u2066", "[U+202E]abc[U+2066]"),
        ("a\u200bb\ufeff", "a[U+200B]b[U+FEFF]"),
        ("\u2028\u2029", "[U+2028][U+2029]"),
        ("\ud800", "[U+D800]"),
        ("نمی\u200cخواهم", "نمی\u200cخواهم"),
        ("👩\u200d💻", "👩\u200d💻"),
        ("\u200d", "[U+200D]"),
        ("a\u200c\u200db", "a[U+200C][U+200D]b"),
    ],
)
def test_what_would_be_obeyed_is_shown(text, shown):
    assert visible(text) == shown


def test_texts_are_shortened_to_their_limit():
    assert shorten("abcdef", 6) == "abcdef"
    assert shorten("abcdefg", 6) == "abcde…"
    with pytest.raises(ValueError, match="at least 2 characters, got a limit of 1"):
        shorten("abc", 1)
