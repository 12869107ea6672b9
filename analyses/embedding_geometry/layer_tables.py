"""The tables of spaces: whole tables, layers, words in sentences, agreement of spaces."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analyses.embedding_geometry.contexts import CONTEXT_QUANTITIES
from analyses.embedding_geometry.correspondence import Correspondence
from analyses.embedding_geometry.layers import QUANTITIES
from analyses.embedding_geometry.summary import EmbeddingGeometry
from analyses.embedding_geometry.whole_table import STATISTICS
from interp.report import Table

_SIZES = frozenset(
    "norm_mean norm_deviation norm_of_sentinels norm_of_unused participation_ratio participation_without_frequency".split()
)
_COUNTS = frozenset(("pieces", "compared_pieces"))

_SHORT = {
    "intra-sentence similarity": "intra-sentence",
    "adjusted intra-sentence similarity": "adjusted",
    "adjusted self-similarity": "self-similarity",
    "sense split": "split",
}
"""Headings of narrow columns."""


def range_of(values: Sequence[float] | np.ndarray) -> dict[str, float]:
    """Mean, lowest and highest of what the twins gave."""
    array = np.asarray(values, dtype=np.float64)
    return {"mean": float(array.mean()), "lowest": float(array.min()), "highest": float(array.max())}


def vocabulary_tables(result: EmbeddingGeometry) -> tuple[Table, Table]:
    """The whole tables, one statistic a row: sizes, and what lies between -1 and 1."""
    sizes: list[dict[str, object]] = []
    shares: list[dict[str, object]] = []
    numbers = result.tables[0].geometry
    for table in result.tables:
        for name in (name for name in STATISTICS if name not in _COUNTS):
            twins = [getattr(twin, name) for twin in table.twins]
            row = _statistic(table.space, name.replace("_", " "), getattr(table.geometry, name), twins)
            (sizes if name in _SIZES else shares).extend(row)
        for size, value in table.dimensions.items():
            twins = [twin[size] for twin in table.twin_dimensions]
            sizes.extend(_statistic(table.space, f"intrinsic dimension, {size} pieces", value, twins))
    return (
        Table(
            name="vocabulary-geometry",
            caption=(
                f"The {numbers.pieces:.0f} pieces of text in both static spaces: mean cosine of all pairs "
                "(anisotropy), evenness, "
                "Spearman correlations with frequency, the tokenizer's log probability, and skewness of the counts of hubs among "
                f"{numbers.compared_pieces:.0f} pieces. IsoScore is the participation ratio of the next table on the "
                "scale of 0 to 1 "
                "and no second piece of evidence. Control: untrained twins."
            ),
            frame=pd.DataFrame(shares).round(4),
            rows_shown=None,
        ),
        Table(
            name="vocabulary-sizes",
            caption=(
                "Lengths of rows, number of directions that share the variance, and intrinsic dimension at several "
                "sample sizes (the "
                "higher it is, the more it is underestimated). Control: untrained twins."
            ),
            frame=pd.DataFrame(sizes).round(2),
            rows_shown=None,
        ),
    )


def _statistic(space: str, name: str, value: float, twins: list[float]) -> list[dict[str, object]]:
    """One row, or none where the statistic is not defined."""
    if np.isnan(value):
        return []
    return [{"space": space, "statistic": name, "model": value, **_named("twins", range_of(twins))}]


def _named(prefix: str, values: dict[str, float]) -> dict[str, float]:
    return {f"{prefix} {name}": value for name, value in values.items()}


def hub_table(result: EmbeddingGeometry) -> Table:
    """The strongest hubs."""
    return Table(
        name="vocabulary-hubs",
        caption=(
            "Pieces that stand in most lists of ten nearest pieces in the raw input embedding (the mean over all pieces is ten), "
            "and the length of their rows. Untrained twins: skewness of the counts in the table above."
        ),
        frame=pd.DataFrame([{"piece": hub.piece, "lists": hub.count, "norm": hub.norm} for hub in result.hubs]),
        rows_shown=None,
    )


def layer_table(result: EmbeddingGeometry) -> Table:
    """The curves of the prompts over the layers."""
    layers = result.layers
    columns: dict[str, object] = {"space": layers.spaces}
    for index, name in enumerate(QUANTITIES):
        quantity = _SHORT.get(name, name)
        columns[quantity] = layers.curves.point[index]
        columns[f"{quantity} low"] = layers.curves.low[index]
        columns[f"{quantity} high"] = layers.curves.high[index]
        for title, reduce in (("mean", np.mean), ("lowest", np.min), ("highest", np.max)):
            columns[f"{quantity} twins {title}"] = reduce(layers.twins[:, index], axis=0)
    columns["prompts"] = layers.curves.count[0]
    shown = [column for column in columns if not column.endswith("twins mean") and not column.startswith("intra")]
    return Table(
        name="layer-geometry",
        caption=(
            "Anisotropy: mean cosine of tokens of different sentences. Intra-sentence similarity: mean cosine of a token and its "
            "sentence's mean; adjusted: minus anisotropy. 95 % intervals over sentences. Control: untrained twins."
        ),
        frame=pd.DataFrame(columns),
        rows_shown=None,
        columns_shown=tuple(shown),
    )


def context_table(result: EmbeddingGeometry) -> Table:
    """Words in sentences, means over words."""
    contexts = result.contexts
    columns: dict[str, object] = {"space": contexts.spaces}
    for index, name in enumerate(CONTEXT_QUANTITIES):
        quantity = _SHORT.get(name, name)
        columns[quantity] = contexts.curves.point[index]
        columns[f"{quantity} low"] = contexts.curves.low[index]
        columns[f"{quantity} high"] = contexts.curves.high[index]
        columns[f"{quantity} twins lowest"] = contexts.twins[:, index].min(axis=0)
        columns[f"{quantity} twins highest"] = contexts.twins[:, index].max(axis=0)
    columns["split p"] = contexts.split_p
    return Table(
        name="words-in-context",
        caption=(
            f"{len(contexts.words)} words of two senses ({', '.join(contexts.words)}) in eight sentences each. "
            "Self-similarity: mean cosine of a word's occurrences minus anisotropy. Drift: 1 - cosine with "
            f"{result.start}. Sense "
            "split: mean cosine within a sense minus between senses, with family-wise p over the spaces. 95 % "
            "intervals over words. "
            "Control: untrained twins."
        ),
        frame=pd.DataFrame(columns),
        rows_shown=None,
    )


def sense_table(result: EmbeddingGeometry) -> Table:
    """The sense split of every word, those that split most first."""
    contexts = result.contexts
    frame = pd.DataFrame(contexts.per_word[:, 2], columns=list(contexts.spaces))
    frame.insert(0, "word", contexts.words)
    frame = frame.sort_values(contexts.spaces[-1], ascending=False, kind="stable").reset_index(drop=True)
    control = pd.DataFrame(
        [["untrained twins, mean", *contexts.twins[:, 2].mean(axis=0)]], columns=["word", *contexts.spaces]
    )
    return Table(
        name="word-senses",
        caption=(
            "Sense split of every word by space, the strongest in the last space first; the last row is the mean over words in "
            "untrained twins."
        ),
        frame=pd.concat([frame, control], ignore_index=True),
        rows_shown=None,
    )


def correspondence_table(result: EmbeddingGeometry, found: Correspondence) -> Table:
    """All pairs of spaces, those that differ in stack first."""
    rows = []
    encoder = result.n_encoder_spaces
    for i, first in enumerate(found.spaces):
        for j, second in enumerate(found.spaces[i + 1 :], start=i + 1):
            across = np.concatenate([found.across[:, i, j], found.across[:, j, i]])
            rows.append({
                "first": first,
                "second": second,
                "stacks": "encoder and decoder" if i < encoder <= j else "one stack",
                "CKA": found.cka.correlation[i, j],
                "CKA low": found.cka_low[i, j],
                "CKA high": found.cka_high[i, j],
                "CKA p": found.cka.p_value[i, j],
                "CKA without top dimensions": found.cka_without_top[i, j],
                "RSA": found.rsa.correlation[i, j],
                "RSA p": found.rsa.p_value[i, j],
                "inside twins lowest": found.twins[:, i, j].min(),
                "inside twins highest": found.twins[:, i, j].max(),
                "model and twin lowest": across.min(),
                "model and twin highest": across.max(),
            })
    frame = pd.DataFrame(rows).sort_values(["stacks", "CKA"], ascending=[True, False], kind="stable")
    return Table(
        name="space-agreement",
        caption=(
            f"Agreement of every two spaces over {found.n_sentences} sentences: debiased CKA with 95 % interval and "
            "p from shuffled "
            "sentences, the same without the dimensions of largest variance, and RSA. Control: the same two spaces "
            "inside untrained "
            "twins, and one of them in the model and the other in a twin."
        ),
        frame=frame.reset_index(drop=True),
        columns_shown=(
            "first", "second", "CKA", "CKA low", "CKA high", "CKA p", "CKA without top dimensions", "RSA", "RSA p",
            "inside twins highest", "model and twin highest",
        ),
    )  # fmt: skip
