"""One prompt to explore: what the decoder reads from each source word at each of its steps, in every layer, head and version."""

import numpy as np
from jaxtyping import Int

from analyses.core.contract import Example
from analyses.cross_attention_focus.measure.category_mass import VERSIONS
from analyses.cross_attention_focus.present.prompt_matrices import (
    by_word,
    example_matrices,
    head_matrices,
    source_words,
)
from interp.report import View
from interp.report.views import AttentionPatterns, layer_view

ROOT = "cross-focus-explorer"
"""Name of the view where there is one example; pages of prompts number theirs."""

_VERSIONS = {
    "raw": "raw attention",
    "masked": "raw attention within the content span",
    "norm": "length of what is written, ‖Σ a f(x)‖ or ‖a f(x)‖ of a head",
    "alti": "flow down to the input tokens (ALTI+)",
}
_MOST_CELLS = 100_000
"""Above so many numbers single heads are left out: pages of long texts in large models would weigh megabytes."""


def explorer(example: Example, title: str, fallback: str, name: str = ROOT) -> View:
    """A choice of version and head, a slider over layers, and the table of one layer.

    Args:
        example: with the arrays of `observe.illustrate`.
        title: the line the reader clicks.
        fallback: what shows the same without a script.
        name: of the view, its own on every page.
    """
    words, names = source_words(example)
    columns = (*names, "target so far")
    return View(
        name, title, layer_view(name, example.label_pieces, columns, _VERSIONS, _tables(example, words)), fallback
    )


def _tables(example: Example, words: Int[np.ndarray, " source"]) -> dict[str, dict[str, np.ndarray]]:
    """Version -> layer mean or head -> shares [layer target column], the last column for the target so far."""
    tables = {}
    n_heads = example.arrays["raw.head"].shape[1]
    with_heads = len(VERSIONS) * example.arrays["raw.head"].size <= _MOST_CELLS
    for version in VERSIONS:
        tables[version] = {"mean": by_word(example_matrices(example, version), words)}
        if with_heads:
            heads = by_word(head_matrices(example, version), words)
            tables[version] |= {str(head): heads[:, head] for head in range(n_heads)}
    flow = by_word(example.arrays["alti.source"].astype(np.float64), words)
    flow[..., -1] = example.arrays["alti.target"].sum(-1)
    return tables | {"alti": {"mean": flow}}


def attention_patterns(example: Example) -> AttentionPatterns:
    """The example for BertViz: target tokens are those the decoder reads."""
    return AttentionPatterns(
        encoder=example.arrays["encoder.pattern"],
        decoder=example.arrays["decoder.pattern"],
        cross=example.arrays["raw.head"],
        source_tokens=example.source_pieces,
        target_tokens=example.decoder_pieces,
    )
