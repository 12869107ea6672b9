"""What does every head do on one prompt? A sheet of thumbnails for each kind of attention, and its sharpest heads with tokens.

Under each thumbnail stands the commonest place of a row's strongest key, and in how many rows it is there: an offset for
self-attention, a token for cross-attention. Rows and keys of one prompt are few, so this is a description and no finding.
"""

from collections import Counter

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Example
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import HeadId
from interp.report import Block, Card, Paragraph, PatternPicture, SmallTable, Thumbnail
from interp.report.numbers import percent, signed
from interp.report.views import KIND_NAMES
from interp.report.visible_text import shown_token

_SHARPEST = 2
_MOST_WEIGHTS = 250_000
"""Weights of one kind of attention that the sheets of a page show."""


def portray(example: Example) -> tuple[Block, ...]:
    """The blocks of one prompt's page.

    Args:
        example: with the arrays of `observe.illustrate`.
    """
    intro = Paragraph(
        "Heads on this prompt: rows attend to columns, the darker the larger the weight. Under each head stands where the "
        "strongest key of a row lies most often (an offset, or in cross-attention a token) and in what share of the rows."
    )
    return (intro, *(_sheet(example, kind) for kind in ATTENTION_KINDS))


def _sheet(example: Example, kind: AttentionKind) -> Card:
    patterns = example.arrays[f"pattern.{kind}"]
    queries = example.source_pieces if kind == "encoder" else example.decoder_pieces
    keys = example.decoder_pieces if kind == "decoder" else example.source_pieces
    layers, title = _layers(patterns), KIND_NAMES[kind].capitalize()
    heads = range(patterns.shape[1])
    table = SmallTable(
        caption=f"{title}, {_extent(layers, patterns)}",
        columns=("layer", *(f"head {head}" for head in heads)),
        rows=[
            (str(layer), *(_thumbnail(patterns[layer, head], HeadId(kind, layer, head), keys) for head in heads))
            for layer in layers
        ],
    )
    large = (
        PatternPicture(patterns[cell], queries, keys, "blue", f"{head}, one of the sharpest heads here", str(head))
        for cell in _sharpest(patterns)
        for head in [HeadId(kind, *cell)]
    )
    return Card(f"heads-{kind}-{example.slug}", f"{title} of this prompt", (*large, table))


def _layers(patterns: Float[np.ndarray, "layer head query key"]) -> list[int]:
    """All layers, or of a large model those whose heads are sharpest on average, so that a page stays a page."""
    most = max(1, _MOST_WEIGHTS // patterns[0].size)
    sharpest = np.argsort(-_sharpness(patterns).mean(-1), kind="stable")[:most]
    return sorted(int(layer) for layer in sharpest)


def _extent(layers: list[int], patterns: np.ndarray) -> str:
    if len(layers) == len(patterns):
        return "every head"
    return f"the {len(layers)} of {len(patterns)} layers whose heads are sharpest here"


def _thumbnail(pattern: Float[np.ndarray, "query key"], head: HeadId, keys: tuple[str, ...]) -> Thumbnail:
    place, share = _commonest(pattern, head.kind, keys)
    return Thumbnail(pattern, str(head), f"{place}: {percent(share)}")


def _commonest(
    pattern: Float[np.ndarray, "query key"], kind: AttentionKind, keys: tuple[str, ...]
) -> tuple[str, float]:
    """Where the strongest key of a row lies most often, and in what share of the rows; the decoder's first row has no choice."""
    first = 1 if kind == "decoder" and len(pattern) > 1 else 0
    strongest = pattern[first:].argmax(-1)
    if kind == "cross":
        places = [shown_token(keys[key]) for key in strongest]
    else:
        places = [signed(offset, 0) if offset else "self" for offset in strongest - np.arange(first, len(pattern))]
    place, count = Counter(places).most_common(1)[0]
    return place, count / len(places)


def _sharpest(patterns: Float[np.ndarray, "layer head query key"]) -> list[tuple[int, int]]:
    """The heads whose strongest weights are the largest on average."""
    sharpness = _sharpness(patterns)
    order = np.argsort(-sharpness, axis=None, kind="stable")[:_SHARPEST]
    return [(int(layer), int(head)) for layer, head in zip(*np.unravel_index(order, sharpness.shape), strict=True)]


def _sharpness(patterns: Float[np.ndarray, "layer head query key"]) -> Float[np.ndarray, "layer head"]:
    """Mean of a head's largest weights; the first row is left out, which in the decoder has no choice."""
    rows = patterns[:, :, 1:] if patterns.shape[2] > 1 else patterns
    return np.asarray(rows.max(-1).mean(-1))
