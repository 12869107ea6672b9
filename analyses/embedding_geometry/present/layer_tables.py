"""The tables of spaces: whole tables, layers, words in sentences, agreement of spaces."""

import numpy as np
import pandas as pd

from analyses.embedding_geometry.measure.contexts import CONTEXT_QUANTITIES, ContextCurves
from analyses.embedding_geometry.measure.layers import QUANTITIES
from analyses.embedding_geometry.measure.space_agreement import SpaceAgreement
from analyses.embedding_geometry.summary import EmbeddingGeometry
from interp.report import Span, Table
from interp.statistics import Estimate, falling_order

TITLES = ("low", "high", "twins mean", "twins lowest", "twins highest")
"""Of the columns of an estimate."""

CONTROLS = TITLES[3:]
_OF_TWINS = (Span("model", control_low=CONTROLS[0], control_high=CONTROLS[1]),)

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


def vocabulary_tables(result: EmbeddingGeometry) -> tuple[Table, Table]:
    """The whole tables, one statistic a row: sizes, and what lies between -1 and 1."""
    sizes: list[dict[str, object]] = []
    shares: list[dict[str, object]] = []
    numbers = result.tables[0].geometry
    for table in result.tables:
        for name, value in table.statistics.items():
            if name not in _COUNTS:
                (sizes if name in _SIZES else shares).append(_statistic(table.space, name.replace("_", " "), value))
        sizes += [
            _statistic(table.space, f"intrinsic dimension, {size} pieces", value)
            for size, value in table.dimensions.items()
        ]
    shares_frame, sizes_frame = (
        pd.DataFrame(rows).dropna(subset="model", ignore_index=True).round(4) for rows in (shares, sizes)
    )
    return (
        Table(
            name="vocabulary-geometry",
            caption=(
                f"The {numbers.pieces:.0f} pieces of text in both static spaces: mean cosine of all pairs (anisotropy), "
                "evenness, Spearman correlations with frequency, the tokenizer's log probability, and skewness of the counts of "
                f"hubs among {numbers.compared_pieces:.0f} pieces. IsoScore is the participation ratio of the next table on the "
                "scale of 0 to 1 and no second piece of evidence. Control: untrained twins."
            ),
            frame=shares_frame,
            rows_shown=None,
            spans=_OF_TWINS,
        ),
        Table(
            name="vocabulary-sizes",
            caption=(
                "Lengths of rows, number of directions that share the variance, and intrinsic dimension at several sample sizes "
                "(the higher it is, the more it is underestimated). Control: untrained twins."
            ),
            frame=sizes_frame,
            rows_shown=None,
            spans=_OF_TWINS,
        ),
    )


def _statistic(space: str, name: str, value: Estimate) -> dict[str, object]:
    columns = value.columns("model", prefix="", titles=TITLES)
    return {"space": space, "statistic": name, **{title: columns[title] for title in ("model", *TITLES[2:])}}


def hub_table(result: EmbeddingGeometry) -> Table:
    """The strongest hubs."""
    return Table(
        name="vocabulary-hubs",
        caption=(
            "Pieces that stand in most lists of ten nearest pieces in the raw input embedding (the mean over all pieces is ten; "
            "pieces as near as each other share the last place), and the length of their rows. Untrained twins: skewness of the "
            "counts in the table above."
        ),
        frame=pd.DataFrame(result.hubs),
        rows_shown=None,
    )


def layer_table(result: EmbeddingGeometry) -> Table:
    """The curves of the prompts over the layers."""
    layers = result.layers
    columns: dict[str, object] = {"space": layers.spaces}
    for index, name in enumerate(QUANTITIES):
        columns |= layers.curves[index].columns(_SHORT.get(name, name), titles=TITLES)
    columns["prompts"] = layers.curves.interval.count[0]
    drawn = [_SHORT.get(name, name) for name in QUANTITIES]
    return Table(
        name="layer-geometry",
        caption=(
            "Anisotropy: mean cosine of tokens of different sentences. Intra-sentence similarity: mean cosine of a token and its "
            "sentence's mean; adjusted: minus anisotropy. 95 % intervals over sentences. Control: untrained twins."
        ),
        frame=pd.DataFrame(columns),
        rows_shown=None,
        columns_shown=("space", *drawn, "prompts"),
        spans=tuple(Span.of(name, controls=CONTROLS) for name in drawn),
    )


