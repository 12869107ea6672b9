"""Attention patterns of a cache, drawn with their tokens for a notebook: a layer, a head, or a view to explore."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp.errors import InputError
from interp.hooks.names import HeadId, attention_kind
from interp.report import Card, PatternPicture, View
from interp.report.notebook_blocks import BlockDisplay, display_block
from interp.report.views import KIND_NAMES, layer_view
from interp.text.batch import Batch


def show_layer(
    pattern: Float[Tensor, "batch head query key"], name: str, batch: Batch | None, head: int | None, prompt: int
) -> BlockDisplay:
    """Every head of a layer, or one, as pictures with tokens.

    Args:
        pattern: the layer's patterns.
        name: its hook point.
        batch: whose patterns they are; without one, positions are numbers.
        head: one head; all by default.
        prompt: index of the prompt.

    Raises:
        InputError: if there is no such head or prompt.
    """
    weights, queries, keys = _cut(pattern, name, batch, prompt)
    kind, layer = attention_kind(name), _layer(name)
    if head is not None and not 0 <= head < len(weights):
        raise InputError(f"Layer {layer} has the heads 0 to {len(weights) - 1}; got {head}.")
    chosen = range(len(weights)) if head is None else (head,)
    labels = {one: str(HeadId(kind, layer, one)) for one in chosen}
    parts = tuple(PatternPicture(weights[one], queries, keys, "blue", label, label) for one, label in labels.items())
    return display_block(Card("pattern", f"{KIND_NAMES[kind].capitalize()} of layer {layer}", parts))


def explore_layers(
    patterns: Mapping[str, Float[Tensor, "batch head query key"]], name: str, batch: Batch | None, prompt: int
) -> BlockDisplay:
    """A view of all layers that were kept of one kind of attention: a choice of the head, a slider for the layer.

    Args:
        patterns: hook point -> patterns.
        name: a hook point of the kind.
        batch: as for `show_layer`.
        prompt: as for `show_layer`.

    Raises:
        InputError: if there is no such prompt.
    """
    kind = attention_kind(name)
    kept = [
        _cut(value, one, batch, prompt) for one, value in sorted(patterns.items(), key=lambda item: _layer(item[0]))
    ]
    weights, queries, keys = np.stack([one[0] for one in kept], 1), *kept[0][1:]
    tables = {"mean": weights.mean(0)} | {str(head): values for head, values in enumerate(weights)}
    title = f"{KIND_NAMES[kind].capitalize()} of {len(kept)} layers"
    html = layer_view("pattern", queries, keys, {"pattern": "attention"}, {"pattern": tables})
    return display_block(View("pattern", title, html, "One layer at a time is drawn without `interactive`."))


def _layer(name: str) -> int:
    return int(name.split(".")[1])


def _cut(
    pattern: Float[Tensor, "batch head query key"], name: str, batch: Batch | None, prompt: int
) -> tuple[Float[np.ndarray, "head row column"], tuple[str, ...], tuple[str, ...]]:
    """The patterns of one prompt without padding, and the tokens of rows and columns."""
    if not -len(pattern) <= prompt < len(pattern):
        raise InputError(f"The cache has {len(pattern)} prompts, counted from 0; got {prompt}.")
    weights = pattern[prompt].detach().float().cpu().numpy()
    if batch is None:
        return weights, tuple(map(str, range(weights.shape[1]))), tuple(map(str, range(weights.shape[2])))
    source, target = batch.source_texts[prompt].pieces, batch.decoder_pieces(prompt)
    kind = attention_kind(name)
    queries, keys = source if kind == "encoder" else target, target if kind == "decoder" else source
    return weights[:, : len(queries), : len(keys)], queries, keys
