"""Tokenized texts: one source or target with a word and a category for every token.

Offsets say which characters a token stands for; tokenizers over bytes, which keep none, are followed byte by byte. Nothing is
cut: a text longer than the model was made for is refused.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from interp.errors import InputError
from interp.text.pieces import pieces_of
from interp.text.words import CONTENT, EOS, NO_WORD, PREFIX, SENTINEL, Span, Words, categorize, task_prefix

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Side = Literal["source", "target"]

_UNBOUNDED = 10**9
"""Tokenizers without a limit carry an astronomical one."""

_TRAINED_LENGTH = 512
"""Tokens a side in T5's pre-training (Raffel et al. 2020), the limit where a tokenizer states none."""

SENTINEL_PIECE = re.compile(r"<extra_id_\d+>")


@dataclass(frozen=True, slots=True)
class Text:
    """One tokenized text, unpadded.

    Attributes:
        text: what was tokenized.
        ids: token ids, end of sentence included.
        pieces: the tokenizer's pieces.
        words: the words of the text.
        word_of_token: index into `words` for every token, or -1.
        category_of_token: index into `CATEGORIES` for every token.
        forced: indices of tokens that the model does not choose: forced first and last tokens, what a text was begun with.
    """

    text: str
    ids: tuple[int, ...]
    pieces: tuple[str, ...]
    words: tuple[str, ...]
    word_of_token: tuple[int, ...]
    category_of_token: tuple[int, ...]
    forced: tuple[int, ...] = ()


def tokenize(
    text: str, tokenizer: "PreTrainedTokenizerBase", eos_token_id: int, prefix: str | None = None, side: Side = "source"
) -> Text:
    """One text, tokenized, with the word and the category of every token.

    Args:
        text: the text; a source starts with its task prefix.
        tokenizer: the model's tokenizer.
        eos_token_id: the token that ends a text.
        prefix: the task prefix, if it is not one that `task_prefix` knows; "" for a text without.
        side: tokenizers of two languages (Marian) and those that mark the language treat targets in their own way.

    Raises:
        InputError: if the text is empty or does not start with the given prefix.
    """
    if not text.strip():
        raise InputError("An empty text has nothing to analyse; give at least one word.")
    if prefix is not None and not text.startswith(prefix):
        raise InputError(
            f"The text {text[:60]!r} does not start with its prefix {prefix!r}; give the text with its prefix."
        )
    ids, spans = _ids_and_spans(text, tokenizer, side)
    return _describe(text, ids, spans, tokenizer, eos_token_id, len(task_prefix(text) if prefix is None else prefix))


def _describe(
    text: str,
    ids: Sequence[int],
    spans: Sequence[Span],
    tokenizer: "PreTrainedTokenizerBase",
    eos_token_id: int,
    prefix_length: int,
) -> Text:
    pieces = pieces_of(tokenizer, ids)
    words = Words.of(text)
    special = {index: EOS for index, token in enumerate(ids) if token == eos_token_id}
    special |= {index: SENTINEL for index, piece in enumerate(pieces) if SENTINEL_PIECE.fullmatch(piece)}
    marks = set(tokenizer.all_special_ids) - {eos_token_id, tokenizer.unk_token_id}
    for index, (token, (start, end)) in enumerate(zip(ids, spans, strict=True)):
        # Start tokens and language marks stand for no characters and say what the text is, as a task prefix does.
        if token in marks and start == end and index not in special:
            special[index] = PREFIX
    category = categorize(words, spans, prefix_length)
    word = words.index(spans)
    return Text(
        text=text,
        ids=tuple(ids),
        pieces=pieces,
        words=words.texts,
        word_of_token=tuple(NO_WORD if index in special else word[index] for index in range(len(ids))),
        category_of_token=tuple(special.get(index, category[index]) for index in range(len(ids))),
    )


def _ids_and_spans(text: str, tokenizer: "PreTrainedTokenizerBase", side: Side) -> tuple[list[int], list[Span]]:
    given = {"text": text} if side == "source" else {"text_target": text}
    if tokenizer.is_fast:
        encoded = tokenizer(**given, return_offsets_mapping=True, truncation=False, verbose=False)
        return list(encoded.input_ids), [(start, end) for start, end in encoded.offset_mapping]
    # Imported where it is needed: commands about tokens alone must answer at once.
    from transformers import ByT5Tokenizer

    ids = list(tokenizer(**given, truncation=False, verbose=False).input_ids)
    pieces = pieces_of(tokenizer, ids)
    return ids, _byte_spans(text, pieces) if isinstance(tokenizer, ByT5Tokenizer) else piece_spans(text, pieces)


