"""One prompt to explore: decoder steps down the side, source words along the top, a slider for the layer.

Plain HTML with one small script and no library: the table already shows the last layer, so a reader without scripts sees that.
Numbers reach the script as whole hundredths in JSON; tokens never do, they stand in the table as escaped text.
"""

import json
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np
from jaxtyping import Float, Int

from analyses.core.contract import Example
from analyses.cross_attention_focus.masses import VERSIONS
from analyses.cross_attention_focus.reading import by_word, example_matrices, head_matrices, source_words
from interp.report.labels import shorten, visible
from interp.report.views import AttentionPatterns

ROOT = "cross-focus-explorer"
"""Identifier of the fragment where there is one example; pages of prompts number theirs."""

_VERSIONS = {
    "raw": "raw attention",
    "masked": "raw attention within the content span",
    "norm": "length of what is written, ‖Σ a f(x)‖ or ‖a f(x)‖ of a head",
    "alti": "flow down to the input tokens (ALTI+)",
}
_LAYER = "mean"
"""Key of a whole layer among its heads."""

_LONGEST_WORD = 16
_MOST_CELLS = 100_000
"""Above so many numbers single heads are left out: pages of long texts in large models would weigh megabytes."""

_INK = "0,114,178"
_DEPTH = 0.7
"""Opacity of a full cell: dark letters on it keep a contrast above 4.5 to 1, white ones would not on the cells between."""
_UNDEFINED = -1

_SCRIPT = """
(function () {
  "use strict";
  var root = document.getElementById("%(root)s");
  var data = %(data)s;
  var choices = root.querySelectorAll("select");
  var layer = root.querySelector("input");
  var shown = root.querySelector("output");
  var cells = root.querySelectorAll("td");
  function paint() {
    var heads = data[choices[0].value];
    choices[1].disabled = Object.keys(heads).length === 1;
    var values = (heads[choices[1].value] || heads.%(layer)s)[Number(layer.value)];
    shown.textContent = layer.value;
    for (var i = 0; i < cells.length; i += 1) {
      var value = values[i];
      var defined = value >= 0;
      cells[i].textContent = defined ? String(value) : "\u00d7";
      cells[i].style.backgroundColor = "rgba(%(ink)s," + (defined ? value * %(depth)s / 100 : 0) + ")";
    }
  }
  choices[0].addEventListener("change", paint);
  choices[1].addEventListener("change", paint);
  layer.addEventListener("input", paint);
}());
"""


def explorer(example: Example, root: str = ROOT) -> str:
    """The fragment: a choice of version and head, a slider over layers, and the table of one layer.

    Args:
        example: with the arrays of `observe.illustrate`.
        root: identifier of the fragment, its own on every page.
    """
    words, names = source_words(example)
    tables = _tables(example, words)
    n_layers = len(tables["raw"][_LAYER])
    data = json.dumps(
        {
            version: {unit: values.reshape(n_layers, -1).tolist() for unit, values in units.items()}
            for version, units in tables.items()
        },
        separators=(",", ":"),
    )
    heads = {unit: "mean of all heads" if unit == _LAYER else f"head {unit}" for unit in tables["raw"]}
    last = n_layers - 1
    return (
        f'<div id="{root}"><style>#{root} td{{text-align:center;padding:.28rem;color:#1b1f24}}</style>'
        f"<p><label>Version {_choice(_VERSIONS)}</label> <label>Heads {_choice(heads)}</label> "
        f'<label>Decoder layer <input type="range" min="0" max="{last}" step="1" value="{last}"></label> '
        f"<output>{last}</output></p>"
        f"{_table(example, names, tables['raw'][_LAYER][-1])}"
        f"<script>{_SCRIPT % {'root': root, 'data': data, 'ink': _INK, 'depth': _DEPTH, 'layer': _LAYER}}</script></div>"
    )


def _tables(example: Example, words: Int[np.ndarray, " source"]) -> dict[str, dict[str, np.ndarray]]:
    """Version -> layer mean or head -> hundredths [layer target column], the last column for the target so far."""
    tables = {}
    n_heads = example.arrays["raw.head"].shape[1]
    with_heads = len(VERSIONS) * example.arrays["raw.head"].size <= _MOST_CELLS
    for version in VERSIONS:
        tables[version] = {_LAYER: _hundredths(by_word(example_matrices(example, version), words))}
        if with_heads:
            heads = _hundredths(by_word(head_matrices(example, version), words))
            tables[version] |= {str(head): heads[:, head] for head in range(n_heads)}
    flow = by_word(example.arrays["alti.source"].astype(np.float64), words)
    flow[..., -1] = example.arrays["alti.target"].sum(-1)
    return tables | {"alti": {_LAYER: _hundredths(flow)}}


def _hundredths(values: Float[np.ndarray, "*cells"]) -> Int[np.ndarray, "*cells"]:
    return np.where(np.isnan(values), _UNDEFINED, np.rint(100 * np.nan_to_num(values))).astype(int)


def _choice(options: Mapping[str, str]) -> str:
    entries = "".join(f'<option value="{name}">{escape(text)}</option>' for name, text in options.items())
    return f"<select>{entries}</select>"


def _table(example: Example, names: Sequence[str], values: np.ndarray) -> str:
    columns = "".join(f'<th scope="col">{_word(name)}</th>' for name in (*names, "target so far"))
    rows = "".join(
        f'<tr><th scope="row">{_word(token)}</th>{"".join(_cell(int(value)) for value in row)}</tr>'
        for token, row in zip(example.label_pieces, values, strict=True)
    )
    return (
        "<table><caption>Hundredths of every row; × is not defined. A row predicts the token at its left.</caption>"
        f'<thead><tr><th scope="col">predicts</th>{columns}</tr></thead><tbody>{rows}</tbody></table>'
    )


def _cell(value: int) -> str:
    if value == _UNDEFINED:
        return "<td>×</td>"
    return f'<td style="background-color:rgba({_INK},{value * _DEPTH / 100:.3g})">{value}</td>'


def _word(text: str) -> str:
    return f"<bdi>{escape(shorten(visible(text), _LONGEST_WORD))}</bdi>"


def attention_patterns(example: Example) -> AttentionPatterns:
    """The example for BertViz: target tokens are those the decoder reads."""
    return AttentionPatterns(
        encoder=example.arrays["encoder.pattern"],
        decoder=example.arrays["decoder.pattern"],
        cross=example.arrays["raw.head"],
        source_tokens=example.source_pieces,
        target_tokens=example.decoder_pieces,
    )
