"""Words, task prefixes and categories, by character offsets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.text.words import CONTENT, FUNCTION, NO_WORD, PREFIX, PUNCTUATION, Words, categorize, task_prefix


def test_words_keep_inner_apostrophes_and_hyphens_and_split_marks() -> None:
    words = Words.of("The dog's well-known, isn’t it?!")
    assert words.texts == ("The", "dog's", "well-known", ",", "isn’t", "it", "?", "!")
    assert words.spans[1] == (4, 9)


@given(st.text(max_size=60))
def test_every_character_that_is_no_space_lies_in_exactly_one_word(text: str) -> None:
    words = Words.of(text)
    covered = [index for start, end in words.spans for index in range(start, end)]
    assert covered == [index for index, character in enumerate(text) if not character.isspace()]


def test_a_token_belongs_to_the_word_it_shares_most_with() -> None:
    words = Words.of("ab cdef")
    assert words.index([(0, 2), (2, 7), (1, 4), (2, 3), (7, 7)]) == (0, 1, 0, NO_WORD, NO_WORD)


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("translate English to German: The dog", "translate English to German:"),
        ("Translate english to Welsh: x", "Translate english to Welsh:"),
        ("summarize: a story", "summarize:"),
        ("mnli hypothesis: a premise: b", "mnli hypothesis:"),
        ("the translation: English", ""),
        ("note: translate English to German: x", ""),
    ],
)
def test_task_prefixes(text: str, prefix: str) -> None:
    assert task_prefix(text) == prefix


def test_categories() -> None:
    text = "x: The 3 dogs don't bark."
    words = Words.of(text)
    spans = [*words.spans, (len(text), len(text))]
    got = categorize(words, spans, prefix_length=2)
    assert got == (PREFIX, PREFIX, FUNCTION, CONTENT, CONTENT, FUNCTION, CONTENT, PUNCTUATION, PUNCTUATION)
