"""Words looked up one by one: what `interp words chair table goat` prints.

Neighbors and cosines are those of the analysis (`static_words`), without groups, tests or controls: for a first look, not for a
finding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from analyses.embedding_geometry.measure.spaces import INPUT, OUTPUT, static_table
from analyses.embedding_geometry.measure.static_words import CORRECTIONS, corrections, word_vectors
from interp.errors import InputError
from interp.geometry.isotropy import cosine_matrix
from interp.geometry.nearest_neighbors import nearest
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report import notebook_html
from interp.text.vocabulary import Candidates, Vocabulary, spell

Space = Literal["input", "output"]
Correction = Literal["raw", "centered", "all but the top"]


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """Words and what lies near them.

    Attributes:
        space: name of the space.
        correction: what was taken out of it.
        words: one row a word: its pieces, whether its vector is one row or a mean, and the length of that vector.
        neighbors: one row a neighbor: word, rank, piece, cosine.
        cosines: the words' cosines with each other, words as index and columns.
    """

    space: str
    correction: str
    words: pd.DataFrame
    neighbors: pd.DataFrame
    cosines: pd.DataFrame

    def _repr_html_(self) -> str:
        """The three tables, for a notebook."""
        space = f"{self.space}, {self.correction}"
        near = self.neighbors.assign(near=[f"{row.piece} {row.cosine:.2f}" for row in self.neighbors.itertuples()])
        lists = [(word, ", ".join(rows["near"])) for word, rows in near.groupby("word", sort=False)]
        cosines = [(word, *map(float, row)) for word, row in zip(self.cosines, self.cosines.to_numpy(), strict=True)]
        return "".join([
            notebook_html.table(f"Words in {space}", list(map(str, self.words)), self.words.itertuples(index=False)),
            notebook_html.table("Nearest pieces", ("word", "pieces"), lists),
            notebook_html.table("Cosines", ("word", *self.cosines), cosines),
        ])


def look_up(
    model: HookedEncoderDecoder,
    words: Sequence[str],
    space: Space = "input",
    correction: Correction = "raw",
    n_neighbors: int = 10,
) -> Lookup:
    """Look words up in a static space.

    Args:
        model: a model with a tokenizer.
        words: one or more different words.
        space: the input embedding, or the output embedding with the final gain folded in.
        correction: what is taken out of the space first.
        n_neighbors: neighbors of every word.

    Raises:
        InputError: without words or tokenizer, if a word is given twice, or if the tokenizer cannot spell one.
    """
    if not words or len(set(words)) < len(words):
        raise InputError(
            f"Give one or more different words, such as chair table goat; got {', '.join(words) or 'none'}."
        )
    if model.tokenizer is None:
        raise InputError("Words are looked up by their spelling; wrap the model with its tokenizer.")
    spellings = [spell(word, model.tokenizer) for word in words]
    name = INPUT if space == "input" else OUTPUT
    table = static_table(model, name)
    candidates = Candidates.of(Vocabulary.of(model.tokenizer, model.cfg.d_vocab))
    taboo = np.stack([candidates.own(spelling) for spelling in spellings])
    raw = word_vectors(table, spellings)
    rows = table[candidates.rows]
    correct = corrections(rows)[CORRECTIONS.index(correction)]
    vectors = correct(raw)
    found = nearest(vectors, rows, n_neighbors, taboo, candidates.variants, correct)
    return Lookup(
        space=name,
        correction=correction,
        words=pd.DataFrame({
            "word": words,
            "pieces": [" ".join(spelling.pieces) for spelling in spellings],
            "vector": ["one piece" if spelling.single else "mean of pieces" for spelling in spellings],
            "norm": np.linalg.norm(raw, axis=1),
        }),
        neighbors=pd.DataFrame([
            {"word": word, "rank": rank + 1, "piece": str(candidates.pieces[row]), "cosine": float(cosine)}
            for word, near, cosines in zip(words, found.rows, found.cosines, strict=True)
            for rank, (row, cosine) in enumerate(zip(near, cosines, strict=True))
            if row >= 0
        ]),
        cosines=pd.DataFrame(cosine_matrix(vectors), index=list(words), columns=list(words)),
    )
