"""One matrix per layer to explore: a choice of version and head, and a slider for the layer.

Plain HTML with one small script and no library: the table already shows the last layer, so a reader without scripts sees that.
Numbers reach the script as whole hundredths in JSON; names never do, they stand in the table as text.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float, Int
from markupsafe import Markup

from interp.report.escaping import fill
from interp.report.visible_text import shorten, visible

_LONGEST_WORD = 16
_DEPTH = 0.7
"""Opacity of a full cell: dark letters on it keep a contrast above 4.5 to 1, white ones would not on the cells between."""

_UNDEFINED = -1


def layer_view(
    root: str,
    rows: Sequence[str],
    columns: Sequence[str],
    versions: Mapping[str, str],
    tables: Mapping[str, Mapping[str, Float[np.ndarray, "layer row column"]]],
) -> Markup:
    """A fragment for `interp.report.View`: the choices, the slider, and the table of one layer.

    Args:
        root: identifier of the fragment, its own on every page.
        rows: names of the rows, each of which predicts one token.
        columns: names of the columns.
        versions: version -> what it is called.
        tables: version -> the mean of all heads, under `mean`, and single heads by number; NaN is not defined.
    """
    units = tables[next(iter(versions))]
    layers = _hundredths(units["mean"])
    return fill(
        "layer_explorer.html.jinja",
        root=root,
        rows=[(_short(name), values.tolist()) for name, values in zip(rows, layers[-1], strict=True)],
        columns=[_short(name) for name in columns],
        choices=[versions, {unit: "mean of all heads" if unit == "mean" else f"head {unit}" for unit in units}],
        last=len(layers) - 1,
        data={
            version: {unit: _hundredths(values).reshape(len(layers), -1).tolist() for unit, values in found.items()}
            for version, found in tables.items()
        },
        depth=_DEPTH,
        undefined=_UNDEFINED,
    )


def _hundredths(values: Float[np.ndarray, "*cells"]) -> Int[np.ndarray, "*cells"]:
    return np.where(np.isnan(values), _UNDEFINED, np.rint(100 * np.nan_to_num(values))).astype(int)


def _short(name: str) -> str:
    return shorten(visible(name), _LONGEST_WORD)
