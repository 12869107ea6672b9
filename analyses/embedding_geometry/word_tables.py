"""The tables of words: neighbours, cosines, and groups compared; each with what untrained twins give."""

import numpy as np
import pandas as pd

from analyses.embedding_geometry.comparisons import ALL, SINGLE, Comparison
from analyses.embedding_geometry.summary import EmbeddingGeometry, Word
from interp.geometry.group_separation import FIELDS
from interp.report import Table

_SHOWN_NEIGHBOURS = 3
_SHORT = {SINGLE: "one piece", ALL: "with means"}


def word_table(result: EmbeddingGeometry) -> Table:
    """Every word with its nearest pieces."""
    return Table(
        name="words",
        caption=(
            "Each word in the input embedding: its pieces (a word of several is the mean of their rows), the length of its "
            "vector, and the nearest pieces of the vocabulary with their cosines, raw and with the vocabulary's mean "
            "subtracted. Spellings of one piece with and without word start or capital count as one piece; pieces of the word "
            "itself are left out. "
            "Control: cosine of the nearest piece in untrained twins, lowest to highest. Words whose nearest piece stands out "
            "most from the twins come first."
        ),
        frame=pd.DataFrame([_word_row(word) for word in sorted(result.words, key=_excess, reverse=True)]),
    )


def _excess(word: Word) -> float:
    """By how much the nearest piece is nearer than in any twin."""
    return word.cosines["raw"][0] - max(word.twin_cosines["raw"])


def _word_row(word: Word) -> dict[str, object]:
    row: dict[str, object] = {
        "word": word.word,
        "group": word.group,
        "pieces": word.pieces,
        "vector": "one piece" if word.single else "mean of pieces",
        "norm": word.norm,
    }
    for correction in ("raw", "centred"):
        pairs = zip(word.neighbours[correction], word.cosines[correction], strict=False)
        row[f"nearest, {correction}"] = ", ".join(
            f"{piece} {cosine:.2f}" for piece, cosine in list(pairs)[:_SHOWN_NEIGHBOURS]
        )
        twins = word.twin_cosines[correction]
        row[f"twins, {correction}"] = f"{min(twins):.2f} to {max(twins):.2f}" if twins else ""
    return row


def neighbour_table(result: EmbeddingGeometry) -> Table:
    """Every neighbour in a row of its own."""
    rows = [
        {
            "word": word.word,
            "correction": correction,
            "rank": rank + 1,
            "piece": piece,
            "cosine": cosine,
            "nearest in twins, lowest": min(word.twin_cosines.get(correction, ()), default=np.nan),
            "nearest in twins, highest": max(word.twin_cosines.get(correction, ()), default=np.nan),
        }
        for word in result.words
        for correction in word.neighbours
        for rank, (piece, cosine) in enumerate(zip(word.neighbours[correction], word.cosines[correction], strict=False))
    ]
    return Table(
        name="word-neighbours",
        caption="All listed neighbours of every word in the input embedding, for every correction. The file has all rows.",
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
    compared = (*result.comparisons, *result.in_sentences)
    return Table(
        name="word-groups",
        caption=(
            "Do words lie nearer to their own group? Mean cosine of pairs within and between groups, their difference (effect) "
            "with its 95 % interval over words, the effect in standard deviations of pair cosines (Cohen's d), mean silhouette "
            "width, and the share of words whose nearest other word is of their group. p: share of random labellings that do as "
            "well. The first row is the comparison chosen beforehand; rows of encoder spaces take every word in the "
            "same sentences. Control: untrained twins, mean, lowest and highest."
        ),
        frame=pd.DataFrame([_comparison_row(comparison) for comparison in compared]),
        columns_shown=(
            "space", "correction", "words", "n", "effect", "effect low", "effect high", "effect p", "silhouette",
            "silhouette p", "leave one out", "effect twins lowest", "effect twins highest",
        ),
    )  # fmt: skip


def _comparison_row(comparison: Comparison) -> dict[str, object]:
    row: dict[str, object] = {
        "space": comparison.space,
        "correction": comparison.correction,
        "words": _SHORT.get(comparison.words, comparison.words),
        "n": comparison.n_words,
    }
    test = comparison.test
    p_values = (
        {"effect": test.p_effect, "silhouette": test.p_silhouette, "leave_one_out": test.p_leave_one_out}
        if test
        else {}
    )
    for name in FIELDS:
        title = name.replace("_", " ").replace("cohens d", "Cohen's d")
        row[title] = getattr(test.observed, name) if test else np.nan
        row[f"{title} low"] = getattr(test.low, name) if test else np.nan
        row[f"{title} high"] = getattr(test.high, name) if test else np.nan
        if name in p_values:
            row[f"{title} p"] = p_values[name]
        twins = [getattr(twin, name) for twin in comparison.twins] or [np.nan]
        row[f"{title} twins mean"] = float(np.mean(twins))
        row[f"{title} twins lowest"], row[f"{title} twins highest"] = min(twins), max(twins)
    row["leave one out by chance"] = test.chance if test else np.nan
    return row
