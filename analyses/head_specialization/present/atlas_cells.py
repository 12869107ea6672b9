"""What every head's cell of the atlas shows, in the figure and on the page to explore."""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from analyses.head_specialization.present.legend import FAMILIES, code_of, family_of
from analyses.head_specialization.roles.decide import RoleLabel
from analyses.head_specialization.roles.definitions import Strength
from analyses.head_specialization.roles.rules import strength_of
from analyses.head_specialization.summary import HeadAtlas
from interp.axes import AttentionKind
from interp.report.charts import Mark

NEAR = 0.25
"""Progress towards a role from which a head without one is colored and lettered for it."""

MARK_LABELS = ("meets the threshold", "clear tendency", "uncertain: controls, test or resamples disagree")
"""What a thick, a thin and a broken frame say."""

_MARKS: dict[Strength, Mark] = {"threshold": "certain", "tendency": "tendency"}


@dataclass(frozen=True, slots=True, eq=False)
class AtlasCells:
    """The cells of one kind of attention.

    Attributes:
        category: number of the role's family in `FAMILIES`; -1 where no role is near.
        strength: how far the score lies from chance (0) to always (1).
        codes: letters of the role that a head has or is nearest to, + where it has several.
        marks: whether it meets the threshold, has a clear tendency, or is uncertain.
        labels: the role that the cell shows, where it is one that the head has or may have.
    """

    category: Int[np.ndarray, "layer head"]
    strength: Float[np.ndarray, "layer head"]
    codes: tuple[tuple[str, ...], ...]
    marks: tuple[tuple[Mark, ...], ...]
    labels: dict[tuple[int, int], RoleLabel]


def atlas_cells(atlas: HeadAtlas, kind: AttentionKind) -> AtlasCells:
    """The cells of one kind of attention: of each head its role with the largest score, else the nearest one.

    Args:
        atlas: the heads.
        kind: of attention.
    """
    labels = [label for label in atlas.labels if label.head.kind == kind]
    doubtful = [label for label in atlas.uncertain if label.head.kind == kind]
    nearest, shown = atlas.nearest[kind], {}
    strength = nearest.strength
    category = np.full(strength.shape, -1)
    codes = [["" for _ in row] for row in nearest.role]
    marks: list[list[Mark]] = [["" for _ in row] for row in nearest.role]
    for layer, head in np.argwhere(nearest.progress >= NEAR):
        role = nearest.role[layer][head]
        category[layer, head] = FAMILIES.index(family_of(role))
        codes[layer][head] = code_of(role, nearest.detail[layer][head])
    for label in (*doubtful, *sorted(labels, key=lambda label: label.score)):
        layer, head = label.head.layer, label.head.head
        category[layer, head] = FAMILIES.index(family_of(label.leading))
        several = bool(label.parts) or len({other.role for other in labels if other.head == label.head}) > 1
        codes[layer][head] = code_of(label.leading, "" if label.parts else label.detail) + ("+" if several else "")
        marks[layer][head] = _MARKS[label.strength] if label.passes else "uncertain"
        strength[layer, head] = strength_of(np.array(label.score), np.array(label.null))
        shown[layer, head] = label
    return AtlasCells(category, strength, tuple(map(tuple, codes)), tuple(map(tuple, marks)), shown)
