"""The attention patterns of the first prompts, kept small for the cards of heads: in steps of 1/255."""

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from analyses.core.contract import Arrays
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import run_stacks
from interp.text.batch import Batch

STEPS = 255
_MOST_PROMPTS = 32
_MOST_BYTES = 32_000_000


def observe_specimens(model: HookedEncoderDecoder, batches: Sequence[Batch]) -> Arrays:
    """The patterns of the first prompts, as many as fit into 32 MB, at most 32.

    Returns:
        `specimen.<kind>` [prompt layer head query key] in steps of 1/255, padded with 0; `specimen.source` and
        `specimen.target` [prompt pos], the pieces, padded with empty texts.
    """
    patterns: dict[AttentionKind, list[np.ndarray]] = {kind: [] for kind in ATTENTION_KINDS}
    pieces: list[tuple[tuple[str, ...], tuple[str, ...]]] = []
    size = 0
    for batch in batches:
        if len(pieces) >= _MOST_PROMPTS or size >= _MOST_BYTES:
            break
        cache = run_stacks(model, batch, "*.hook_pattern").cache
        for kind in ATTENTION_KINDS:
            layers = [
                cache[f"{attention_path(kind, layer)}.hook_pattern"] for layer in range(model.cfg.layers_of(kind))
            ]
            patterns[kind].append(_in_steps(torch.stack(layers, 1)))
            size += patterns[kind][-1].nbytes
        pieces += [(text.pieces, batch.decoder_pieces(row)) for row, text in enumerate(batch.source_texts)]
    found = {f"specimen.{kind}": _padded(parts) for kind, parts in patterns.items()}
    for index, name in enumerate(("source", "target")):
        found[f"specimen.{name}"] = _text_array([both[index] for both in pieces])
    return found


def _in_steps(pattern: Float[Tensor, "*leading query key"]) -> UInt8[np.ndarray, "*leading query key"]:
    return np.asarray((pattern.float() * STEPS).round().to(torch.uint8).cpu().numpy())


def _padded(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Batches of different lengths joined along the prompt axis."""
    queries, keys = (max(part.shape[axis] for part in parts) for axis in (-2, -1))
    widths = [((0, 0),) * 3 + ((0, queries - part.shape[-2]), (0, keys - part.shape[-1])) for part in parts]
    return np.concatenate([np.pad(part, width) for part, width in zip(parts, widths, strict=True)])


def _text_array(texts: Sequence[tuple[str, ...]]) -> np.ndarray:
    """Pieces as objects: numpy's own text type would drop characters at the end."""
    found = np.full((len(texts), max(map(len, texts))), "", dtype=object)
    for row, pieces in enumerate(texts):
        found[row, : len(pieces)] = pieces
    return found
