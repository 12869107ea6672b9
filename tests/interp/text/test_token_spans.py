"""Characters of tokens where the tokenizer keeps no offsets: half characters, unknowns, rewritten text, marks."""

from collections.abc import Sequence

import pytest
from tokenizers import Tokenizer, decoders, models
from transformers import ByT5Tokenizer, PreTrainedTokenizerFast

from interp.text.token_spans import token_spans
from interp.text.tokenized_text import Text, describe_generated, tokenize
from interp.text.words import CATEGORIES, NO_WORD
from tests.support.tokenizers import byte_pair_tokenizer


def found(text: str, pieces: Sequence[str], special: Sequence[int] = ()) -> list[str]:
    """The characters of every piece of a vocabulary of SentencePiece's kind."""
    vocabulary = {piece: row for row, piece in enumerate(dict.fromkeys(["<unk>", *pieces]))}
    raw = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    raw.decoder = decoders.Metaspace()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=raw, unk_token="<unk>")
    ids = [vocabulary[piece] for piece in pieces]
    return [text[start:end] for start, end in token_spans(text, ids, tokenizer, special)]


@pytest.mark.parametrize(
    ("text", "pieces", "wanted"),
    [
        ("The big dog.", ["▁The", "▁", "▁big", "▁dog", "."], ["The", "big", "big", "dog", "."]),
        (
            "He sat… then, ok",
            ["▁He", "▁sat", ".", "..", "▁then", ",", "▁ok"],
            ["He", "sat", "…", "…", "then", ",", "ok"],
        ),
        (
            "A ☃ is 我喜 here",
            ["▁A", "▁", "<unk>", "▁is", "▁", "<unk>", "▁here"],
            ["A", "☃", "☃", "is", "我喜", "我喜", "here"],
        ),
        ("日本 語", ["▁", "<unk>", "▁", "<unk>"], ["日本", "日本", "語", "語"]),
        ("“he” ﬁnds", ["▁", "<unk>", "he", "<unk>", "▁fin", "ds"], ["“", "“", "he", "”", "ﬁn", "ds"]),
        ("café", ["▁ca", "fé"], ["ca", "fé"]),
        ("cafe\u0301 x", ["▁ca", "fé", "▁x"], ["ca", "fe\u0301", "x"]),
        ("Straße", ["▁strasse"], ["Straße"]),
        ("a b", ["▁a", "▁b", "▁zzz"], ["a", "b", ""]),
    ],
)
def test_pieces_keep_their_place_behind_rewritten_and_unknown_text(
    text: str, pieces: list[str], wanted: list[str]
) -> None:
    assert found(text, pieces) == wanted


def test_special_tokens_have_characters_only_if_the_text_names_them() -> None:
    assert found(">>deu<< A", [">>deu<<", "▁A", "</s>"], (0, 2)) == [">>deu<<", "A", ""]
    assert found("A deu", ["__de__", "▁A", "▁deu"], (0,)) == ["", "A", "deu"]


@pytest.mark.parametrize("text", ["Der Hund läuft… 我喜欢 “猫” 👩‍👩‍👧", "a", "  two  blanks "])
def test_bytes_of_a_character_have_all_of_it(text: str) -> None:
    tokenizer = ByT5Tokenizer()
    ids = tokenizer(text).input_ids[:-1]
    spans = token_spans(text, ids, tokenizer, ())
    owners = [place for place, letter in enumerate(text) for _ in letter.encode()]
    for (start, end), owner in zip(spans, owners, strict=True):
        assert text[owner].isspace() or start <= owner < end


def test_bytes_that_are_no_text_do_not_spoil_what_follows() -> None:
    tokenizer = ByT5Tokenizer()
    ids = [3 + 0x80] * 3 + tokenizer("The cat").input_ids[:-1]
    text = describe_generated(ids, tokenizer, 1)
    assert text.text == "The cat"
    assert [text.words[word] for word in text.word_of_token[-3:]] == ["cat"] * 3


def words_of(text: Text) -> list[str | None]:
    return [None if word == NO_WORD else text.words[word] for word in text.word_of_token]


@pytest.mark.parametrize("tokenizer", [ByT5Tokenizer(), byte_pair_tokenizer()], ids=["bytes", "byte pairs"])
@pytest.mark.parametrize("text", ["Der Hund läuft.", "“Я…”  猫 👩‍👩‍👧!", "1,000 well-known dogs"])
def test_given_and_generated_texts_have_the_same_words(text: str, tokenizer: ByT5Tokenizer) -> None:
    given = tokenize(text, tokenizer, tokenizer.eos_token_id, side="target")
    written = describe_generated(given.ids, tokenizer, tokenizer.eos_token_id)
    assert written == given


def test_a_space_of_its_own_is_no_punctuation() -> None:
    text = tokenize("A cat.", ByT5Tokenizer(), 1)
    assert words_of(text) == ["A", "cat", "cat", "cat", "cat", ".", None]
    assert [CATEGORIES[kind] for kind in text.category_of_token[:2]] == ["function", "content"]


def test_lists_of_words_keep_their_words() -> None:
    text = tokenize(["vis a", "vis", "猫"], ByT5Tokenizer(), 1)
    assert text.text == "vis a vis 猫"
    assert words_of(text) == ["vis a"] * 5 + ["vis"] * 4 + ["猫"] * 4 + [None]
