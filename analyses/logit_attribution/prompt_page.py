"""One prompt: for every predicted token the source colored by what cross-attention took from it, and the largest components."""

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Example
from interp.report import Block, Card, Line, Paragraph, Part, SmallTable, StripLegend, Token, TokenStrip
from interp.report.card_parts import CellContent
from interp.report.numbers import number
from interp.statistics import falling_order

COMPONENTS_SHOWN = 5
"""Components with a column of their own."""


def prompt_blocks(example: Example) -> tuple[Block, ...]:
    """The blocks of one prompt's page.

    Args:
        example: with the arrays of `observe.illustrate`.
    """
    by_source = source_sums(example)
    strongest = float(np.abs(by_source).max())
    parts: list[Part] = [legend(strongest)]
    for row, contributions in enumerate(by_source):
        foil = str(np.asarray(example.arrays["runner_up"])[row])
        value = number(float(np.asarray(example.arrays["value"])[row]))
        title = (Token(example.label_pieces[row], strong=True), " rather than ", Token(foil), f": {value} logits")
        parts += [Line(title), TokenStrip(example.source_pieces, contributions, strongest)]
    intro = Paragraph(
        "Every token that is predicted, against the model's best other token there. The source is colored by what each of its "
        "tokens adds to that lead through all cross-attention heads together; the table has the decoder components that add "
        "most, by size. One prompt is a description and no finding; the section has the means over all prompts."
    )
    components = (_component_table(example),)
    return (
        intro,
        Card(f"sources-{example.slug}", "Source tokens by contribution", tuple(parts)),
        Card(f"components-{example.slug}", "Largest components for every predicted token", components),
    )


def legend(strongest: float) -> StripLegend:
    """What the colors of source tokens mean."""
    return StripLegend(strongest, "logits", "for the foil", "for the answer")


def source_sums(example: Example) -> Float[np.ndarray, "target source"]:
    """What every source token adds through all cross heads, for every decoder row."""
    return np.asarray(np.asarray(example.arrays["sources"]).sum((0, 1)))


def _component_table(example: Example) -> SmallTable:
    values, names = np.asarray(example.arrays["components"]), np.asarray(example.arrays["component_names"])
    shown = min(COMPONENTS_SHOWN, values.shape[1])
    rows: list[tuple[CellContent, ...]] = []
    for row, contributions in enumerate(values):
        order = falling_order(np.abs(contributions))
        cells = [f"{names[index]} {number(float(contributions[index]))}" for index in order[:shown]]
        cells += [number(float(contributions[order[shown:]].sum())), number(float(contributions.sum()))]
        rows.append((Token(example.label_pieces[row]), *cells))
    caption = "Components by the size of what they add to the lead of the predicted token, in logits; a row adds up to its sum."
    return SmallTable(
        caption, ("predicted", *(f"{place}." for place in range(1, shown + 1)), "all others", "sum"), rows
    )
