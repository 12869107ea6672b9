"""The tables: every number with its interval and its control, the most telling rows first."""

import numpy as np
import pandas as pd

from analyses.cross_attention_focus.summary import SHAPES, Focus
from interp.hooks.names import HeadId
from interp.report import Span, Table
from interp.statistics import falling_order

_SHOWN = ("category", "version", "mass", "base rate", "lift")
_MASS = Span.of("mass", "")


def tables(focus: Focus) -> tuple[Table, ...]:
    """Trends, masses by layer and by head, shape statistics by layer and by head."""
    return (_trend_table(focus), _layer_table(focus), _head_table(focus), _shape_table(focus))


def most_telling_first(frame: pd.DataFrame, surprise: pd.Series) -> pd.DataFrame:
    """Rows by falling surprise, undefined ones last, ties in their order."""
    return frame.iloc[falling_order(surprise.abs().to_numpy())].reset_index(drop=True)


def _trend_table(focus: Focus) -> Table:
    rows = [
        {
            "category": trend.category,
            "version": trend.version,
            **trend.change.columns("change", prefix=""),
            "chance low": trend.chance[0],
            "chance high": trend.chance[1],
            "rank correlation": trend.rank_correlation,
            "p rising": trend.p_rising,
            "p falling": trend.p_falling,
            "verdict": trend.verdict,
        }
        for trend in focus.trends
    ]
    return Table(
        name="cross-focus-trends",
        caption=(
            "Trend of every category's mass over the decoder layers. Change: rise of the fitted line from the first to the last "
            "layer, with its 95 % interval over sentences and the untrained twins' changes; chance: where 95 % of untrained "
            "models would lie. p: Page's test within sentences, adjusted over all tests of this table (Benjamini-Hochberg). "
            "A trend is called only if p < 0.05, the change is at least 0.05, its interval excludes 0 and it lies beyond chance."
        ),
        frame=pd.DataFrame(rows),
        rows_shown=None,
        columns_shown=("category", "version", "change", "rank correlation", "p rising", "p falling", "verdict"),
        spans=(Span("change", "low", "high", "chance low", "chance high"),),
    )


def _layer_table(focus: Focus) -> Table:
    rows = [
        {
            "layer": layer,
            "category": category,
            "version": masses.version,
            "mass": np.nan,
            "base rate": float(masses.base_rate[column]),
            **masses.layer[layer, column].columns("mass", prefix=""),
            **masses.layer_lift[layer, column].columns("lift"),
        }
        for masses in focus.masses.values()
        for layer in range(focus.n_layers)
        for column, category in enumerate(masses.categories)
    ]
    frame = pd.DataFrame(rows)
    return Table(
        name="cross-focus-mass-by-layer",
        caption=(
            "Cross-attention mass of every decoder layer on every category of source token, in three versions, with 95 % "
            "intervals over sentences, the base rate |c|/S and the untrained twins. Lift is mass over base rate. Rows furthest "
            "from their base rate come first."
        ),
        frame=most_telling_first(frame, frame["mass"] - frame["base rate"]),
        columns_shown=("layer", *_SHOWN),
        spans=(_MASS,),
    )


def _head_table(focus: Focus) -> Table:
    rows = [
        {
            "head": str(HeadId("cross", layer, head)),
            "category": masses.categories[column],
            "version": masses.version,
            "mass": np.nan,
            "base rate": float(masses.base_rate[column]),
            "lift": float(masses.head_lift.point[layer, head, column]),
            **masses.head[layer, head, column].columns("mass", prefix=""),
        }
        for masses in focus.masses.values()
        for layer, head, column in np.ndindex(*masses.head.point.shape)
    ]
    frame = pd.DataFrame(rows)
    return Table(
        name="cross-focus-mass-by-head",
        caption=(
            "The same for every head; the twins' columns are those of the head at the same place in the untrained models. Rows "
            "furthest from their base rate come first, so the top of the table flatters its heads: the findings name heads "
            "chosen on one half of the sentences and measured on the other."
        ),
        frame=most_telling_first(frame, frame["mass"] - frame["base rate"]),
        columns_shown=("head", *_SHOWN),
        spans=(_MASS,),
    )


def _shape_table(focus: Focus) -> Table:
    rows = []
    for name, cells in focus.shapes.items():
        reading, unit, statistic = name.split(".")
        rows += [
            {
                "place": str(HeadId("cross", *index)) if unit == "head" else f"layer {index[0]}",
                "statistic": statistic.replace("_", " "),
                "reading": reading,
                **cells[index].columns("value", prefix=""),
            }
            for index in np.ndindex(*cells.point.shape)
        ]
    frame = pd.DataFrame(rows)
    assert set(frame["statistic"]) == {name.replace("_", " ") for name in SHAPES}
    return Table(
        name="cross-focus-shape",
        caption=(
            "Shape of every reading, by head and by layer. Entropy is divided by ln n (1: even spread); retained is the mass on "
            "the content span and usable the share of rows that keep at least 0.05 of it; span entropy, center (0: first, 1: "
            "last token of the span), spread, monotonicity (Kendall's tau of center with row), diagonality (Pearson's r) and "
            "evenness of coverage are taken on the renormalized span. Rows furthest from the untrained twins come first."
        ),
        frame=most_telling_first(frame, frame["value"] - frame["twins mean"]),
        spans=(Span.of("value", ""),),
    )
