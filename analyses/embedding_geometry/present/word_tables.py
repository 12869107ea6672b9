"""The tables of words: neighbors, cosines, and groups compared; each with what untrained twins give."""

import numpy as np
import pandas as pd

from analyses.embedding_geometry.measure.group_comparisons import ALL, SINGLE, Comparison
from analyses.embedding_geometry.present.layer_tables import CONTROLS, TITLES
from analyses.embedding_geometry.summary import EmbeddingGeometry, Word
from interp.geometry import Separation
from interp.report import Span, Table
from interp.report.numbers import control_range, fixed
from interp.statistics import falling_order

_SHOWN_NEIGHBORS = 3
_SHORT = {SINGLE: "one piece", ALL: "with means"}


def word_table(result: EmbeddingGeometry) -> Table:
    """Every word with its nearest pieces."""
    excess = np.array([word.nearest["raw"].point - word.nearest["raw"].control_high for word in result.words])
    return Table(
        name="words",
        caption=(
            "Each word in the input embedding: its pieces (a word of several is the mean of their rows), the length of its "
            "vector, and the nearest pieces of the vocabulary with their cosines, raw and with the vocabulary's mean "
            "subtracted. Spellings of one piece with and without word start or capital count as one piece; pieces of the word "
            "itself are left out. Control: cosine of the nearest piece in untrained twins, lowest to highest. Words whose "
            "nearest piece stands out most from the twins come first."
        ),
        frame=pd.DataFrame([_word_row(result.words[place]) for place in falling_order(excess)]),
    )


def _word_row(word: Word) -> dict[str, object]:
    row: dict[str, object] = {
        "word": word.word,
        "group": word.group,
        "pieces": word.pieces,
        "vector": "one piece" if word.single else "mean of pieces",
        "norm": word.norm,
    }
    for correction in ("raw", "centered"):
        row[f"nearest, {correction}"] = with_cosines(word, correction, _SHOWN_NEIGHBORS)
        row[f"twins, {correction}"] = control_range(word.nearest[correction])
    return row


def with_cosines(word: Word, correction: str, most: int | None = None) -> str:
    """The nearest pieces of a word: `goat 0.52, sheep 0.48`."""
    return ", ".join(f"{piece} {fixed(cosine)}" for piece, cosine in word.neighbors[correction][:most])


def neighbor_table(result: EmbeddingGeometry) -> Table:
    """Every neighbor in a row of its own."""
    rows = [
        {
            "word": word.word,
            "correction": correction,
            "rank": rank,
            "piece": piece,
            "cosine": cosine,
            "nearest in twins, lowest": float(word.nearest[correction].control_low),
            "nearest in twins, highest": float(word.nearest[correction].control_high),
        }
        for word in result.words
        for correction, neighbors in word.neighbors.items()
        for rank, (piece, cosine) in enumerate(neighbors, start=1)
    ]
    return Table(
        name="word-neighbors",
        caption="All listed neighbors of every word in the input embedding, for every correction. The file has all rows.",
        frame=pd.DataFrame(rows),
        rows_shown=5,
    )


def cosine_table(result: EmbeddingGeometry) -> Table:
    """The cosine matrix in figures."""
    names = [word.word for word in result.words]
    frame = pd.DataFrame(result.cosines, columns=names)
    frame.insert(0, "word", names)
    return Table(
        name="word-cosines",
        caption="Cosines of all pairs of words in the raw input embedding, words ordered by group.",
        frame=frame,
        rows_shown=5,
        columns_shown=("word", *names[:8]),
    )


def comparison_table(result: EmbeddingGeometry) -> Table:
    """The groups compared in every space."""
    return Table(
        name="word-groups",
        caption=(
            "Do words lie nearer to their own group? Mean cosine of pairs within and between groups, their difference (effect) "
            "with its 95 % interval over words, the effect in standard deviations of pair cosines (Cohen's d), mean silhouette "
            "width, and the share of words whose nearest other word is of their group. p: share of random labelings that do as "
            "well. The first row is the comparison chosen beforehand; rows of encoder spaces take every word in the "
            "same sentences. Control: untrained twins, mean, lowest and highest."
        ),
        frame=pd.DataFrame([_comparison_row(comparison) for comparison in (*result.comparisons, *result.in_sentences)]),
        columns_shown=("space", "correction", "words", "n", "effect", "effect p", "silhouette", "leave one out"),
        spans=tuple(Span.of(name, controls=CONTROLS) for name in ("effect", "silhouette", "leave one out")),
    )


def _comparison_row(comparison: Comparison) -> dict[str, object]:
    row: dict[str, object] = {
        "space": comparison.space,
        "correction": comparison.correction,
        "words": _SHORT.get(comparison.words, comparison.words),
        "n": comparison.n_words,
    }
    test = comparison.test
    for name in Separation._fields:
        title = name.replace("_", " ").replace("cohens d", "Cohen's d")
        columns = list(comparison[name].columns(title, titles=TITLES).items())
        p_value = [(f"{title} p", test.p_values[name])] if test and name in test.p_values else []
        row |= dict([*columns[:3], *p_value, *columns[3:]])
    row["leave one out by chance"] = test.chance if test else np.nan
    return row
