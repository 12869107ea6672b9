"""What minimal pairs say: sentences, figures and a table about which heads an exchanged token moves."""

import numpy as np
import pandas as pd

from analyses.cross_attention_focus.measure.token_swaps import SwapKind
from analyses.cross_attention_focus.present.figures import CAVEAT
from analyses.cross_attention_focus.present.tables import most_telling_first
from analyses.cross_attention_focus.summary import Focus, Moved
from interp.hooks.names import HeadId
from interp.report import Figure, Heatmap, Panel, Span, Table
from interp.report.numbers import control_range, counted, fixed, signed, with_interval
from interp.statistics import largest

_WHAT: dict[SwapKind, str] = {
    "language": "Exchanging the language in the prefix (German, French)",
    "word": "Exchanging one content word for another of its kind",
}


def swap_sentences(focus: Focus) -> tuple[str, ...]:
    """One sentence for each kind of swap that some prompt allows."""
    return tuple(_sentence(focus, kind, moved) for kind, moved in focus.swaps.items())


def _sentence(focus: Focus, kind: SwapKind, moved: Moved) -> str:
    last = focus.n_layers - 1
    first_layer, last_layer = moved.layer[0], moved.layer[last]
    sentence = (
        f"{_WHAT[kind]} moves the heads of layer 0 by {with_interval(first_layer, 3)} and those of layer {last} by "
        f"{with_interval(last_layer, 3)} of the largest possible divergence (untrained twins {control_range(first_layer, 3)} and "
        f"{control_range(last_layer, 3)}; {counted(moved.n_sentences, 'sentence')})"
    )
    if moved.head is None:
        return f"{sentence}."
    value, gained = moved.head.value, moved.gained[moved.head.head.layer, moved.head.head.head]
    beyond = "" if value.low > value.control_bounds[1] else ", which is within what untrained heads do"
    return (
        f"{sentence}; most moved is {moved.head.head} (chosen on the first half of the sentences, measured on the second) with "
        f"{with_interval(value, 3)}, most moved heads of untrained twins {control_range(value, 3)}{beyond}; its weight on the "
        f"exchanged token changes by {with_interval(gained, write=signed)}."
    )


def swap_figure(focus: Focus) -> Figure:
    """How far every head moves, for each kind of swap, beside the untrained twins' mean."""
    layers, heads = (tuple(map(str, range(n))) for n in (focus.n_layers, focus.n_heads))
    panels = []
    texts = []
    for kind, moved in focus.swaps.items():
        for title, values in ((kind, moved.moved.point), (f"{kind}, untrained", moved.moved.control_mean)):
            panels.append(Panel(title, values, layers, heads, "layer", "head"))
        cell = largest(moved.moved.point)
        texts.append(
            f"{kind}: at most {with_interval(moved.moved[cell], 3)} in {HeadId('cross', *cell)}, untrained twins at most "
            f"{fixed(moved.moved.controls.max(), 3)}"
        )
    return Figure(
        name="cross-focus-swaps",
        caption=(
            "How far each cross-attention head moves when one source token is exchanged and the decoder inputs stay: "
            "Jensen-Shannon divergence of its pattern before and after over ln 2, mean over rows and sentences. Right of each: "
            f"the mean of the untrained twins. {CAVEAT}"
        ),
        alt="Divergence of heads. " + "; ".join(texts) + ".",
        chart=Heatmap(tuple(panels), "divergence / ln 2", lower=0.0),
    )


def swap_table(focus: Focus) -> Table:
    """Every head under every kind of swap."""
    rows = [
        {
            "head": str(HeadId("cross", layer, head)),
            "swap": kind,
            **moved.moved[layer, head].columns("moved", prefix=""),
            **moved.start[layer, head].columns("first row"),
            **moved.gained[layer, head].columns("gained"),
        }
        for kind, moved in focus.swaps.items()
        for layer, head in np.ndindex(*moved.moved.point.shape)
    ]
    frame = pd.DataFrame(rows)
    return Table(
        name="cross-focus-swaps",
        caption=(
            "What an exchanged token does to every head. Moved: divergence of its pattern (0 to 1), mean over rows; first row: "
            "the same where no target token has been read yet; gained: change of its weight on the exchanged token. Heads "
            "furthest from the untrained twins come first, so the top flatters."
        ),
        frame=most_telling_first(frame, frame["moved"] - frame["twins mean"]),
        columns_shown=("head", "swap", "moved", "first row", "gained"),
        spans=(Span.of("moved", ""), Span.of("first row"), Span.of("gained")),
    )
