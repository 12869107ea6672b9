"""One prompt to explore: decoder steps down the side, source words along the top, a slider for the layer.

Plain HTML with one small script and no library: the table already shows the last layer, so a reader without scripts sees that.
Numbers reach the script as whole hundredths in JSON; tokens never do, they stand in the table as escaped text.
"""

import json
from collections.abc import Sequence
from html import escape

import numpy as np
from jaxtyping import Float

from analyses._contract import Example
from analyses.cross_attention_focus.figures import example_matrices
from interp.report.labels import shorten, visible
from interp.views import AttentionPatterns

ROOT = "cross-focus-explorer"

_VERSIONS = (
    ("raw", "raw attention, mean over heads"),
    ("masked", "raw attention within the content span"),
    ("norm", "length of what is written, ‖Σ a f(x)‖"),
    ("alti", "flow down to the input tokens (ALTI+)"),
)
_LONGEST_WORD = 16
_INK = "0,114,178"
_UNDEFINED = -1
_STYLE = f"<style>#{ROOT} td{{text-align:center;padding:.28rem}}</style>"

_SCRIPT = """
(function () {
  "use strict";
  var root = document.getElementById("%(root)s");
  var data = %(data)s;
  var version = root.querySelector("select");
  var layer = root.querySelector("input");
  var shown = root.querySelector("output");
  var cells = root.querySelectorAll("td");
  function paint() {
    var values = data[version.value][Number(layer.value)];
    shown.textContent = layer.value;
    for (var i = 0; i < cells.length; i += 1) {
      var value = values[i];
      var defined = value >= 0;
      cells[i].textContent = defined ? String(value) : "\u00d7";
      cells[i].style.backgroundColor = "rgba(%(ink)s," + (defined ? value / 100 : 0) + ")";
      cells[i].style.color = value > 55 ? "#fff" : "#1b1f24";
    }
  }
  version.addEventListener("change", paint);
  layer.addEventListener("input", paint);
}());
"""


def explorer(example: Example) -> str:
    """The fragment: a choice of version, a slider over layers, and the table of one layer.

    Args:
        example: with the arrays of `observe.illustrate`.
    """
    units, names = source_words(example)
    tables = {version: _hundredths(_by_word(example, version, units)) for version, _ in _VERSIONS}
    n_layers = len(tables["raw"])
    data = json.dumps(
        {version: table.reshape(n_layers, -1).tolist() for version, table in tables.items()}, separators=(",", ":")
    )
    options = "".join(f'<option value="{name}">{escape(text)}</option>' for name, text in _VERSIONS)
    return (
        f'<div id="{ROOT}">{_STYLE}<p><label>Version <select>{options}</select></label> '
        f'<label>Decoder layer <input type="range" min="0" max="{n_layers - 1}" step="1" value="{n_layers - 1}"></label> '
        f"<output>{n_layers - 1}</output></p>"
        f"{_table(example, names, tables['raw'][-1])}"
        f"<script>{_SCRIPT % {'root': ROOT, 'data': data, 'ink': _INK}}</script></div>"
    )


def source_words(example: Example) -> tuple[np.ndarray, tuple[str, ...]]:
    """For every source token the column it belongs to, and the columns' names; tokens of no word have their own."""
    word = example.arrays["source_words"]
    starts = np.r_[True, (word[1:] != word[:-1]) | (word[1:] < 0)]
    units = np.cumsum(starts) - 1
    names = [
        "".join(piece for piece, unit in zip(example.source_pieces, units, strict=True) if unit == column).lstrip("▁")
        for column in range(units[-1] + 1)
    ]
    return units, tuple(names)


def _by_word(example: Example, version: str, units: np.ndarray) -> Float[np.ndarray, "layer target column"]:
    """Weights summed over the pieces of a word, and in the last column what comes from the target so far."""
    if version == "alti":
        values, target = example.arrays["alti.source"], example.arrays["alti.target"].sum(-1)
    else:
        values = example_matrices(example, version)  # type: ignore[arg-type]
        target = np.full(values.shape[:2], np.nan)
    summed = values.astype(np.float64) @ (units[:, None] == np.arange(units[-1] + 1))
    return np.concatenate([summed, target[..., None]], -1)


def _hundredths(values: Float[np.ndarray, "layer target column"]) -> np.ndarray:
    return np.where(np.isnan(values), _UNDEFINED, np.rint(100 * np.nan_to_num(values))).astype(int)


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
    ink = "#fff" if value > 55 else "#1b1f24"
    return f'<td style="background-color:rgba({_INK},{value / 100:g});color:{ink}">{value}</td>'


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
