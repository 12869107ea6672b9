"""Links from a matrix of decoder rows by source tokens; the conventions differ between papers, so each has a name.

step      output: y_t is aligned by the row that predicts it, t (AWO, "naive")
          input:  by the row that reads it, t + 1 (AWI, "shift"; Chen et al. 2020, Kobayashi et al. 2020)
unit      words:  weights summed over a source word's pieces, averaged over a target word's, then argmax (Kobayashi et al. 2020)
          pieces: argmax for every target piece, a word takes the links of all its pieces (Zenkel et al. 2019)
masked    no:  prefix and end of sentence compete, token by token; a target word whose winner is one of them has no link
          yes: they are left out, rows renormalized over the words, and every target word has a link
"""

from dataclasses import dataclass
from itertools import product
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from interp.statistics import merge_ties
from interp.text.word_links import Links

Step = Literal["output", "input"]
Unit = Literal["words", "pieces"]


@dataclass(frozen=True, slots=True)
class Conventions:
    """How links are read; see the module."""

    step: Step
    unit: Unit
    masked: bool

    def __str__(self) -> str:
        return f"{self.step}, {self.unit}, {'masked' if self.masked else 'raw'}"


ALL_CONVENTIONS = tuple(
    Conventions(step, unit, masked) for step, unit, masked in product(get_args(Step), get_args(Unit), (False, True))
)


def read_links(
    matrices: Float[np.ndarray, "system target source"],
    source_word: tuple[int, ...],
    target_word: tuple[int, ...],
    conventions: Conventions,
) -> list[Links]:
    """The links of one sentence pair for every matrix.

    Args:
        matrices: decoder rows by source tokens, end-of-sentence row included; one for each head, layer or flow.
        source_word: word of every source token, -1 for none.
        target_word: word of every target token, -1 for none; token t is predicted by row t and read by row t + 1.
        conventions: how to read.

    Raises:
        ValueError: if the input step is asked for and the last target token, which no row reads, belongs to a word.
    """
    rows = _rows(matrices, target_word, conventions.step)
    columns = np.array(source_word)
    if conventions.masked:
        rows, columns = rows[:, :, columns >= 0], columns[columns >= 0]
        total = rows.sum(-1, keepdims=True)
        rows = np.divide(rows, total, out=np.zeros_like(rows), where=total > 0)
    if columns.size == 0:
        return [frozenset() for _ in matrices]
    read = _by_words if conventions.unit == "words" else _by_pieces
    return read(rows, columns, np.array(target_word)[: rows.shape[1]])


def _rows(matrices: np.ndarray, target_word: tuple[int, ...], step: Step) -> np.ndarray:
    if step == "output":
        return matrices
    if target_word[-1] >= 0:
        raise ValueError("The last target token belongs to a word but no decoder row reads it; end targets with </s>.")
    return matrices[:, 1:]


def _by_words(rows: np.ndarray, columns: np.ndarray, target_word: np.ndarray) -> list[Links]:
    n_words = int(columns.max()) + 1
    # Tokens of no word keep a column of their own behind the words.
    unit = np.where(columns >= 0, columns, n_words + np.arange(len(columns)))
    by_unit = rows @ (unit[:, None] == np.arange(n_words + len(columns)))
    links: list[set[tuple[int, int]]] = [set() for _ in rows]
    for word in np.unique(target_word[target_word >= 0]):
        best = merge_ties(by_unit[:, target_word == word].mean(1)).argmax(-1)
        for system, source in enumerate(best):
            if source < n_words:
                links[system].add((int(source), int(word)))
    return [frozenset(found) for found in links]


def _by_pieces(rows: np.ndarray, columns: np.ndarray, target_word: np.ndarray) -> list[Links]:
    best = columns[merge_ties(rows).argmax(-1)]  # system target
    return [
        frozenset(
            (int(source), int(word)) for source, word in zip(row, target_word, strict=True) if source >= 0 and word >= 0
        )
        for row in best
    ]
