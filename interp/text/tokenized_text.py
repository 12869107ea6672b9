"""Tokenized texts: one source or target with a word and a category for every token.

Given texts and those that a model wrote go the same way: characters of every token (`interp.text.token_spans`), words of the
text, and a word and a category for every token. Nothing is cut: a text longer than the model was made for is refused.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

from interp.errors import InputError, is_count
from interp.text.characters import check_characters
from interp.text.function_words import FunctionWords
from interp.text.pieces import pieces_of
from interp.text.readable import readable
from interp.text.text_memory import remembered
from interp.text.token_spans import token_spans
from interp.text.words import CONTENT, EOS, NO_WORD, PREFIX, SENTINEL, Span, Words, categorize, task_prefix

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Side = Literal["source", "target"]

GivenText = str | Sequence[str]
"""A text, or the list of its words."""

_UNBOUNDED = 10**9
"""Tokenizers without a limit carry an astronomical one."""

_TRAINED_LENGTH = 512
"""Tokens a side in T5's pre-training (Raffel et al. 2020), the limit where a tokenizer states none."""

SENTINEL_PIECE = re.compile(r"▁?<extra_id_\d+>")
_LANGUAGE_PIECE = re.compile(r">>[^<>\s]+<<")
_TRANSLATION = re.compile(r"\s*translate ([^\W\d_]+) to ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Text:
    """One tokenized text, unpadded.

    Attributes:
        text: what was tokenized.
        ids: token ids, end of sentence included.
        pieces: the tokenizer's pieces.
        words: the words of the text.
        word_of_token: index into `words` for every token, or -1.
        category_of_token: index into `EVERY_CATEGORY` for every token.
        forced: indices of tokens that the model does not choose: forced first and last tokens, what a text was begun with.
        languages: whose lists of function words told these from content words; none where the language is not known or has no
            list, several where the words leave it open.
        prefix: the task prefix.
    """

    text: str
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    words: tuple[str, ...]
    word_of_token: tuple[int, ...]
    category_of_token: tuple[int, ...]
    forced: tuple[int, ...] = ()
    languages: tuple[str, ...] = ()
    prefix: str = ""


def tokenize(
    text: GivenText,
    tokenizer: "PreTrainedTokenizerBase",
    eos_token_id: int,
    prefix: str | None = None,
    side: Side = "source",
    words: Words | None = None,
    marks: frozenset[int] | None = None,
) -> Text:
    """One text, tokenized, with the word and the category of every token.

    Args:
        text: the text, or its words (see `Words.joined`); a source starts with its task prefix.
        tokenizer: the model's tokenizer.
        eos_token_id: the token that ends a text.
        prefix: the task prefix, if it is not one that `task_prefix` knows; "" for a text without.
        side: tokenizers of two languages (Marian) and those that mark the language treat targets in their own way.
        words: the words behind the prefix, where they are not those of `Words.of`.
        marks: what `marks_of` says of the tokenizer, where many texts are tokenized at once.

    Raises:
        InputError: if the text is empty, holds a NUL or half a surrogate pair, or does not start with the given prefix.
    """
    if not isinstance(text, str):
        text, words = Words.joined(text)
    if not text.strip():
        raise InputError("An empty text has nothing to analyse; give at least one word.")
    check_characters(text)
    if prefix is not None and not text.startswith(prefix):
        raise InputError(
            f"The text {text[:60]!r} does not start with its prefix {prefix!r}; give the text with its prefix."
        )
    before = task_prefix(text) if prefix is None else prefix
    make = partial(_read, text, tokenizer, eos_token_id, before, side, words, marks)
    return remembered(tokenizer, (text, eos_token_id, before, side, words), make)


def _read(
    text: str,
    tokenizer: "PreTrainedTokenizerBase",
    eos_token_id: int,
    prefix: str,
    side: Side,
    words: Words | None,
    marks: frozenset[int] | None,
) -> Text:
    marks = marks_of(tokenizer) if marks is None else marks
    ids, spans = _ids_and_spans(text, tokenizer, side, marks)
    pieces = pieces_of(tokenizer, ids)
    special = _special(ids, pieces, marks, eos_token_id)
    return _describe(text, ids, pieces, spans, special, tokenizer, prefix, side, words)


def _ids_and_spans(
    text: str, tokenizer: "PreTrainedTokenizerBase", side: Side, marks: frozenset[int]
) -> tuple[list[int], list[Span]]:
    given = {"text": text} if side == "source" else {"text_target": text}
    if tokenizer.is_fast:
        encoded = tokenizer(**given, return_offsets_mapping=True, truncation=False, verbose=False)
        return list(encoded.input_ids), [(start, end) for start, end in encoded.offset_mapping]
    ids = list(tokenizer(**given, truncation=False, verbose=False).input_ids)
    special = _special(ids, pieces_of(tokenizer, ids), marks, tokenizer.eos_token_id)
    return ids, token_spans(text, ids, tokenizer, special)


def describe_generated(ids: Sequence[int], tokenizer: "PreTrainedTokenizerBase | None", eos_token_id: int) -> Text:
    """A `Text` from generated ids: their `readable` text, described as a given one is.

    Args:
        ids: the ids.
        tokenizer: the model's; without one every token is a word, written as its number.
        eos_token_id: the token that ends a text.
    """
    if tokenizer is None:
        return numbered(ids, eos_token_id)
    pieces = pieces_of(tokenizer, ids)
    special = _special(ids, pieces, marks_of(tokenizer), eos_token_id)
    text = readable(ids, special, tokenizer)
    spans = token_spans(text, ids, tokenizer, special)
    return _describe(text, ids, pieces, spans, special, tokenizer, "", "target")


def marks_of(tokenizer: "PreTrainedTokenizerBase") -> frozenset[int]:
    """The tokens that say what a text is, as a task prefix does: start tokens, language marks and added special tokens.

    Marks are not special to every tokenizer: M2M100 and mBART keep them in tables of their own, Marian among its pieces.

    Args:
        tokenizer: the model's tokenizer.
    """
    marks = set(tokenizer.all_special_ids) - {tokenizer.unk_token_id}
    for table in ("id_to_lang_token", "id_to_lang_code"):
        marks |= set(getattr(tokenizer, table, ()))
    return frozenset(marks)


def _special(
    ids: Sequence[int], pieces: Sequence[str], marks: frozenset[int], eos_token_id: int | None
) -> dict[int, int]:
    """Place -> category of the tokens that are no piece of text."""
    special: dict[int, int] = {}
    for place, (token, piece) in enumerate(zip(ids, pieces, strict=True)):
        if token == eos_token_id:
            special[place] = EOS
        elif SENTINEL_PIECE.fullmatch(piece):
            special[place] = SENTINEL
        elif token in marks or _LANGUAGE_PIECE.fullmatch(piece):
            special[place] = PREFIX
    return special


def _describe(
    text: str,
    ids: Sequence[int],
    pieces: tuple[str, ...],
    spans: Sequence[Span],
    special: Mapping[int, int],
    tokenizer: "PreTrainedTokenizerBase",
    prefix: str,
    side: Side,
    words: Words | None = None,
) -> Text:
    """The words and categories of tokens; special ones are no words, whatever characters they have."""
    marks = sorted(spans[place] for place in special if spans[place][0] < spans[place][1])
    words = Words.of(text, marks) if words is None else words
    function_words = FunctionWords.of(words.texts, _language(prefix, tokenizer, side))
    category = categorize(words, spans, len(prefix.rstrip()), function_words)
    word = words.index(spans)
    return Text(
        text=text,
        ids=tuple(ids),
        pieces=pieces,
        words=words.texts,
        word_of_token=tuple(NO_WORD if index in special else word[index] for index in range(len(ids))),
        category_of_token=tuple(special.get(index, category[index]) for index in range(len(ids))),
        languages=function_words.languages,
        prefix=prefix,
    )


def _language(prefix: str, tokenizer: "PreTrainedTokenizerBase", side: Side) -> str:
    """The language of a text, by its task prefix or its tokenizer; an empty text where neither names one."""
    names = ("src_lang", "source_lang") if side == "source" else ("tgt_lang", "target_lang")
    named = [getattr(tokenizer, name, None) for name in names]
    told = _TRANSLATION.match(prefix)
    return next((name for name in (told and told[1], *named) if name), "")


def numbered(ids: Sequence[int], eos_token_id: int, label: Callable[[int], str] = str) -> Text:
    """A `Text` from ids that stand for no text: every token is a word of its own, called by its label.

    Args:
        ids: the ids.
        eos_token_id: the token that ends a text.
        label: what a token is called; its number by default.
    """
    pieces = tuple(label(token) for token in ids)
    return Text(
        text=" ".join(pieces),
        ids=tuple(ids),
        pieces=pieces,
        words=pieces,
        word_of_token=tuple(NO_WORD if token == eos_token_id else index for index, token in enumerate(ids)),
        category_of_token=tuple(EOS if token == eos_token_id else CONTENT for token in ids),
    )


def length_limit(tokenizer: "PreTrainedTokenizerBase | None", positions: int | None, asked: int | None) -> int:
    """Most tokens a text may have: what was asked for, else what the tokenizer states, else 512, within the model's positions.

    Args:
        tokenizer: the model's, or None.
        positions: most positions of the model; None where nothing bounds them.
        asked: what the caller asked for, or None.

    Raises:
        InputError: if more is asked for than there are positions, or what is asked for or stated is no length of a text.
    """
    if asked is not None:
        if not is_count(asked) or (positions is not None and asked > positions):
            bound = "" if positions is None else f" to {positions}, the positions that this model has"
            raise InputError(f"A text's most tokens (--max-length, max_length) are from 1{bound}; got {asked!r}.")
        return asked
    stated: object = _UNBOUNDED if tokenizer is None else tokenizer.model_max_length
    if not isinstance(stated, int | float) or not stated >= 2:  # a piece and an end; a NaN is not either
        raise InputError(
            f"The tokenizer states model_max_length = {stated!r}, which must be a number of at least 2; correct its "
            "tokenizer_config.json, or give --max-length (max_length)."
        )
    limit = _TRAINED_LENGTH if stated >= _UNBOUNDED else int(stated)
    return limit if positions is None else min(limit, positions)


def tokenize_all(
    texts: Sequence[GivenText],
    tokenizer: "PreTrainedTokenizerBase",
    eos_token_id: int,
    limit: int,
    side: Side,
    prefixes: Sequence[str | None] | None = None,
) -> list[Text]:
    """The sources or targets of a batch, tokenized.

    Args:
        texts: the texts, each whole or as its words.
        tokenizer: the model's tokenizer.
        eos_token_id: the token that ends a text.
        limit: most tokens a text may have.
        side: whether they are sources or targets.
        prefixes: the task prefix of each, where it is not one that `task_prefix` knows.

    Raises:
        InputError: if a text is empty, longer than `limit` tokens, or does not start with its prefix, or if there is not one
            prefix for each text.
    """
    prefixes = [None] * len(texts) if prefixes is None else prefixes
    if len(prefixes) != len(texts):
        raise InputError(f"Got {len(texts)} {side}s and {len(prefixes)} prefixes; give one for each {side}.")
    marks = marks_of(tokenizer)
    done = [
        tokenize(text, tokenizer, eos_token_id, prefix, side, marks=marks)
        for text, prefix in zip(texts, prefixes, strict=True)
    ]
    for index, text in enumerate(done):
        if len(text.ids) > limit:
            which = f" of prompt {index + 1}" if len(done) > 1 else ""
            raise InputError(
                f"The {side}{which} has {len(text.ids)} tokens and the limit is {limit} (it begins "
                f"{text.text[:50]!r}); shorten or split it, or raise the limit with --max-length (max_length of `load`) if the "
                "model has relative positions, as T5 does, or more of its own."
            )
    return done
