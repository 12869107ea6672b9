"""Attention patterns of a cache, drawn with their tokens for a notebook: a layer, a head, or the page to explore."""

from collections.abc import Mapping, Sequence

import numpy as np
from jaxtyping import Float
from torch import Tensor

from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.errors import InputError, place_of
from interp.hooks.names import HeadId, attention_kind
from interp.report import Card, PatternPicture
from interp.report.explorer import Explorer, ExplorerPrompt, explorer_page
from interp.report.notebook_blocks import BlockDisplay, display_block, display_page
from interp.report.views import KIND_NAMES, AttentionPatterns
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
    if head is not None:
        _check_head(name, head, len(weights))
    chosen = range(len(weights)) if head is None else (head,)
    labels = {one: str(HeadId(kind, layer, one)) for one in chosen}
    parts = tuple(PatternPicture(weights[one], queries, keys, "blue", label, label) for one, label in labels.items())
    return display_block(Card("pattern", f"{KIND_NAMES[kind].capitalize()} of layer {layer}", parts))


def explore_patterns(
    patterns: Mapping[str, Float[Tensor, "batch head query key"]],
    name: str,
    batch: Batch | None,
    head: int,
    prompt: int,
) -> BlockDisplay:
    """The page to explore, of the attention that a cache kept, in a frame.

    Args:
        patterns: hook point -> patterns, of any layers and kinds.
        name: the hook point that it opens with.
        batch: as for `show_layer`.
        head: the head that it opens with.
        prompt: the prompt that it opens with.

    Raises:
        InputError: if there is no such head or prompt, or no prompt is short enough for a page.
    """
    kind, chosen = attention_kind(name), patterns[name]
    _check_prompt(len(chosen), prompt)
    _check_head(name, head, chosen.shape[1])
    kept = {
        one: sorted((point for point in patterns if attention_kind(point) == one), key=_layer)
        for one in ATTENTION_KINDS
    }
    explorer = Explorer(
        model="",
        prompts=tuple(_explored(patterns, kept, batch, place) for place in range(len(chosen))),
        layers={one: tuple(map(_layer, points)) for one, points in kept.items() if points},
        start=f"#{HeadId(kind, _layer(name), head)}&prompt={prompt + 1}",
        note=_lacks(kept),
    )
    try:
        page = explorer_page(explorer, "Attention of a cache").decode()
    except ValueError as error:
        raise InputError(f"{error} Show a layer without `interactive`, or keep fewer layers.") from error
    return display_page("Attention of a cache", page, height=760)


def _explored(
    patterns: Mapping[str, Tensor], kept: Mapping[AttentionKind, Sequence[str]], batch: Batch | None, prompt: int
) -> ExplorerPrompt:
    """The attention of one prompt; tokens of a side about which nothing was kept are those of the batch, or none."""
    weights: dict[AttentionKind, np.ndarray] = {}
    sides: dict[str, tuple[str, ...]] = {"source": (), "target": ()}
    if batch is not None:
        sides = {"source": batch.source_texts[prompt].pieces, "target": batch.decoder_pieces(prompt)}
    for kind, points in kept.items():
        found = [_cut(patterns[point], point, batch, prompt) for point in points]
        if found:
            weights[kind] = np.stack([one[0] for one in found])
            sides["source" if kind == "encoder" else "target"] = found[0][1]
            sides["target" if kind == "decoder" else "source"] = found[0][2]
    source, target = sides["source"], sides["target"]
    empty = {"encoder": (source, source), "decoder": (target, target), "cross": (target, source)}
    for kind in ATTENTION_KINDS:
        weights.setdefault(kind, np.zeros((0, 0, *map(len, empty[kind]))))
    return ExplorerPrompt(
        name=str(prompt + 1),
        title=f"prompt {prompt + 1}" if batch is None else batch.source_texts[prompt].text,
        patterns=AttentionPatterns(**weights, source_tokens=source, target_tokens=target),
        labels=(*target[1:], "") if batch is None else batch.target_texts[prompt].pieces,
    )


def _lacks(kept: Mapping[AttentionKind, Sequence[str]]) -> str:
    """What the page lacks, and how to have it, in one sentence."""
    missing = [KIND_NAMES[kind] for kind, points in kept.items() if not points]
    lacking = ", ".join([*missing, "what heads write", "what the model would say by depth"])
    return f"Not in this cache: {lacking}; the command interp show writes a page of one sentence with all of it."


def _layer(name: str) -> int:
    return int(name.split(".")[1])


def _cut(
    pattern: Float[Tensor, "batch head query key"], name: str, batch: Batch | None, prompt: int
) -> tuple[Float[np.ndarray, "head row column"], tuple[str, ...], tuple[str, ...]]:
    """The patterns of one prompt without padding, and the tokens of rows and columns."""
    _check_prompt(len(pattern), prompt)
    weights = pattern[prompt].detach().float().cpu().numpy()
    if batch is None:
        return weights, tuple(map(str, range(weights.shape[1]))), tuple(map(str, range(weights.shape[2])))
    source, target = batch.source_texts[prompt].pieces, batch.decoder_pieces(prompt)
    kind = attention_kind(name)
    queries, keys = source if kind == "encoder" else target, target if kind == "decoder" else source
    return weights[:, : len(queries), : len(keys)], queries, keys


def _check_prompt(prompts: int, prompt: int) -> None:
    if place_of(prompt, prompts) is None:
        raise InputError(f"The cache has {prompts} prompts, counted from 0; got {prompt!r}.")


def _check_head(name: str, head: int, heads: int) -> None:
    if place_of(head, heads) is None:
        raise InputError(f"Layer {_layer(name)} has the heads 0 to {heads - 1}; got {head!r}.")
