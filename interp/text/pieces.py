"""Pieces: what the rows of an embedding table are called, and which rows are called nothing."""

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_CONTROL = re.compile(r"(\w+:)?</?(s|pad|unk|bos|eos|sos|mask|cls|sep|blank)>", re.IGNORECASE)
_FILLER = re.compile(r"madeupword\d{4}")
"""What fairseq calls rows that only round the size of a table up."""


def pieces_of(tokenizer: "PreTrainedTokenizerBase | None", ids: Sequence[int]) -> tuple[str, ...]:
    """What tokens are called: their pieces, `<row 32100>` for rows that no piece has, numbers for models without a tokenizer.

    Args:
        tokenizer: the model's tokenizer, or None.
        ids: token ids, which are rows of the embedding.
    """
    if tokenizer is None:
        return tuple(map(str, ids))
    own = own_pieces(tokenizer, ids)
    return tuple(f"<row {row}>" if piece is None else piece for row, piece in zip(ids, own, strict=True))


def own_pieces(tokenizer: "PreTrainedTokenizerBase", ids: Sequence[int]) -> list[str | None]:
    """The piece of every row; None where there is none.

    Tables are longer than vocabularies. Some tokenizers say None of such a row, some `<unk>`, some a piece of another row
    (M2M100, Marian), and not all list what they have (`get_vocab` lacks M2M100's languages): a piece is a row's own if it leads
    back to the row, or is listed for it.

    Args:
        tokenizer: the model's tokenizer.
        ids: rows.
    """
    rows = [int(row) for row in ids]
    said: list[str | None] = tokenizer.convert_ids_to_tokens(rows)
    known = [piece for piece in said if isinstance(piece, str)]
    back = dict(zip(known, tokenizer.convert_tokens_to_ids(known), strict=True))
    own = [piece if piece is not None and back[piece] == row else None for row, piece in zip(rows, said, strict=True)]
    if None not in own:
        return own
    listed = {row: piece for piece, row in tokenizer.get_vocab().items()}
    return [listed.get(row) if piece is None else piece for row, piece in zip(rows, own, strict=True)]


def named_rows(tokenizer: "PreTrainedTokenizerBase | None", n_rows: int) -> Bool[np.ndarray, " vocab"]:
    """True at rows that stand for something; False where no piece has the row, and where it only fills the table up.

    Args:
        tokenizer: the model's tokenizer; without one every row counts.
        n_rows: rows of the table.
    """
    if tokenizer is None:
        return np.ones(n_rows, dtype=bool)
    return np.array([piece is not None and not is_filler(piece) for piece in own_pieces(tokenizer, range(n_rows))])


def is_control(piece: str) -> bool:
    """Whether a piece steers a text and is none, whatever the tokenizer's files say of it: `<s>`, `<blank>`, `tgt:</s>`.

    Args:
        piece: the piece.
    """
    return _CONTROL.fullmatch(piece) is not None


def is_filler(piece: str) -> bool:
    """Whether a piece only rounds the size of a table up.

    Args:
        piece: the piece.
    """
    return _FILLER.fullmatch(piece) is not None
