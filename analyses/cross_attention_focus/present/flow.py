"""What the flow says: sentences, figures and tables about how much of a prediction comes from the source, and from where."""

import numpy as np
import pandas as pd

from analyses.core.contract import Example
from analyses.cross_attention_focus.measure.gradients import Gradients
from analyses.cross_attention_focus.present.figures import alt_text, layer_lines
from analyses.cross_attention_focus.present.hypothesis import CATEGORY_NAMES
from analyses.cross_attention_focus.summary import Focus
from interp.report import Figure, Span, Table
from interp.report.estimate_lines import estimate_lines
from interp.report.numbers import between, control_range, counted, fixed, with_interval
from interp.statistics import CORRELATION, largest, prediction_interval
from interp.text.words import CATEGORIES

_QUARTERS = ("first", "second", "third", "last")
_SAID = ("prefix", "content", "eos")


def flow_sentence(focus: Focus) -> str:
    """How much comes from the source after the last layer, and of it from prefix and content, against untrained twins."""
    masses = focus.masses["raw"].categories
    target = focus.flow["alti.target"][focus.n_layers - 1]
    parts = ", ".join(
        f"{with_interval(cell)} from {CATEGORY_NAMES[name]} (untrained twins {control_range(cell)})"
        for name in ("prefix", "content")
        if name in masses
        for cell in [focus.flow["alti.mass"][focus.n_layers - 1, CATEGORIES.index(name)]]
    )
    parts = f": {parts}" if len(masses) > 1 else ""
    return (
        f"Followed down to the input tokens (ALTI+), {with_interval(target)} of a prediction comes from the target so far "
        f"(untrained twins {control_range(target)}) and the rest from the source{parts}; {_decline_clause(focus)}."
    )


def _decline_clause(focus: Focus) -> str:
    """Whether the source counts for less as the target grows, beyond what untrained models do."""
    decline, quarters = focus.flow["alti.decline"], focus.flow["alti.quarters"]
    if np.isnan(decline.point):
        return "whether the source counts for less as the target grows cannot be told: no target has steps enough"
    low, high = (float(np.clip(end, *CORRELATION)) for end in prediction_interval(decline.controls))
    beyond = decline.high < min(low, 0.0) or decline.low > max(high, 0.0)
    moves = ("falls" if decline.point < 0 else "rises") if beyond else "shows no trend"
    return (
        f"the source share {moves} as the target grows: {with_interval(quarters[0])} in the first quarter of the steps, "
        f"{with_interval(quarters[-1])} in the last (Kendall's tau with the step {with_interval(decline)}, "
        f"of an untrained model {between(low, high)})"
    )


def flow_figures(focus: Focus) -> tuple[Figure, ...]:
    """ALTI+ over the layers, and the source share over the steps of the target."""
    drawn = {"target prefix": focus.flow["alti.target"]} | {
        name: focus.flow["alti.mass"][:, CATEGORIES.index(name)]
        for name in ("prefix", "content")
        if name in focus.masses["raw"].categories
    }
    quarters = focus.flow["alti.quarters"]
    layers = Figure(
        name="cross-focus-flow",
        caption=(
            "Of what the decoder stream is made after every layer (ALTI+): shares of the target prefix and of source tokens, "
            "followed down to the inputs, with 95 % intervals over sentences and untrained twins in gray."
        ),
        alt="ALTI+ shares. " + "; ".join(alt_text(name, cells, "layer") for name, cells in drawn.items()) + ".",
        chart=layer_lines(drawn, "share", focus.n_layers),
    )
    steps = Figure(
        name="cross-focus-flow-steps",
        caption=(
            "Source share of a prediction (ALTI+, after the last layer) in each quarter of the target; the rest comes from the "
            "target prefix. 95 % intervals over sentences, untrained twins in gray."
        ),
        alt=alt_text("ALTI+ source share", quarters, "quarter") + ".",
        chart=estimate_lines(
            [("source share", quarters, "untrained")], "quarter of the decoder steps", "share", _QUARTERS
        ),
    )
    return layers, steps


def flow_tables(focus: Focus) -> tuple[Table, ...]:
    """Shares by layer and category, the gradients' if there are any, and the example step by step."""
    gradients = () if focus.gradients is None else (gradient_table(focus.gradients),)
    example = focus.gradients.example if focus.gradients else None
    return (_share_table(focus), *gradients, step_table(focus.example, "cross-focus-example-steps", example))


