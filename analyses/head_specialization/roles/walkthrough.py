"""One verdict with every number behind it: the head with the strongest role, or the one that comes nearest to any."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.head_specialization.criterion import Criterion
from analyses.head_specialization.roles.decide import RoleLabel, Verdict
from analyses.head_specialization.roles.rules import asked
from analyses.head_specialization.settings import HeadSettings
from interp.axes import AttentionKind


@dataclass(frozen=True, slots=True, eq=False)
class Walkthrough:
    """How one head came by its verdict.

    Attributes:
        label: the verdict.
        scores: of the head, for every independent text (or random sequence, or sentence); NaN where it has none.
        nulls: what the same would be without the role.
        goal: the smallest mean score at which the rule holds.
        near_goal: the same of a clear tendency.
    """

    label: RoleLabel
    scores: Float[np.ndarray, " text"]
    nulls: Float[np.ndarray, " text"]
    goal: float
    near_goal: float

    @property
    def n_texts(self) -> int:
        """Texts that have a score."""
        return int(np.isfinite(self.scores).sum())


def walk_through(
    verdict: Verdict, criteria: Mapping[AttentionKind, Sequence[Criterion]], settings: HeadSettings
) -> Walkthrough | None:
    """The verdict that is worth following: a role at its threshold before a tendency, then what comes nearest; None without any.

    Args:
        verdict: of all heads.
        criteria: kind -> the criteria that the verdict was made from.
        settings: thresholds.
    """
    named = [label for label in verdict.labels if not label.parts]
    ranked = sorted(
        named or verdict.candidates, key=lambda one: (one.strength != "threshold", one.null - one.score, one.head)
    )
    for label in ranked:
        for criterion in criteria[label.head.kind]:
            cell = (label.head.layer, label.head.head)
            detail = criterion.detail[cell[0]][cell[1]] if criterion.detail else ""
            if (criterion.role, criterion.rule, detail) == (label.role, label.rule, label.detail):
                goal = float(asked(criterion.rule, np.array([label.null]), settings)[0])
                near = label.null + settings.tendency * (goal - label.null)
                return Walkthrough(label, criterion.score[:, *cell], criterion.null[:, *cell], goal, near)
    return None
