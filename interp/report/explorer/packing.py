"""How does a prompt become text in a page? Whole numbers of one or two bytes behind a JSON head, deflated, in base 64.

Weights are kept in steps of 1/255, contributions in steps of 1/32767 of the largest of their array: finer than what is printed.
A browser inflates the one prompt that is shown.
"""

import base64
import json
import zlib
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from interp.report.explorer.contents import Explorer, ExplorerPrompt, Said
from interp.report.palette import HUES, readable_ink, tint
from interp.report.views.patterns import AttentionKind
from interp.report.visible_text import shorten, shown_token, visible

MOST_BYTES = 5_500_000
"""Bytes of prompts that one page holds, as text."""

_MOST_NUMBERS = 3_000_000
"""Numbers of one prompt; kinds of attention beyond it are left out, cross-attention last."""

WEIGHT_STEP = 1 / 255
"""In which weights are kept."""

_LONGEST_TOKEN = 24
_LONGEST_TITLE = 110
_KINDS: tuple[AttentionKind, ...] = ("cross", "decoder", "encoder")


def packed_prompt(prompt: ExplorerPrompt) -> str:
    """A prompt as base 64 of deflated bytes: length of the head in four bytes, the head, the numbers.

    Args:
        prompt: the prompt.
    """
    signed = {"components": prompt.components, "sources": prompt.sources, "own": prompt.own, "memory": prompt.memory}
    head: dict[str, Any] = {
        "name": prompt.name,
        "source": _tokens(prompt.patterns.source_tokens),
        "target": _tokens(prompt.patterns.target_tokens),
        "labels": _tokens(prompt.labels),
        "foils": _tokens(prompt.foils),
        "lead": [round(float(value), 4) for value in prompt.lead],
        "lens": [[_said(depth) for depth in row] for row in prompt.lens],
        "arrays": [],
    }
    parts, room = [], _MOST_NUMBERS
    for name, values in signed.items():
        if values is not None and 0 < values.size <= room:
            scale = max(float(np.abs(values).max(initial=0.0)), 1e-9) / 32767
            parts.append(np.rint(values / scale).astype("<i2").tobytes())
            head["arrays"].append({"name": name, "shape": values.shape, "bytes": 2, "scale": scale})
            room -= values.size
    for kind in _KINDS:
        weights = prompt.patterns.of(kind)
        if 0 < weights.size <= room:
            parts.append(np.rint(255 * np.clip(weights, 0.0, 1.0)).astype(np.uint8).tobytes())
            head["arrays"].append({"name": kind, "shape": weights.shape, "bytes": 1, "scale": WEIGHT_STEP})
            room -= weights.size
    return packed(head, parts)


def packed(head: Mapping[str, Any], numbers: Iterable[bytes]) -> str:
    """Base 64 of deflated bytes, as `drawing.unpack` of the pages' scripts reads them: length of the head, the head, the numbers.

    Args:
        head: what JSON can hold; `arrays` has name, shape, bytes and scale of every array of numbers.
        numbers: their bytes in that order, those of two bytes first.
    """
    text = json.dumps(head, ensure_ascii=True, separators=(",", ":"), allow_nan=False).encode()
    text += b" " * (len(text) % 2)  # numbers of two bytes begin at an even place
    return deflated(len(text).to_bytes(4, "little") + text + b"".join(numbers))


def packed_index(explorer: Explorer, titles: tuple[str, ...]) -> str:
    """What all prompts share, as base 64 of deflated JSON.

    Args:
        explorer: the contents.
        titles: of the prompts that the page holds.
    """
    index = {
        "model": explorer.model,
        "titles": [shorten(visible(title), _LONGEST_TITLE) for title in titles],
        "components": explorer.components,
        "encoderComponents": explorer.encoder_components,
        "depths": explorer.depths,
        "heads": {name: _note(explorer, name) for name in explorer.heads},
        "neighbors": {shown_token(token, _LONGEST_TOKEN): _said(found) for token, found in explorer.neighbors.items()},
        "layers": dict(explorer.layers),
        "start": explorer.start,
        "hues": {name: HUES[name] for name in ("blue", "purple", "orange")},
    }
    return deflated(json.dumps(index, ensure_ascii=True, separators=(",", ":")).encode())


def _note(explorer: Explorer, name: str) -> dict[str, Any]:
    note = explorer.heads[name]
    color = tint(note.hue, note.strength)
    return {
        "role": note.role,
        "code": note.code,
        "color": color,
        "ink": readable_ink(color),
        "mark": note.mark,
        "lines": note.lines,
        "address": note.address,
    }


def _tokens(pieces: tuple[str, ...]) -> list[str]:
    return [shown_token(piece, _LONGEST_TOKEN) for piece in pieces]


def _said(found: Said) -> list[tuple[str, float]]:
    return [(shown_token(token, _LONGEST_TOKEN), round(float(share), 3)) for token, share in found]


def deflated(data: bytes) -> str:
    """Bytes as base 64 of a deflated stream, as the pages' scripts inflate it.

    Args:
        data: the bytes.
    """
    return base64.b64encode(zlib.compress(data, 9)).decode("ascii")