def piece_spans(text: str, pieces: Sequence[str]) -> list[Span]:
    """Character ranges of SentencePiece pieces from a tokenizer that keeps no offsets: each is looked for behind the last.

    A piece that is not found (special tokens, text the tokenizer rewrote) gets an empty range.

    Args:
        text: the text.
        pieces: its pieces.
    """
    spans: list[Span] = []
    end = 0
    for piece in pieces:
        wanted = piece.replace("▁", " ").strip()
        start = text.find(wanted, end) if wanted else -1
        # Only blanks may be skipped: a special token's name may occur far behind by chance.
        if start < 0 or text[end:start].strip():
            spans.append((end, end))
            continue
        end = start + len(wanted)
        spans.append((start, end))
    return spans


def _byte_spans(text: str, pieces: Sequence[str]) -> list[Span]:
    """Character ranges of byte tokens (ByT5), which come from a tokenizer that keeps no offsets."""
    character_of_byte = [index for index, character in enumerate(text) for _ in character.encode()]
    character_of_byte.append(len(text))
    spans: list[Span] = []
    byte = 0
    for piece in pieces:
        length = 1 if len(piece) == 1 else len(piece.encode())
        if byte + length > len(character_of_byte) - 1:
            spans.append((len(text), len(text)))
            continue
        start = character_of_byte[byte]
        byte += length
        spans.append((start, max(character_of_byte[byte], start + 1)))
    return spans


def describe_generated(ids: Sequence[int], tokenizer: "PreTrainedTokenizerBase | None", eos_token_id: int) -> Text:
    """A `Text` from generated ids; words are found in the decoded text, piece by piece.

    Args:
        ids: the ids.
        tokenizer: the model's; without one every token is a word, written as its number.
        eos_token_id: the token that ends a text.
    """
    if tokenizer is None:
        return _numbers(ids, eos_token_id)
    text = ""
    spans: list[Span] = []
    for count in range(1, len(ids) + 1):
        decoded: str = tokenizer.decode(list(ids[:count]), skip_special_tokens=True)
        start = len(text) + (len(decoded[len(text) :]) - len(decoded[len(text) :].lstrip()))
        spans.append((min(start, len(decoded)), len(decoded)))
        text = decoded
    return _describe(text, ids, spans, tokenizer, eos_token_id, 0)


def _numbers(ids: Sequence[int], eos_token_id: int) -> Text:
    pieces = tuple(str(token) for token in ids)
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
        InputError: if more is asked for than there are positions.
    """
    if asked is not None:
        if asked < 1 or (positions is not None and asked > positions):
            bound = "" if positions is None else f" and at most {positions}, the positions that this model has"
            raise InputError(
                f"The most tokens of a text (--max-length, max_length) are at least 1{bound}; got {asked}."
            )
        return asked
    stated: int = _UNBOUNDED if tokenizer is None else tokenizer.model_max_length
    limit = _TRAINED_LENGTH if stated >= _UNBOUNDED else stated
    return limit if positions is None else min(limit, positions)


def tokenize_all(
    texts: Sequence[str],
    tokenizer: "PreTrainedTokenizerBase",
    eos_token_id: int,
    limit: int,
    side: Side,
    prefixes: Sequence[str | None] | None = None,
) -> list[Text]:
    """The sources or targets of a batch, tokenized.

    Args:
        texts: the texts.
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
    done = [tokenize(text, tokenizer, eos_token_id, prefix, side) for text, prefix in zip(texts, prefixes, strict=True)]
    for index, text in enumerate(done):
        if len(text.ids) > limit:
            raise InputError(
                f"The {side} of prompt {index + 1} has {len(text.ids)} tokens and the limit is {limit} (it begins "
                f"{text.text[:50]!r}); shorten or split it, or raise the limit with --max-length (max_length of `load`) if the "
                "model has relative positions, as T5 does, or more of its own."
            )
    return done
