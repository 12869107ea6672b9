"""Words in the static spaces: their vectors, what lies near them, and everyday words to compare them with.

A word of one piece is a row of the table; a word of several pieces is the mean of their rows, which the model itself never
uses, so the two are told apart everywhere. Each space is seen three times:

    raw              as it is
    centered          the mean over all pieces of text subtracted
    all but the top  centered, and without the first d_model / 100 principal axes of all pieces   Mu and Viswanath 2018

Special tokens, sentinels and rows without a piece take no part in any of it.
"""

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Arrays
from analyses.embedding_geometry.measure.spaces import static_spaces, static_table
from analyses.embedding_geometry.settings import GeometrySettings
from interp.errors import InputError
from interp.geometry.isotropy import top_directions, without_directions
from interp.geometry.nearest_neighbors import nearest
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.text_memory import remembered
from interp.text.vocabulary import Candidates, Spelling, Vocabulary, spell

CORRECTIONS = ("raw", "centered", "all but the top")


def static_words(model: HookedEncoderDecoder, settings: GeometrySettings, vocabulary: Vocabulary) -> Arrays:
    """The chosen words, and single-piece controls, in every static space (see `arrays`).

    Lengths are of the raw vectors; words of several pieces have no log probability (NaN).

    Raises:
        InputError: if the tokenizer cannot spell a word.
    """
    assert model.tokenizer is not None
    spellings = [spell(word, model.tokenizer) for word in settings.words]
    controls = _single_controls(model, settings)
    candidates = remembered(model.tokenizer, ("candidates", vocabulary), partial(Candidates.of, vocabulary))
    spaces = [
        _in_space(model, space, (spellings, controls), candidates, settings.n_neighbors)
        for space in static_spaces(model.cfg, model.one_table)
    ]
    frequency = vocabulary.log_probabilities
    return {name: np.stack([space[name] for space in spaces]) for name in spaces[0]} | {
        "word_pieces": np.array([" ".join(spelling.pieces) for spelling in spellings]),
        "n_pieces": np.array([len(spelling.ids) for spelling in spellings]),
        "log_probabilities": np.array([frequency[s.ids[0]] if s.single else np.nan for s in spellings]),
        "control_words": np.array([spelling.word for spelling in controls], dtype=np.str_),
        "control_log_probabilities": np.array([frequency[spelling.ids[0]] for spelling in controls]),
        "rows_of_kind": np.bincount(vocabulary.kinds, minlength=4),
    }


def word_vectors(
    table: Float[np.ndarray, "vocab d_model"], spellings: Sequence[Spelling]
) -> Float[np.ndarray, "word d_model"]:
    """The row of every word, or the mean of the rows of its pieces."""
    vectors = [table[list(spelling.ids)].mean(axis=0, dtype=np.float64) for spelling in spellings]
    return np.array(vectors).reshape(len(spellings), table.shape[1])


def _single_controls(model: HookedEncoderDecoder, settings: GeometrySettings) -> list[Spelling]:
    """Everyday words that this tokenizer has in one piece and that are not among the chosen ones."""
    assert model.tokenizer is not None
    controls = []
    for word in settings.everyday:
        try:
            spelling = spell(word, model.tokenizer)
        except InputError:
            continue
        if spelling.single and word not in settings.words:
            controls.append(spelling)
    return controls


def _in_space(
    model: HookedEncoderDecoder,
    space: str,
    words: tuple[Sequence[Spelling], Sequence[Spelling]],
    candidates: Candidates,
    k: int,
) -> dict[str, np.ndarray]:
    """Vectors, norms and neighbors of the words, and vectors of the controls, in one space."""
    table = static_table(model, space)
    n_words = len(words[0])
    taboo = np.array([candidates.own(spelling) for spelling in words[0]], dtype=bool)
    taboo = taboo.reshape(n_words, len(candidates.rows))
    both = word_vectors(table, [*words[0], *words[1]])
    vectors, cosines, names = [], [], []
    rows = table[candidates.rows]
    for correct in corrections(rows):
        vectors.append(correct(both))
        found = nearest(vectors[-1][:n_words], rows, k, taboo, candidates.variants, correct)
        cosines.append(found.cosines)
        names.append(np.where(found.rows >= 0, candidates.pieces[found.rows], ""))
    return {
        "vectors": np.stack(vectors)[:, :n_words],
        "control_vectors": np.stack(vectors)[:, n_words:],
        "neighbor_cosines": np.stack(cosines),
        "neighbor_pieces": np.stack(names),
        "norms": np.linalg.norm(vectors[0][:n_words], axis=1),
    }


def corrections(candidates: Float[np.ndarray, "row d_model"]) -> tuple[Callable[[np.ndarray], np.ndarray], ...]:
    """What every one of `CORRECTIONS` makes of rows, candidates or words; what is taken out is learned from the candidates."""
    mean = candidates.mean(axis=0, dtype=np.float64)
    top = top_directions(candidates, max(1, round(candidates.shape[1] / 100)))
    return np.asarray, lambda rows: rows - mean, lambda rows: without_directions(rows - mean, top)
