"""What the atlas found about every head, in a few lines for the page to explore."""

import numpy as np

from analyses.head_specialization.present.cards import PAGE
from analyses.head_specialization.present.figures import NEAR
from analyses.head_specialization.present.legend import code_of, hue_of
from analyses.head_specialization.roles.metrics import IMPORTANCE
from analyses.head_specialization.roles.rules import strength_of
from analyses.head_specialization.summary import HeadAtlas
from interp.axes import ATTENTION_KINDS
from interp.hooks.names import HeadId
from interp.report.explorer import HeadNote
from interp.report.numbers import interval

_MEASURES = ("entropy", "distance", "EOS mass", "prefix mass")


def head_notes(atlas: HeadAtlas) -> dict[str, HeadNote]:
    """A note for every head: its strongest role or the nearest one, and its main measures with their intervals."""
    heads = [
        HeadId(kind, *map(int, cell))
        for kind in ATTENTION_KINDS
        for cell in np.ndindex(*atlas.nearest[kind].score.shape)
    ]
    return {str(head): _note(atlas, head) for head in heads}


def _note(atlas: HeadAtlas, head: HeadId) -> HeadNote:
    own = max((label for label in atlas.labels if label.head == head), key=lambda label: label.score, default=None)
    address = f"pages/{PAGE}.html#card-head-{str(head).lower()}" if head in atlas.specimens else ""
    lines = _lines(atlas, head)
    if own is not None:
        score = ("score of the role", interval(own.score, own.low, own.high))
        strength = float(strength_of(np.array(own.score), np.array(own.null)))
        code = code_of(own.leading, "" if own.parts else own.detail) + ("+" if own.parts else "")
        return HeadNote(str(own), code, hue_of(own.leading), strength, True, (score, *lines), address)
    found, cell = atlas.nearest[head.kind], (head.layer, head.head)
    role, detail = found.role[head.layer][head.head], found.detail[head.layer][head.head]
    near = bool(found.progress[cell] >= NEAR)
    words = f"none; nearest to {role} {detail}".rstrip()
    hue, code = (hue_of(role), code_of(role, detail)) if near else ("gray", "")
    return HeadNote(words, code, hue, float(np.nan_to_num(found.strength[cell])), False, lines, address)


def _lines(atlas: HeadAtlas, head: HeadId) -> tuple[tuple[str, str], ...]:
    cell = (head.layer, head.head)
    return tuple(
        (metric.name, interval(metric.point[cell], metric.low[cell], metric.high[cell]))
        for metric in atlas.metrics[head.kind]
        if metric.name in (*_MEASURES, *IMPORTANCE.values()) and np.isfinite(metric.point[cell])
    )
