"""Who attends to whom in one text pair, for the reader to explore?

BertViz (Vig 2019) draws attention as lines
between tokens. Its own output loads three libraries from the network, carries random identifiers, holds every number
twice at full precision, and lets a token that contains `</script>` end the script. The functions here call its public
API and turn what it returns into fragments that need no network, are equal for equal patterns, and in which tokens are
only ever data. The libraries are not in a fragment: `interp.report` puts them into a page once.

An interactive line drawing has a price for the reader's machine that is counted in lines, not in tokens. Each view
has a budget; what does not fit is left out in whole layers, and the fragment says so in a sentence.
"""

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from markupsafe import Markup

from interp.report.escaping import fill
from interp.report.views.bertviz_fragment import fragment
from interp.report.views.patterns import KIND_NAMES, AttentionKind, AttentionPatterns
from interp.report.visible_text import shown_token, visible

HEAD_VIEW_LINES = 20_000
MODEL_VIEW_LINES = 50_000
_PAYLOAD_NUMBERS = 250_000  # at about five bytes a number: 1.3 MB of page
_LONGEST_TOKEN = 12  # characters that fit beside BertViz's lines
_DISTINCT_COLORS = 10  # of D3's category scheme


def head_view(
    patterns: AttentionPatterns,
    kind: AttentionKind,
    layer: int | None = None,
    heads: tuple[int, ...] | None = None,
    include_layers: tuple[int, ...] | None = None,
    line_budget: int = HEAD_VIEW_LINES,
    name: str = "",
) -> Markup:
    """One layer at a time, all heads in one drawing (BertViz head view).

    Args:
        patterns: the attention of one prompt.
        kind: which of its three patterns to draw.
        layer: the layer shown first; the first included one if None.
        heads: the heads switched on at first; all if None.
        include_layers: the layers that can be chosen; all if None.
        line_budget: the most lines one layer may draw.
        name: tells two views of the same numbers on one page apart.

    Returns:
        An HTML fragment for `interp.report.View`; a sentence alone if one layer is beyond the budget.

    Raises:
        ValueError: if a layer or head does not exist, or `layer` is not among `include_layers`.
    """
    pattern = patterns.of(kind)
    wanted = _check_indices("layer", include_layers, pattern.shape[0])
    shown = _check_indices("head", heads, pattern.shape[1])
    lines = int(np.prod(pattern.shape[1:]))
    if lines > line_budget:
        return _left_out(kind, lines, line_budget)
    layers = _spread(wanted, _PAYLOAD_NUMBERS // lines, keep=layer)
    if layer is not None and layer not in layers:
        raise ValueError(f"Layer {layer} is shown first but is not among the layers {list(layers)} of the view.")
    own = {"layer": layers[0] if layer is None else layer, "heads": None if heads is None else list(shown)}
    advice = (
        "Choose a layer, point at a token. The squares are the heads, from the left head 0 to head "
        f"{pattern.shape[1] - 1}: click one to switch it, double-click to see it alone."
    )
    if pattern.shape[1] > _DISTINCT_COLORS:
        advice += f" Colors repeat after {_DISTINCT_COLORS} heads."
    sentences = [_reading(patterns, kind), advice, _omission(wanted, layers)]
    return fragment(_page("head_view", patterns, kind, layers, own), "head_view", name, sentences)


def model_view(
    patterns: AttentionPatterns,
    kind: AttentionKind,
    include_layers: tuple[int, ...] | None = None,
    include_heads: tuple[int, ...] | None = None,
    line_budget: int = MODEL_VIEW_LINES,
    name: str = "",
) -> Markup:
    """All layers and heads at once as small drawings (BertViz model view).

    Args:
        patterns: the attention of one prompt.
        kind: which of its three patterns to draw.
        include_layers: the layers to draw; all if None.
        include_heads: the heads to draw; all if None.
        line_budget: the most lines the view may draw; layers beyond it are left out, evenly.
        name: tells two views of the same numbers on one page apart.

    Returns:
        An HTML fragment for `interp.report.View`; a sentence alone if not even one layer fits.

    Raises:
        ValueError: if a layer or head does not exist.
    """
    pattern = patterns.of(kind)
    wanted = _check_indices("layer", include_layers, pattern.shape[0])
    heads = _check_indices("head", include_heads, pattern.shape[1])
    lines = len(heads) * pattern.shape[2] * pattern.shape[3]
    if lines > line_budget:
        return _left_out(kind, lines, line_budget)
    layers = _spread(wanted, min(line_budget, _PAYLOAD_NUMBERS) // lines, keep=None)
    own = {"include_heads": list(heads), "display_mode": "light"}
    advice = "A row is a layer, a column a head; click one to see its tokens, click again to close it."
    sentences = [_reading(patterns, kind), advice, _omission(wanted, layers)]
    return fragment(_page("model_view", patterns, kind, layers, own), "model_view", name, sentences)


def _check_indices(noun: str, chosen: Sequence[int] | None, count: int) -> tuple[int, ...]:
    if chosen is None:
        return tuple(range(count))
    if not chosen or len(set(chosen)) < len(chosen) or not all(0 <= index < count for index in chosen):
        raise ValueError(
            f"The {noun}s to show must be distinct numbers from 0 to {count - 1} and at least one, got {list(chosen)}."
        )
    return tuple(sorted(chosen))


def _spread(layers: tuple[int, ...], most: int, keep: int | None) -> tuple[int, ...]:
    """At most `most` of the layers (at least one), evenly from the first to the last, with `keep` among them."""
    if len(layers) <= most:
        return layers
    picks = np.linspace(0, len(layers) - 1, max(most, 1)).round().astype(int)
    chosen = [layers[pick] for pick in picks]
    if keep is not None and keep in layers and keep not in chosen:
        nearest = min(range(len(chosen)), key=lambda position: abs(chosen[position] - keep))
        chosen[nearest] = keep
    return tuple(sorted(chosen))


def _page(
    view: str, patterns: AttentionPatterns, kind: AttentionKind, layers: tuple[int, ...], own: dict[str, Any]
) -> str:
    """What BertViz writes for one kind of attention.

    One kind per call: given encoder and decoder together, BertViz assumes equal depths and cuts or fails otherwise.
    """
    import bertviz
    import torch

    queries, keys = ([_label(token) for token in tokens] for tokens in patterns.tokens(kind))
    # BertViz wants one tensor a layer with a batch axis of length one.
    weights = [torch.from_numpy(np.array(layer, dtype=np.float32))[None] for layer in patterns.of(kind)]
    tokens = {"decoder_tokens": queries, "encoder_tokens": keys} if kind == "cross" else {f"{kind}_tokens": queries}
    own |= {f"{kind}_attention": weights, "include_layers": list(layers), "prettify_tokens": False}
    with warnings.catch_warnings():
        # BertViz reads its script from a file that it leaves to the garbage collector, which Python remarks upon.
        warnings.simplefilter("ignore", ResourceWarning)
        page: str = getattr(bertviz, view)(**own, **tokens, html_action="return").data
    return page


def _label(token: str) -> str:
    """A token as it stands beside the lines: the sign of a word's beginning as a dot, nothing invisible."""
    return shown_token(token, _LONGEST_TOKEN) or "∅"


def _reading(patterns: AttentionPatterns, kind: AttentionKind) -> str:
    sides = {
        "encoder": "source tokens, on the left, to the source tokens they attend to",
        "decoder": "target tokens, on the left, to the target tokens they attend to",
        "cross": "target tokens, on the left, to the source tokens they attend to, on the right",
    }
    queries, keys = patterns.tokens(kind)
    cut = any(len(visible(token)) > _LONGEST_TOKEN for token in (*queries, *keys))
    shortened = " Long tokens are shortened." if cut else ""
    return (
        f"{KIND_NAMES[kind].capitalize()}: lines run from {sides[kind]}; the darker, the greater the weight.{shortened}"
    )


def _omission(wanted: tuple[int, ...], layers: tuple[int, ...]) -> str:
    if layers == wanted:
        return ""
    numbers = ", ".join(str(layer) for layer in layers)
    return f"To keep the page light, this view holds {len(layers)} of {len(wanted)} layers: {numbers}."


def _left_out(kind: AttentionKind, lines: int, budget: int) -> Markup:
    sentence = (
        f"The interactive view of the {KIND_NAMES[kind]} is left out: one layer would draw {lines:,} lines, and more than "
        f"{budget:,} make a browser slow."
    )
    return fill("bertviz.html.jinja", sentences=[sentence], script=None)
