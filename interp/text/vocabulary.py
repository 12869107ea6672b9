"""Which rows of the embedding table are pieces of words, and which rows stand for a given word?

Tables have more rows than the tokenizer has pieces (padding of the table, never trained; fairseq, from which BART and M2M100
come, gives such rows names), sentinels of span corruption, and special tokens; none of them belongs into a statistic about words.
SentencePiece unigram tokenizers also store the log probability of every piece (Kudo 2018), a frequency estimate
that needs no corpus.
"""

import json
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Bool, Float, Int
from transformers import PreTrainedTokenizerBase

from interp.errors import InputError
from interp.text.characters import check_characters
from interp.text.pieces import is_control, is_filler, own_pieces, pieces_of
from interp.text.tokenized_text import SENTINEL_PIECE

RowKind = Literal["piece", "special", "sentinel", "unused"]

KINDS: tuple[RowKind, ...] = get_args(RowKind)

_JOINED_SPACE = "Ġ"
_WORD_STARTS = str.maketrans({"▁": " ", "Ġ": " "})


@dataclass(frozen=True, slots=True, eq=False)
class Vocabulary:
    """The rows of an embedding table.

    Attributes:
        pieces: the tokenizer's piece of every row; empty where no token has this row.
        kinds: index into `KINDS` for every row; `unused` are rows without a piece and those that only fill the table up.
        log_probabilities: natural log of the unigram probability of every piece; NaN where the tokenizer has none.
    """

    pieces: tuple[str, ...]
    kinds: Int[np.ndarray, " vocab"]
    log_probabilities: Float[np.ndarray, " vocab"]

    @classmethod
    def of(cls, tokenizer: PreTrainedTokenizerBase, n_rows: int) -> "Vocabulary":
        """The rows of a table, described.

        Args:
            tokenizer: the model's tokenizer.
            n_rows: rows of the embedding table.
        """
        pieces = [piece or "" for piece in own_pieces(tokenizer, range(n_rows))]
        special = set(tokenizer.all_special_ids)
        kinds = [KINDS.index(_kind(piece, row in special)) for row, piece in enumerate(pieces)]
        return cls(tuple(pieces), np.array(kinds, dtype=np.int64), _scores(tokenizer, pieces))

    @property
    def ordinary(self) -> Bool[np.ndarray, " vocab"]:
        """True at pieces of text: no special token, no sentinel, no row without a piece."""
        return self.of_kind("piece")

    def of_kind(self, kind: RowKind) -> Bool[np.ndarray, " vocab"]:
        """True at rows of a kind.

        Args:
            kind: the kind.
        """
        rows: np.ndarray = self.kinds == KINDS.index(kind)
        return rows


def surface(piece: str) -> str:
    """What all spellings of a piece share: no word-start mark, no capitals ("▁Chair", "chair" and "▁chair" are one).

    Args:
        piece: the piece.
    """
    return piece.translate(_WORD_STARTS).strip().casefold() or piece


@dataclass(frozen=True, slots=True)
class Spelling:
    """A word as rows of the table: the rows of its pieces, and the pieces."""

    word: str
    ids: tuple[int, ...]
    pieces: tuple[str, ...]

    @property
    def single(self) -> bool:
        """Whether one row stands for the whole word; otherwise only a mean of rows can."""
        return len(self.ids) == 1


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """The pieces of text of a vocabulary, as candidates for a list of neighbors; `variants` numbers their surfaces."""

    rows: Int[np.ndarray, " candidate"]
    pieces: np.ndarray
    surfaces: np.ndarray
    variants: Int[np.ndarray, " candidate"]

    @classmethod
    def of(cls, vocabulary: Vocabulary) -> "Candidates":
        """All pieces of text.

        Args:
            vocabulary: the rows of a table.
        """
        rows = np.flatnonzero(vocabulary.ordinary)
        pieces = np.array(vocabulary.pieces)[rows]
        surfaces = np.array([surface(piece) for piece in pieces])
        _, variants = np.unique(surfaces, return_inverse=True)
        return cls(rows, pieces, surfaces, variants)

    def own(self, spelling: Spelling) -> Bool[np.ndarray, " candidate"]:
        """Which candidates are a word, one of its pieces, or another way to write one of these; they are no news.

        Args:
            spelling: the word.
        """
        pieces = np.isin(self.variants, self.variants[np.isin(self.rows, spelling.ids)])
        own: np.ndarray = pieces | (self.surfaces == spelling.word.casefold())
        return own


def spell(word: str, tokenizer: PreTrainedTokenizerBase) -> Spelling:
    """The pieces of a word as it stands inside a sentence, without end of sentence.

    Of the word with and without a space before it, the spelling with fewer pieces is taken: tokenizers differ in which of
    the two they treat as the start of a word. Tokenizers over bytes that join the space to the word ("Ġchair") say it
    themselves: without a space the word would stand at the start of the text.

    Args:
        word: the word.
        tokenizer: the model's tokenizer.

    Raises:
        InputError: if the word is empty or holds characters, or half ones, that the tokenizer does not know.
    """
    if not word.strip():
        raise InputError("An empty word has no embedding; give at least one letter.")
    check_characters(word)
    bare, spaced = (tuple(tokenizer(text, add_special_tokens=False).input_ids) for text in (word, " " + word))
    first = str(tokenizer.convert_ids_to_tokens(spaced[0])) if spaced else ""
    ids = spaced if first.startswith(_JOINED_SPACE) and first != _JOINED_SPACE else min(bare, spaced, key=len)
    if not ids or tokenizer.unk_token_id in ids:
        raise InputError(
            f"This model's tokenizer cannot spell {word!r}; leave the word out or take a model that knows it."
        )
    return Spelling(word, ids, pieces_of(tokenizer, ids))


def kind_of_tokenizer(tokenizer: PreTrainedTokenizerBase) -> str:
    """The tokenizer's class and, where it can be read, the model inside; only `Unigram` keeps probabilities of pieces.

    Args:
        tokenizer: the model's tokenizer.
    """
    name = type(tokenizer).__name__
    return f"{name}, {type(tokenizer.backend_tokenizer.model).__name__}" if tokenizer.is_fast else name


def _kind(piece: str, special: bool) -> RowKind:
    if not piece or is_filler(piece):
        return "unused"
    if SENTINEL_PIECE.fullmatch(piece):
        return "sentinel"
    return "special" if special or is_control(piece) else "piece"


def _scores(tokenizer: PreTrainedTokenizerBase, pieces: list[str]) -> np.ndarray:
    """Unigram scores by row; scores of zero belong to added tokens, which have no probability."""
    scores = np.full(len(pieces), np.nan)
    if not tokenizer.is_fast:
        return scores
    model = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    if model["type"] != "Unigram":
        return scores
    known = {piece: score for piece, score in model["vocab"] if score < 0.0}
    return np.array([known.get(piece, np.nan) for piece in pieces])