def _share_table(focus: Focus) -> Table:
    cells = {("alti", "target prefix"): focus.flow["alti.target"]} | {
        (method, name): focus.flow[f"{method}.mass"][:, CATEGORIES.index(name)]
        for method in ("alti", "rollout")
        for name in focus.masses["raw"].categories
    }
    rows = [
        {"layer": layer, "method": method, "tokens": name, **shares[layer].columns("share", prefix="")}
        for layer in reversed(range(focus.n_layers))
        for (method, name), shares in cells.items()
    ]
    return Table(
        name="cross-focus-flow",
        caption=(
            "Shares of input tokens in the decoder stream after every layer. ALTI+ shares of source and target prefix sum to 1. "
            "Attention rollout fixes the source share by its construction, so its shares are given within the source."
        ),
        frame=pd.DataFrame(rows),
    )


def gradient_sentence(found: Gradients) -> str:
    """How much of the relevance lies on the source, and of that on prefix, content and end of sentence."""
    parts = ", ".join(
        f"{with_interval(cell)} on {CATEGORY_NAMES[name]} (base rate {fixed(found.base_rate[column])}, twin "
        f"{fixed(cell.control_mean)})"
        for column, name in enumerate(found.categories)
        if name in _SAID
        for cell in [found.mass[column]]
    )
    return (
        f"By the gradient of the predicted token's logit (Chefer's rules, {counted(found.n_prompts, 'prompt')}), "
        f"{with_interval(found.source)} of the relevance lies on the source (untrained twin {fixed(found.source.control_mean)})"
        f"{f'; of that, {parts}' if len(found.categories) > 1 else ''}."
    )


def gradient_table(found: Gradients) -> Table:
    """Source share and categories."""
    rows = [("all of the source", "source and target", found.source, np.nan)]
    rows += [
        (name, "source", found.mass[column], float(found.base_rate[column]))
        for column, name in enumerate(found.categories)
    ]
    return Table(
        name="cross-focus-relevance",
        caption=(
            f"Chefer's relevance (attention times gradient of the predicted token's logit, propagated to the inputs) on "
            f"{found.n_prompts} evenly spaced prompts: share of the source in all relevance, and of each category within the "
            "source. 95 % intervals over these prompts. Control: one untrained twin."
        ),
        frame=pd.DataFrame([
            {"tokens": name, "within": whole, "share": np.nan, "base rate": rate, **cell.columns("share", prefix="")}
            for name, whole, cell, rate in rows
        ]),
        rows_shown=None,
        columns_shown=("tokens", "within", "share", "base rate"),
        spans=(Span.of("share", ""),),
    )


def step_table(example: Example, name: str, relevance: tuple[np.ndarray, np.ndarray] | None = None) -> Table:
    """For every predicted token of a prompt: source share and the source token each method points to.

    Args:
        example: the prompt.
        name: of the table.
        relevance: Chefer's relevance of source and target for every row, where it was computed.
    """
    arrays = example.arrays
    flows = {method: (arrays[f"{method}.source"][-1], arrays[f"{method}.target"][-1]) for method in ("alti", "rollout")}
    flows |= {} if relevance is None else {"chefer": relevance}
    layers = {f"layer {n}": matrix for n, matrix in enumerate(arrays["raw.layer"])}
    rows = []
    for step, token in enumerate(example.label_pieces):
        row: dict[str, object] = {"step": step, "reads": example.decoder_pieces[step], "predicts": token}
        for method, (source, target) in flows.items():
            total = source[step].sum() + target[step].sum()
            if method != "rollout":
                row[f"{method} source share"] = float(source[step].sum() / total) if total > 0 else np.nan
            row[f"{method} points to"] = _pointed(example, source[step])
        row |= {f"{layer} points to": _pointed(example, matrix[step]) for layer, matrix in layers.items()}
        for column, category in enumerate(CATEGORIES):
            inside = arrays["categories"] == column
            if inside.any():
                row |= {f"{layer} on {category}": float(matrix[step, inside].sum()) for layer, matrix in layers.items()}
        rows.append(row)
    frame = pd.DataFrame(rows)
    shown = tuple(column for column in frame.columns if " on " not in column and not column.startswith("layer"))
    chefer = " and by Chefer's relevance (attention times gradient of the predicted token's logit)" if relevance else ""
    return Table(
        name=name,
        caption=(
            f"Prompt {example.id}, step by step: source share by ALTI+{chefer}, the rest coming from the target so far, and "
            "the source token each flow method points to. The file also has the strongest source token and the mass on every "
            "category for every layer (raw attention, mean over heads)."
        ),
        frame=frame,
        rows_shown=24,
        columns_shown=shown,
    )


def _pointed(example: Example, row: np.ndarray) -> str | None:
    """The source token with most weight, or None if the row is undefined."""
    return None if np.isnan(row).any() else example.source_pieces[largest(row)[0]]