def context_table(contexts: ContextCurves, start: str) -> Table:
    """Words in sentences, means over words."""
    columns: dict[str, object] = {"space": contexts.spaces}
    for index, name in enumerate(CONTEXT_QUANTITIES):
        found = contexts.curves[index].columns(_SHORT.get(name, name), titles=TITLES)
        columns |= {title: values for title, values in found.items() if not title.endswith("twins mean")}
    columns["split p"] = contexts.split_p
    drawn = [_SHORT.get(name, name) for name in CONTEXT_QUANTITIES]
    return Table(
        name="words-in-context",
        caption=(
            f"{len(contexts.words)} words of two senses ({', '.join(contexts.words)}) in eight sentences each. "
            f"Self-similarity: mean cosine of a word's occurrences minus anisotropy. Drift: 1 - cosine with {start}. "
            "Sense split: mean cosine within a sense minus between senses, with family-wise p over the spaces. 95 % intervals "
            "over words. Control: untrained twins."
        ),
        frame=pd.DataFrame(columns),
        rows_shown=None,
        spans=tuple(Span.of(name, controls=CONTROLS) for name in drawn),
    )


def sense_table(contexts: ContextCurves) -> Table:
    """The sense split of every word, those that split most first."""
    split = contexts.per_word[:, 2]
    order = falling_order(split[:, -1])
    frame = pd.DataFrame(
        np.vstack([split[order], contexts.curves.control_mean[2]]),
        columns=list(contexts.spaces),
    )
    frame.insert(0, "word", [*(contexts.words[place] for place in order), "untrained twins, mean"])
    return Table(
        name="word-senses",
        caption=(
            "Sense split of every word by space, the strongest in the last space first; the last row is the mean over words in "
            "untrained twins."
        ),
        frame=frame,
        rows_shown=None,
    )


def agreement_table(result: EmbeddingGeometry, found: SpaceAgreement) -> Table:
    """All pairs of spaces, those that differ in stack first."""
    rows = []
    encoder = result.n_encoder_spaces
    for i, j in zip(*np.triu_indices(len(found.spaces), 1), strict=True):
        across = np.concatenate([found.across[:, i, j], found.across[:, j, i]])
        cka = found.cka[i, j]
        rows.append({
            "first": found.spaces[i],
            "second": found.spaces[j],
            "stacks": "encoder and decoder" if i < encoder <= j else "one stack",
            "CKA": float(cka.point),
            "CKA low": float(cka.low),
            "CKA high": float(cka.high),
            "CKA p": found.cka_p[i, j],
            "CKA without top dimensions": found.cka_without_top[i, j],
            "RSA": found.rsa.correlation[i, j],
            "RSA p": found.rsa.p_value[i, j],
            "inside twins lowest": float(cka.control_low),
            "inside twins highest": float(cka.control_high),
            "model and twin lowest": across.min(),
            "model and twin highest": across.max(),
        })
    frame = pd.DataFrame(rows)
    frame = frame.iloc[falling_order(frame["CKA"].to_numpy())].sort_values("stacks", kind="stable", ignore_index=True)
    return Table(
        name="space-agreement",
        caption=(
            f"Agreement of every two spaces over {found.n_sentences} sentences: debiased CKA with 95 % interval and p from "
            "shuffled sentences, the same without the dimensions of largest variance, and RSA. Control: the same two spaces "
            "inside untrained twins, and one of them in the model and the other in a twin."
        ),
        frame=frame,
        columns_shown=(
            *("first", "second", "CKA", "CKA p", "CKA without top dimensions", "RSA", "RSA p"),
            "model and twin highest",
        ),
        spans=(Span("CKA", "CKA low", "CKA high", "inside twins lowest", "inside twins highest"),),
    )
