"""The essence of one sentence in the terminal: steps, the source shaded, and what wrote the chosen token."""

import numpy as np
from jaxtyping import Float
from rich.console import Console
from rich.table import Table
from rich.text import Text

from analyses.sentence.reading import SentenceReading
from interp.report import visible
from interp.report.numbers import number
from interp.report.visible_text import shown_token
from interp.statistics import falling_order

_LONGEST_TOKEN = 24
_ALTERNATIVES = 3
_ABOVE, _BELOW = "magenta", "dark_orange"


def print_essence(reading: SentenceReading, console: Console, top: int = 6) -> None:
    """Print what one sentence shows, in the width of a console; where there is no color, numbers alone say it.

    Args:
        reading: what was found.
        console: where to.
        top: components listed.
    """
    prompt, row = reading.prompt, reading.row
    console.print(Text(visible(f"{prompt.title} -> {reading.target} ({reading.target_origin})")))
    console.print(_steps(reading))
    label, foil = _shown(prompt.labels[row]), _shown(prompt.foils[row])
    console.print(Text(f"Step {row}: {label} rather than {foil}, {number(float(prompt.lead[row]))} logits."))
    console.print(Text("What it read: share of cross-attention, mean over layers and heads"))
    console.print(_shaded(reading, _read(reading)[row], console))
    console.print(Text("What that added to the lead, in logits: purple for the token, orange against it"))
    console.print(_shaded(reading, _added(reading)[row], console))
    written = prompt.components[row]
    parts = [
        f"{reading.explorer.components[place]} {number(float(written[place]))}"
        for place in falling_order(np.abs(written))[:top]
    ]
    console.print(Text(f"Written by: {', '.join(parts)}"))


def _read(reading: SentenceReading) -> Float[np.ndarray, "target source"]:
    return np.asarray(reading.prompt.patterns.cross.mean((0, 1)))


def _added(reading: SentenceReading) -> Float[np.ndarray, "target source"]:
    return np.asarray(reading.prompt.sources.sum((0, 1)))


def _steps(reading: SentenceReading) -> Table:
    prompt, read, added = reading.prompt, _read(reading), _added(reading)
    table = Table(box=None, padding=(0, 2, 0, 0))
    for name in ("step", "predicts", "probability", "instead", "reads most", "which adds"):
        numeric = name in ("step", "probability", "which adds")
        table.add_column(name, justify="right" if numeric else "left", overflow="fold")
    for step, label in enumerate(prompt.labels):
        others = [(token, share) for token, share in prompt.lens[step][-1] if token != label][:_ALTERNATIVES]
        instead = ", ".join(f"{_shown(token)} {number(share)}" for token, share in others)
        most = int(read[step].argmax())
        said = (str(step), _shown(label), number(float(reading.probabilities[step])), instead)
        reads = (_shown(prompt.patterns.source_tokens[most]), number(float(added[step, most])))
        table.add_row(*map(Text, (*said, *reads)))
    return table


def _shaded(reading: SentenceReading, values: Float[np.ndarray, " token"], console: Console) -> Text:
    """Source tokens with their numbers, the larger the number the stronger the shade behind them."""
    strongest = max(float(np.abs(values).max()), 1e-12)
    line = Text()
    for piece, value in zip(reading.prompt.patterns.source_tokens, values.tolist(), strict=True):
        strength, color = abs(value) / strongest, _ABOVE if value > 0 else _BELOW
        style = f"bold black on {color}" if strength > 2 / 3 else f"bold {color}" if strength > 1 / 3 else ""
        line.append(f"{_shown(piece)} {number(value)}", style=style if console.is_terminal else "").append("  ")
    return line


def _shown(piece: str) -> str:
    return shown_token(piece, _LONGEST_TOKEN)
