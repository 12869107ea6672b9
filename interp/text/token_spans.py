"""Which characters of a text does every token stand for?

Where the tokenizer keeps offsets they are taken. Otherwise (tokenizers over bytes, SentencePiece without offsets, texts that a
model wrote) what the tokens spell is laid along the text: equal characters are matched, and a token that spells nothing of the
text (an unknown, or characters that the tokenizer rewrote) stands for what lies between its neighbors, so that the tokens
behind it keep their places.
"""

import re
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from difflib import SequenceMatcher
from itertools import groupby
from math import ceil, floor
from typing import TYPE_CHECKING

from interp.text.pieces import own_pieces
from interp.text.words import Span

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_HALF = "\N{REPLACEMENT CHARACTER}"
"""What tokenizers write for bytes that are no whole character."""

_TOGETHER = 6
"""Most tokens that are one character together: four bytes and a blank or two."""

_CHUNK = re.compile(r"\S+")


def token_spans(
    text: str, ids: Sequence[int], tokenizer: "PreTrainedTokenizerBase", special: Collection[int]
) -> list[Span]:
    """The half-open character range of every token; empty for those without characters.

    Args:
        text: the text.
        ids: its tokens.
        tokenizer: the model's tokenizer.
        special: places of special tokens, which have no characters unless the text names them.
    """
    pieces = own_pieces(tokenizer, ids)
    silent = {place for place in special if (pieces[place] or "").removeprefix("▁") not in text}
    unspelled = silent | {p for p, token in enumerate(ids) if token == tokenizer.unk_token_id or pieces[p] is None}
    owners: list[range] = []
    spelled = ""
    for tokens, letters in _surfaces(pieces, tokenizer, unspelled):
        folded = _folded(letters)
        spelled += folded
        owners += [tokens] * len(folded)
    characters = [(letter, place) for place, written in enumerate(text) for letter in _folded(written)]
    plain = "".join(letter for letter, _ in characters)
    found: list[Span | None] = [None] * len(ids)
    for mine, theirs, size in _matches(spelled, plain):
        for step in range(size):
            place = characters[theirs + step][1]
            for token in owners[mine + step]:
                start, end = found[token] or (place, place + 1)
                found[token] = (min(start, place), max(end, place + 1))
    return _filled(text, found, silent)


def _surfaces(
    pieces: Sequence[str | None], tokenizer: "PreTrainedTokenizerBase", unspelled: Collection[int]
) -> Iterator[tuple[range, str]]:
    """What tokens spell, and which they are: bytes of one character go together, and so do a blank and what follows."""
    start = 0
    for place in range(len(pieces)):
        if place in unspelled:
            start = place + 1
            continue
        start = max(start, place + 1 - _TOGETHER)
        letters = tokenizer.convert_tokens_to_string(list(pieces[start : place + 1]))
        if letters.strip() and _HALF not in letters:
            yield range(start, place + 1), letters
            start = place + 1


def _folded(letters: str) -> str:
    """What rewriting leaves alone: compatible characters decomposed, no capitals, no white space."""
    return "".join(unicodedata.normalize("NFKD", letters).casefold().split())


def _matches(one: str, other: str) -> list[tuple[int, int, int]]:
    """Where two texts agree: place in the one, place in the other, length."""
    if one == other:
        return [(0, 0, len(one))]
    return [(a, b, size) for a, b, size in SequenceMatcher(None, one, other, autojunk=False).get_matching_blocks()]


def _filled(text: str, found: Sequence[Span | None], silent: Collection[int]) -> list[Span]:
    """The ranges, where those that were not found share the words between their neighbors in order."""
    spans: list[Span] = []
    place = 0
    for known, group in groupby(range(len(found)), key=lambda token: found[token] is not None):
        tokens = list(group)
        if known:
            spans += [found[token] or (place, place) for token in tokens]
            place = spans[-1][1]
            continue
        behind = found[tokens[-1] + 1] if tokens[-1] + 1 < len(found) else None
        between = [match.span() for match in _CHUNK.finditer(text, place, len(text) if behind is None else behind[0])]
        heard = [token for token in tokens if token not in silent]
        for token in tokens:
            share = heard.index(token) * len(between) / len(heard) if token in heard else 0.0
            chunks = between[floor(share) : ceil(share + len(between) / len(heard))] if token in heard else []
            spans.append((chunks[0][0], chunks[-1][1]) if chunks else (place, place))
    return spans
