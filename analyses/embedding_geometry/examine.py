"""What the weights alone say: the words of the chosen groups in every static space, and what lies near them.

A word of one piece is a row of the table; a word of several pieces is the mean of their rows, which the model itself never
uses, so the two are told apart everywhere. Each space is seen three times:

    raw              as it is
    centred          the mean over all pieces of text subtracted
    all but the top  centred, and without the first d_model / 100 principal axes of all pieces   Mu & Viswanath 2018

Special tokens, sentinels and rows without a piece take no part in any of it.
"""

import numpy as np
from jaxtyping import Float

from analyses._contract import Arrays, Settings
from analyses.embedding_geometry.settings import GeometrySettings
from analyses.embedding_geometry.spaces import STATIC_SPACES, static_table
from interp.errors import InputError
from interp.geometry import top_directions, without_directions
from interp.model import HookedEncoderDecoder
from interp.neighbours import nearest
from interp.vocabulary import Spelling, Vocabulary, spell, surface

CORRECTIONS = ("raw", "centred", "all but the top")


def examine(model: HookedEncoderDecoder, settings: Settings) -> Arrays:
    """The chosen words in every static space.

    Returns:
        `vectors` [space correction word d_model], `neighbour_cosines` and `neighbour_pieces` [space correction word neighbour],
        `norms` [space word] of the raw vectors, `word_pieces` [word] with blanks between pieces, `n_pieces` [word] and
        `rows_of_kind` [kind], the size of every part of the vocabulary.

    Raises:
        InputError: without a tokenizer, or if it cannot spell a word.
    """
    assert isinstance(settings, GeometrySettings)
    if model.tokenizer is None:
        raise InputError("Embedding geometry looks words up by their spelling; wrap the model with its tokenizer.")
    vocabulary = Vocabulary.of(model.tokenizer, model.cfg.d_vocab)
    spellings = [spell(word, model.tokenizer) for words in settings.groups.values() for word in words]
    spaces = [_examine_space(model, space, spellings, vocabulary, settings.n_neighbours) for space in STATIC_SPACES]
    return {name: np.stack([space[name] for space in spaces]) for name in spaces[0]} | {
        "word_pieces": np.array([" ".join(spelling.pieces) for spelling in spellings]),
        "n_pieces": np.array([len(spelling.ids) for spelling in spellings]),
        "rows_of_kind": np.bincount(vocabulary.kinds, minlength=4),
    }


def word_vectors(
    table: Float[np.ndarray, "vocab d_model"], spellings: list[Spelling]
) -> Float[np.ndarray, "word d_model"]:
    """The row of every word, or the mean of the rows of its pieces."""
    return np.stack([table[list(spelling.ids)].mean(axis=0, dtype=np.float64) for spelling in spellings])


def _examine_space(
    model: HookedEncoderDecoder, space: str, spellings: list[Spelling], vocabulary: Vocabulary, k: int
) -> dict[str, np.ndarray]:
    """Vectors, norms and neighbours of the words in one space."""
    table = static_table(model, space)
    rows = np.flatnonzero(vocabulary.ordinary)
    pieces = np.array(vocabulary.pieces)[rows]
    _, variants = np.unique([surface(piece) for piece in pieces], return_inverse=True)
    taboo = np.stack([_own_variants(spelling, pieces, rows, variants) for spelling in spellings])
    vectors, cosines, names = [], [], []
    for candidates, words in _corrected(table[rows], word_vectors(table, spellings)):
        found = nearest(words, candidates, k, taboo, variants)
        vectors.append(words)
        cosines.append(found.cosines)
        names.append(np.where(found.rows >= 0, pieces[found.rows], ""))
    return {
        "vectors": np.stack(vectors),
        "neighbour_cosines": np.stack(cosines),
        "neighbour_pieces": np.stack(names),
        "norms": np.linalg.norm(vectors[0], axis=1),
    }


def _own_variants(spelling: Spelling, pieces: np.ndarray, rows: np.ndarray, variants: np.ndarray) -> np.ndarray:
    """True at candidates that are the word, one of its pieces, or another way to write one of these."""
    own = np.isin(variants, variants[np.isin(rows, spelling.ids)])
    written = np.array([surface(piece) == spelling.word.casefold() for piece in pieces])
    taboo: np.ndarray = own | written
    return taboo


def _corrected(
    candidates: np.ndarray, words: np.ndarray
) -> list[tuple[Float[np.ndarray, "row d_model"], Float[np.ndarray, "word d_model"]]]:
    """Candidates and words in the order of `CORRECTIONS`."""
    mean = candidates.mean(axis=0, dtype=np.float64)
    top = top_directions(candidates, max(1, round(candidates.shape[1] / 100)))
    centred = candidates - mean, words - mean
    return [
        (candidates, words),
        centred,
        (without_directions(centred[0], top), without_directions(centred[1], top)),
    ]
