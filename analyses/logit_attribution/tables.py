"""Tables: every number with its interval and its control."""

from typing import Any

import numpy as np
import pandas as pd

from analyses.logit_attribution.assumptions import encoder_writers, lengths
from analyses.logit_attribution.summary import LogitAttribution
from interp.hooks.names import HeadId
from interp.report import Span, Table
from interp.statistics import Estimate, falling_order


def estimate_columns(name: str, estimate: Estimate, twins_range: bool = True) -> dict[str, Any]:
    """An estimate as columns: mean, interval, mean and range of the twins; a single twin has no range."""
    columns = estimate.columns(name, f"{name}: ", ("low", "high", "twins", "twins low", "twins high"))
    return columns if twins_range else dict(list(columns.items())[:-2])


def component_frame(result: LogitAttribution) -> pd.DataFrame:
    """One row a component, the largest contribution to the logit difference first."""
    frame = pd.DataFrame({
        "component": [one.label for one in result.components],
        "kind": [one.kind for one in result.components],
        "layer": pd.array([one.layer for one in result.components], dtype="Int64"),
        **estimate_columns("difference", result.difference),
        "family-wise p": result.test.p_value,
        "rank": result.ranks.point.astype(int),
        "rank: low": pd.array(result.ranks.low, dtype="Int64"),
        "rank: high": pd.array(result.ranks.high, dtype="Int64"),
        **estimate_columns("label against mean", result.centered),
        **estimate_columns("label", result.label),
        **estimate_columns("squared length", result.share),
    })
    return frame.iloc[result.order].reset_index(drop=True)


def component_table(result: LogitAttribution) -> Table:
    """The table of all components."""
    return Table(
        name="logit-attribution-components",
        caption=(
            "Components of the decoder, the largest contribution to the logit difference (label less runner-up) "
            "first, in logits: mean over sentences, 95 % bootstrap interval, mean of the untrained twins. Rank is "
            f"by size; low and high are its 95 % range under resampling. {lengths(result.cfg)} "
            "The CSV also has the label's own logit, the label against "
            "the vocabulary's mean, and the range of the twins."
        ),
        frame=component_frame(result),
        rows_shown=16,
        columns_shown=(
            *("component", "difference", "family-wise p", "rank: low", "rank: high"),
            *("label against mean", "squared length"),
        ),
        spans=tuple(Span.of(name, f"{name}: ") for name in ("difference", "label against mean", "squared length")),
    )


def category_frame(result: LogitAttribution) -> pd.DataFrame:
    """One row a cross head, by the size of its contribution; columns are its source categories, which add up to it."""
    layers, heads = result.categories.point.shape[:2]
    labels = [str(HeadId("cross", layer, head)) for layer in range(layers) for head in range(heads)]
    total = result.categories.point.sum(-1).reshape(-1)
    columns: dict[str, object] = {"head": labels, "all tokens": total}
    for index, name in enumerate(result.category_names):
        for column, values in estimate_columns(name, result.categories).items():
            columns[column] = np.asarray(values)[..., index].reshape(-1)
    order = falling_order(np.abs(total))
    return pd.DataFrame(columns).iloc[order].reset_index(drop=True)


def category_table(result: LogitAttribution) -> Table:
    """The table of cross heads by source category."""
    shares = ", ".join(
        f"{name} {share:.0%}" for name, share in zip(result.category_names, result.category_share, strict=True)
    )
    return Table(
        name="logit-attribution-sources",
        caption=(
            "Cross-attention heads over the kinds of source token they take their contribution from (logit "
            "difference, mean over sentences): a row's categories add up to the head. Base rates, as shares of the "
            f"source tokens: {shares}. Intervals and the range of the untrained twins are in the CSV."
        ),
        frame=category_frame(result),
        rows_shown=12,
        columns_shown=("head", "all tokens", *result.category_names),
        spans=tuple(Span.of(name, f"{name}: ") for name in result.category_names),
    )


def encoder_frame(result: LogitAttribution) -> pd.DataFrame:
    """One row an encoder component, the largest contribution through the strongest cross head first."""
    frame = pd.DataFrame({
        "encoder component": [one.label for one in result.encoder_components],
        **estimate_columns(f"through {result.strongest_cross}", result.through_strongest),
        **estimate_columns("through all cross heads", result.through_all),
    })
    order = falling_order(np.abs(result.through_strongest.point))
    return frame.iloc[order].reset_index(drop=True)


def encoder_table(result: LogitAttribution) -> Table:
    """The table of encoder components."""
    names = (f"through {result.strongest_cross}", "through all cross heads")
    return Table(
        name="logit-attribution-encoder",
        caption=(
            f"{encoder_writers(result.cfg)} by what they add to the logit difference through the values "
            f"that {result.strongest_cross} reads (largest first) and through those of all cross-attention heads: "
            "mean over sentences in logits, 95 % bootstrap interval, mean of the untrained twins. The column of a "
            "head adds up to the head."
        ),
        frame=encoder_frame(result),
        rows_shown=12,
        columns_shown=("encoder component", *names),
        spans=tuple(Span.of(name, f"{name}: ") for name in names),
    )


def completeness_table(result: LogitAttribution) -> Table:
    """The gaps of every prompt, in the order of the prompts: which of several roundings is largest is no finding."""
    return Table(
        name="logit-attribution-completeness",
        caption=(
            "Completeness of every prompt: the largest difference over decoder rows between a "
            "sum of contributions and the number it explains, as a share of the root of the contributions' summed squares."
        ),
        frame=result.completeness,
        rows_shown=5,
    )
