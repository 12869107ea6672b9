"""The page of one prompt: what the decoder reads at every step, by source word, still and to explore.

The table is the explorer's still twin: it stands on the printed page and needs no script, shows the last layer's raw reading, and
its file holds every layer in every version. No figure is drawn, so that every prompt of a run can have its page.
"""

import numpy as np
import pandas as pd

from analyses.core.contract import Example
from analyses.cross_attention_focus.measure.category_mass import VERSIONS
from analyses.cross_attention_focus.present.explorer import ROOT, attention_patterns, explorer
from analyses.cross_attention_focus.present.flow import step_table
from analyses.cross_attention_focus.present.prompt_matrices import by_word, example_matrices, source_words
from interp.report import Block, Table, View
from interp.report.views import head_view

_TARGET = "target so far"
_OURS = ("version", "layer", "step", "predicts", _TARGET)


def portray(example: Example) -> tuple[Block, ...]:
    """Reading by source word, the explorer, the flow step by step, and BertViz where it was asked for."""
    words = word_table(example)
    still = "The table above shows the last layer without either, and its file all layers and versions."
    blocks: list[Block] = [
        words,
        explorer(example, "Every layer and head, in every version", still, f"{ROOT}-{example.slug}"),
        step_table(example, f"cross-focus-steps-{example.slug}"),
    ]
    if example.arrays["bertviz"]:
        heads = head_view(attention_patterns(example), "cross", name=f"cross-focus-{example.slug}")
        blocks.append(View(f"cross-focus-bertviz-{example.slug}", "Cross-attention heads (BertViz)", heads, still))
    return tuple(blocks)


def word_table(example: Example) -> Table:
    """Decoder steps by source words, in every layer and version; the last layer's raw reading first."""
    columns, names = source_words(example)
    titles = _distinct(names)
    readings = {version: by_word(example_matrices(example, version), columns) for version in VERSIONS}
    flow = by_word(example.arrays["alti.source"].astype(np.float64), columns)
    flow[..., -1] = example.arrays["alti.target"].sum(-1)
    n_steps = len(example.label_pieces)
    parts = [
        (version, layer, values[layer])
        for version, values in (readings | {"alti": flow}).items()
        for layer in reversed(range(len(values)))
    ]
    # One frame: making a small one for every layer and version cost more than all else on the page.
    frame = pd.DataFrame(np.round(np.concatenate([values for *_, values in parts]), 4), columns=[*titles, _TARGET])
    frame["version"] = np.repeat(np.array([version for version, *_ in parts], dtype=object), n_steps)
    frame["layer"] = np.repeat([layer for _, layer, _ in parts], n_steps)
    frame["step"] = np.tile(np.arange(n_steps), len(parts))
    frame["predicts"] = list(example.label_pieces) * len(parts)
    return Table(
        name=f"cross-focus-words-{example.slug}",
        caption=(
            "What the last decoder layer reads when it predicts each token, by source word: raw attention, mean over heads; "
            "rows sum to 1. Attention is not importance: the file has every layer, also masked to the content span, weighted by "
            "the length of what is written (norm), and followed down to the input tokens (alti), where the target so far has a "
            "share."
        ),
        frame=frame[["version", "layer", "step", "predicts", *titles, _TARGET]],
        rows_shown=n_steps,
        columns_shown=("predicts", *titles),
    )


def _distinct(names: tuple[str, ...]) -> list[str]:
    """Names of columns: a word that occurs again, or is called like a column of ours, gets a number."""
    taken = list(_OURS)
    for name in names:
        title, number = name, 1
        while title in taken:
            number += 1
            title = f"{name} ({number})"
        taken.append(title)
    return taken[len(_OURS) :]
