"""What the atlas found about every head, in a few lines for the page to explore."""

import numpy as np

from analyses.head_specialization.present.atlas_cells import AtlasCells, atlas_cells
from analyses.head_specialization.present.cards import PAGE
from analyses.head_specialization.present.legend import FAMILIES
from analyses.head_specialization.roles.metrics import IMPORTANCE
from analyses.head_specialization.summary import HeadAtlas
from interp.axes import ATTENTION_KINDS
from interp.hooks.names import HeadId
from interp.report.explorer import HeadNote
from interp.report.numbers import interval

_MEASURES = ("entropy", "distance", "EOS mass", "prefix mass")


def head_notes(atlas: HeadAtlas) -> dict[str, HeadNote]:
    """A note for every head: what its cell of the atlas shows, and its main measures with their intervals."""
    notes = {}
    for kind in ATTENTION_KINDS:
        cells = atlas_cells(atlas, kind)
        for layer, head in np.ndindex(*cells.category.shape):
            own = HeadId(kind, layer, head)
            notes[str(own)] = _note(atlas, cells, own)
    return notes


def _note(atlas: HeadAtlas, cells: AtlasCells, head: HeadId) -> HeadNote:
    cell = (head.layer, head.head)
    family, mark, label = int(cells.category[cell]), cells.marks[head.layer][head.head], cells.labels.get(cell)
    lines = _lines(atlas, head)
    if label is None:
        found = atlas.nearest[head.kind]
        words = f"none; nearest to {found.role[head.layer][head.head]} {found.detail[head.layer][head.head]}".rstrip()
    else:
        words = {"certain": str(label), "tendency": f"a clear tendency: {label}"}.get(mark, f"uncertain: {label}")
        lines = (("score of the role", interval(label.score, label.low, label.high)), *lines)
    return HeadNote(
        role=words,
        code=cells.codes[head.layer][head.head],
        hue="gray" if family < 0 else FAMILIES[family].hue,
        strength=float(np.nan_to_num(cells.strength[cell])),
        mark=mark,
        lines=lines,
        address=f"pages/{PAGE}.html#card-head-{str(head).lower()}" if head in atlas.specimens else "",
    )


def _lines(atlas: HeadAtlas, head: HeadId) -> tuple[tuple[str, str], ...]:
    cell = (head.layer, head.head)
    return tuple(
        (metric.name, interval(metric.point[cell], metric.low[cell], metric.high[cell]))
        for metric in atlas.metrics[head.kind]
        if metric.name in (*_MEASURES, *IMPORTANCE.values()) and np.isfinite(metric.point[cell])
    )
