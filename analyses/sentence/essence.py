"""The essence of one sentence in the terminal: steps, the source shaded, and what wrote the chosen token."""

import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analyses.sentence.page import LONGEST_TOKEN, alternatives
from analyses.sentence.reading import SentenceReading
from interp.report import visible
from interp.report.numbers import number
from interp.report.visible_text import shown_token


def print_essence(reading: SentenceReading, console: Console, top: int = 6) -> None:
    """Print what one sentence shows, in the width of a console; without color, numbers stand for shades.

    Args:
        reading: what was found.
        console: where to.
        top: components listed.
    """
    told = reading.explanation
    console.print(Text(visible(f"{told.source} -> {told.target} ({told.target_origin})")))
    console.print(_step_table(reading))
    console.print(
        Text(
            f"Step {told.position}: {_shown(told.label)} rather than {_shown(told.foil)}, {number(told.difference)} logits. "
            "What it read (share of cross-attention, mean over layers and heads):"
        )
    )
    source, row = reading.batch.source_texts[0].pieces, told.position
    console.print(_shaded(source, reading.read[row], console, "magenta", "magenta"))
    console.print(Text("What that added to the lead (logits; purple for the token, orange against it):"))
    console.print(
        _shaded(source, told.sources["contribution"].to_numpy()[: len(source)], console, "magenta", "dark_orange")
    )
    shown = told.components.head(top).itertuples(index=False)
    console.print(Text("Written by: " + ", ".join(f"{name} {number(value)}" for name, value in shown)))


def _step_table(reading: SentenceReading) -> Table:
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("step", "predicts", "probability", "instead", "reads most", "from there"):
        table.add_column(
            name, justify="right" if name in ("step", "probability", "from there") else "left", overflow="fold"
        )
    source = reading.batch.source_texts[0].pieces
    for step, row in enumerate(alternatives(reading.steps).to_dict("records")):
        most = int(reading.read[step].argmax())
        said = (str(step), _shown(row["predicts"]), number(row["probability"]), row["instead"])
        table.add_row(*map(Text, (*said, _shown(source[most]), number(float(reading.written[step, most])))))
    return table


def _shaded(
    pieces: tuple[str, ...], values: Float[np.ndarray, " token"], console: Console, above: str, below: str
) -> Text:
    """Tokens with their numbers, the larger the number the stronger the shade behind them."""
    strongest = max(float(np.abs(values).max()), 1e-12)
    line = Text()
    for piece, value in zip(pieces, values, strict=True):
        strength = abs(float(value)) / strongest
        color = above if value > 0 else below
        style = f"bold black on {color}" if strength > 2 / 3 else f"bold {color}" if strength > 1 / 3 else ""
        line.append(f"{_shown(piece)} {number(float(value))}", style=style if console.is_terminal else "")
        line.append("  ")
    return line


def _shown(piece: str) -> str:
    return shown_token(piece, LONGEST_TOKEN)
