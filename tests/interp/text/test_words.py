"""Words, task prefixes and categories, by character offsets."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from interp.errors import InputError
from interp.text.function_words import FunctionWords
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


def test_a_token_belongs_to_the_word_it_shares_most_with_and_a_blank_to_the_word_behind() -> None:
    words = Words.of("ab cdef")
    assert words.index([(0, 2), (2, 7), (1, 4), (2, 3), (3, 3), (7, 7)]) == (0, 1, 0, 1, 1, 1)
    assert Words.of(" ").index([(0, 1)]) == (NO_WORD,)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("हिन्दी भाषा", ("हिन्दी", "भाषा")),
        ("cafe\u0301 ole\u0301", ("cafe\u0301", "ole\u0301")),
        ("مُحَمَّد خالد،", ("مُحَمَّد", "خالد", "،")),
        ("שָׁלוֹם עולם", ("שָׁלוֹם", "עולם")),
        ("ภาษาไทย ดี", ("ภาษาไทย", "ดี")),
        ("தமிழ் மொழி", ("தமிழ்", "மொழி")),
        ("မြန်မာ ភាសាខ្មែរ", ("မြန်မာ", "ភាសាខ្មែរ")),
        ("1,000 euros, 3.5 %", ("1,000", "euros", ",", "3.5", "%")),
        ("A <extra_id_0> cat<extra_id_12>.", ("A", "<extra_id_0>", "cat", "<extra_id_12>", ".")),
        ("我喜欢猫。", ("我", "喜", "欢", "猫", "。")),
        ("猫が好き", ("猫", "が", "好", "き")),
        ("👩‍👩‍👧 ok 🇩🇪🇫🇷", ("👩‍👩‍👧", "ok", "🇩🇪", "🇫🇷")),
        ("l’été e.g. snake_case", ("l’été", "e.g", ".", "snake_case")),
    ],
)
def test_words_are_those_of_unicodes_text_segmentation(text: str, words: tuple[str, ...]) -> None:
    assert Words.of(text).texts == words


def test_marks_are_no_words() -> None:
    words = Words.of("a<sep>b c", [(1, 6)])
    assert words.texts == ("a", "b", "c")
    assert words.spans == ((0, 1), (6, 7), (8, 9))


@pytest.mark.parametrize(
    ("words", "text"),
    [(["The", "cat", "."], "The cat ."), (["我", "喜欢", "猫"], "我喜欢猫"), (["我", "like", "猫"], "我 like 猫")],
)
def test_given_words_are_joined_as_their_script_is_written(words: list[str], text: str) -> None:
    joined, found = Words.joined(words)
    assert joined == text
    assert found.texts == tuple(words)
    assert [text[start:end] for start, end in found.spans] == words


@pytest.mark.parametrize("words", [[], ["a", " "]])
def test_lists_without_words_are_refused(words: list[str]) -> None:
    with pytest.raises(InputError, match="needs words, none of them empty"):
        Words.joined(words)


@pytest.mark.parametrize(
    ("text", "hint", "languages", "found"),
    [
        ("The man, the room and the old home", "", ("english",), ["The", "the", "and", "the"]),
        ("Der Hund und die Katze sind nicht hier", "", ("german",), ["Der", "und", "die", "sind", "nicht", "hier"]),
        ("Der Hund", "", ("danish", "dutch", "german", "norwegian"), ["Der"]),
        ("Der Hund", "de_DE", ("german",), ["Der"]),
        ("Le chat est sur la table", "French", ("french",), ["Le", "est", "sur", "la"]),
        ("A dog", "", ("english",), ["A"]),
        ("The cat", "Welsh", (), []),
        ("The cat", "eng_Latn", ("english",), ["The"]),
        ("Der", "", (), []),
        ("بغداد خالد", "", (), []),
        ("m a h m a d", "", (), []),
        ("k h a l i d, a b", "", (), []),
        ("I am a man", "", ("english",), ["I", "am", "a"]),
    ],
)
def test_function_words_are_those_of_the_texts_language(
    text: str, hint: str, languages: tuple[str, ...], found: list[str]
) -> None:
    words = Words.of(text).texts
    told = FunctionWords.of(words, hint)
    assert told.languages == languages
    assert [word for word in words if word in told] == found


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("translate English to German: The dog", "translate English to German:"),
        ("Translate english to Welsh: x", "Translate english to Welsh:"),
        ("summarize: a story", "summarize:"),
        ("mnli hypothesis: a premise: b", "mnli hypothesis:"),
        (">>deu<< The dog", ">>deu<<"),
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
    got = categorize(words, spans, 2, {"The", "don't"})
    assert got == (PREFIX, PREFIX, FUNCTION, CONTENT, CONTENT, FUNCTION, CONTENT, PUNCTUATION, PUNCTUATION)
