"""One prompt in full: what the strongest cross head takes from every source token, for every answer token."""

import numpy as np

from analyses.logit_attribution.prompt_page import legend, source_sums
from analyses.logit_attribution.summary import LogitAttribution
from interp.report import Block, Card, Figure, Heatmap, Line, Panel, Paragraph, Part, Token, TokenStrip, visible
from interp.report.numbers import number
from interp.statistics import falling_order, largest

ENCODER_SHOWN = 9
"""Encoder components with a column of their own."""


def example_blocks(result: LogitAttribution) -> tuple[Block, ...]:
    """A heatmap of answers by source tokens, and the source tokens of the answer that the head helps most."""
    head, example = result.strongest_cross, result.example
    by_row = np.asarray(example.arrays["sources"])[head.layer, head.head]
    row = largest(by_row.sum(1))[0]
    value = float(np.asarray(example.arrays["value"])[row])
    label, foil = example.label_pieces[row], str(np.asarray(example.arrays["runner_up"])[row])
    words = (
        f"One prompt in full ({example.id}): {head} is the cross-attention head that contributes most over all "
        f"prompts. It helps most where the model predicts {visible(label)!r} rather than {visible(foil)!r}: "
        f"{number(float(by_row[row].sum()))} of a logit difference of {number(value)}."
    )
    return (
        Paragraph(words),
        _rows_figure(result, by_row),
        _sources_card(result, by_row, row, foil),
        _encoder_figure(result, row, foil),
    )


def _rows_figure(result: LogitAttribution, by_row: np.ndarray) -> Figure:
    example, head = result.example, result.strongest_cross
    row, source = largest(np.abs(by_row))
    return Figure(
        name="logit-attribution-example-rows",
        caption=(
            f"{head} on the example: how much each source token (columns) adds, through this head, to the logit "
            "difference at each decoder row (named by the token it predicts). A row adds up to the head's "
            "contribution there."
        ),
        alt=(
            f"Heatmap of predicted tokens by source tokens for {head}; the largest entry is "
            f"{number(float(by_row[row, source]))} from {visible(example.source_pieces[source])!r} to "
            f"{visible(example.label_pieces[row])!r}."
        ),
        chart=Heatmap(
            panels=(
                Panel(
                    title=f"{head}, contribution by source token",
                    values=by_row,
                    row_labels=example.label_pieces,
                    column_labels=example.source_pieces,
                    row_axis="predicted token",
                    column_axis="source token",
                ),
            ),
            color_label="contribution to logit difference (logits)",
            center=0.0,
        ),
    )


def _sources_card(result: LogitAttribution, by_row: np.ndarray, row: int, foil: str) -> Card:
    """The source under the head, and under all cross heads together, on one scale."""
    example, head = result.example, result.strongest_cross
    lines = {str(head): by_row[row], "all cross-attention heads": source_sums(example)[row]}
    strongest = max(float(np.abs(values).max()) for values in lines.values())
    parts: list[Part] = [legend(strongest)]
    for name, values in lines.items():
        total = f": {number(float(values.sum()))} logits in all"
        words = (f"{name}, ", Token(example.label_pieces[row]), " rather than ", Token(foil), total)
        parts += [Line(words), TokenStrip(example.source_pieces, values, strongest)]
    title = "The source, its tokens colored by what they add to the answer"
    return Card("logit-attribution-example-sources", title, tuple(parts))


def _encoder_figure(result: LogitAttribution, row: int, foil: str) -> Figure:
    """Source tokens by the encoder components that matter most for one answer, through all cross heads."""
    example, names = result.example, result.encoder_components
    values = np.asarray(example.arrays["memory"])[row]
    order = falling_order(np.abs(values).sum(0))
    chosen, rest = order[:ENCODER_SHOWN], order[ENCODER_SHOWN:]
    shown = np.column_stack([values[:, chosen], values[:, rest].sum(1)]) if len(rest) else values[:, chosen]
    labels = (*(names[index].label for index in chosen), *([f"{len(rest)} others"] if len(rest) else []))
    source, component = largest(np.abs(values))
    answer = f"{visible(example.label_pieces[row])!r} rather than {visible(foil)!r}"
    return Figure(
        name="logit-attribution-example-encoder",
        caption=(
            "Which encoder component wrote, at which source token, what all cross-attention heads together add to "
            f"{answer}. All entries add up to the cross-attention heads' contribution at this row."
        ),
        alt=(
            f"Heatmap of source tokens by encoder components for {answer}; the largest entry is "
            f"{number(float(values[source, component]))} by {names[component]} at "
            f"{visible(example.source_pieces[source])!r}, of {number(float(values.sum()))} in all."
        ),
        chart=Heatmap(
            panels=(
                Panel(
                    title="all cross-attention heads",
                    values=shown,
                    row_labels=example.source_pieces,
                    column_labels=labels,
                    row_axis="source token",
                    column_axis="encoder component",
                ),
            ),
            color_label="contribution to logit difference (logits)",
            center=0.0,
        ),
    )
