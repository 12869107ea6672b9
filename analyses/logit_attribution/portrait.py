"""One prompt: for every predicted token the source coloured by what cross-attention took from it, and the largest components."""

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Example
from analyses.logit_attribution.coloured import coloured_sentence, legend, token_text
from analyses.logit_attribution.wording import number
from interp.report import Block, Paragraph, Sketch

COMPONENTS_SHOWN = 5
"""Components with a column of their own."""


def portray(example: Example) -> tuple[Block, ...]:
    """The blocks of one prompt's page.

    Args:
        example: with the arrays of `observe.illustrate`.
    """
    by_source = source_sums(example)
    strongest = float(np.abs(by_source).max())
    sentences = "".join(
        f"<p>{_row_title(example, row)}</p>{coloured_sentence(example.source_pieces, by_source[row], strongest)}"
        for row in range(len(by_source))
    )
    intro = Paragraph(
        "Every token that is predicted, against the model's best other token there. The source is coloured by what each of its "
        "tokens adds to that lead through all cross-attention heads together; the table has the decoder components that add "
        "most, by size. One prompt is a description and no finding; the section has the means over all prompts."
    )
    return (
        intro,
        Sketch(f"sources-{example.slug}", "Source tokens by contribution", legend(strongest) + sentences),
        Sketch(f"components-{example.slug}", "Largest components for every predicted token", _component_table(example)),
    )


def source_sums(example: Example) -> Float[np.ndarray, "target source"]:
    """What every source token adds through all cross heads, for every decoder row."""
    return np.asarray(np.asarray(example.arrays["sources"]).sum((0, 1)))


def _row_title(example: Example, row: int) -> str:
    foil = str(np.asarray(example.arrays["runner_up"])[row])
    value = float(np.asarray(example.arrays["value"])[row])
    return f"<strong>{token_text(example.label_pieces[row])}</strong> rather than {token_text(foil)}: {number(value)} logits"


def _component_table(example: Example) -> str:
    values, names = np.asarray(example.arrays["components"]), np.asarray(example.arrays["component_names"])
    shown = min(COMPONENTS_SHOWN, values.shape[1])
    rows = []
    for row, contributions in enumerate(values):
        order = np.argsort(-np.abs(contributions), kind="stable")
        cells = [f"{names[index]} {number(float(contributions[index]))}" for index in order[:shown]]
        cells += [number(float(contributions[order[shown:]].sum())), number(float(contributions.sum()))]
        title = f"{token_text(example.label_pieces[row])}"
        rows.append(f'<tr><th scope="row">{title}</th>{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>')
    heads = ["predicted", *(f"{place}." for place in range(1, shown + 1)), "all others", "sum"]
    columns = "".join(f'<th scope="col">{name}</th>' for name in heads)
    return (
        "<table><caption>Components by the size of what they add to the lead of the predicted token, in logits; a row adds up to "
        f"its sum.</caption><thead><tr>{columns}</tr></thead><tbody>{''.join(rows)}</tbody></table>"
    )
