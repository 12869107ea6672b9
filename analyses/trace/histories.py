"""When does a head get a role, when does it lose it, and where does its score change?

A role is born at the first moment at which the one decision gives it to the head, and lost at the first moment after the last one
at which it does, if there is one. A mixture counts as its strongest part. Change points are those of the role's score; a head
that never has a role is followed on the one that it comes nearest to. The p-values of all curves are corrected together
(Benjamini and Hochberg 1995).
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Bool, Float

from analyses.trace.snapshots import Snapshot
from interp.hooks.names import HeadId
from interp.statistics import bootstrap_mean, false_discovery
from interp.statistics.change_points import Changes, changes_of

LEVEL = 0.05
"""False discovery rate of changes."""


@dataclass(frozen=True, slots=True, eq=False)
class RoleHistory:
    """A head and one role over the moments.

    Attributes:
        head: which head.
        role: which role.
        has: at which moments the head has it.
        score: mean score at every moment; NaN where it is not defined.
        low: lower end of its 95 % interval.
        high: upper end.
        effect: attention behind the score, from 0 to 1.
        changes: where the score changes.
        p_adjusted: of the main change, over all heads and roles; NaN without one.
    """

    head: HeadId
    role: str
    has: Bool[np.ndarray, " moment"]
    score: Float[np.ndarray, " moment"]
    low: Float[np.ndarray, " moment"]
    high: Float[np.ndarray, " moment"]
    effect: Float[np.ndarray, " moment"]
    changes: Changes
    p_adjusted: float

    @property
    def born(self) -> int | None:
        """The first moment at which the head has the role."""
        return int(np.argmax(self.has)) if self.has.any() else None

    @property
    def lost(self) -> int | None:
        """The first moment after the last one at which it has the role; None if it has it to the end, or never."""
        if not self.has.any() or self.has[-1]:
            return None
        return int(len(self.has) - np.argmax(self.has[::-1]))

    @property
    def changed(self) -> bool:
        """Whether its score changes, by the test over random orders of the moments."""
        return bool(self.p_adjusted <= LEVEL)


def role_histories(snapshots: Sequence[Snapshot], seed: int) -> tuple[RoleHistory, ...]:
    """The histories of all heads: of every role that a head ever has, or of the nearest one.

    Args:
        snapshots: the moments of one run.
        seed: of resampling.
    """
    followed = [(head, role) for head in snapshots[-1].scores for role in _roles_of(snapshots, head)]
    found = [_history(snapshots, head, role, seed) for head, role in followed]
    adjusted = false_discovery(np.array([one.changes.p_value for one in found])) if found else np.zeros(0)
    return tuple(replace(one, p_adjusted=float(p_value)) for one, p_value in zip(found, adjusted, strict=True))


def leading(histories: Sequence[RoleHistory]) -> dict[HeadId, RoleHistory]:
    """The history that stands for each head: of the role it has at the end, else of the one it has longest, else the nearest.

    Args:
        histories: of all heads of a run.
    """
    found: dict[HeadId, RoleHistory] = {}
    for one in histories:
        if one.head not in found or _weight(one) > _weight(found[one.head]):
            found[one.head] = one
    return found


def _weight(one: RoleHistory) -> tuple[bool, int, float]:
    return bool(one.has[-1]), int(one.has.sum()), float(np.nan_to_num(one.effect[-1]))


def _roles_of(snapshots: Sequence[Snapshot], head: HeadId) -> list[str]:
    """The roles that a head ever has, in the order of birth; else the one with the largest effect at any moment."""
    had = [label.leading for snapshot in snapshots for label in snapshot.labels if label.head == head]
    scored: dict[str, float] = {}
    for snapshot in snapshots:
        for role, score in snapshot.scores.get(head, {}).items():
            scored[role] = max(scored.get(role, 0.0), float(np.nan_to_num(score.effect)))
    # What experiments alone give has no score here.
    known = [role for role in dict.fromkeys(had) if role in scored]
    return known or sorted(scored, key=lambda role: (-round(scored[role], 6), role))[:1]


def _history(snapshots: Sequence[Snapshot], head: HeadId, role: str, seed: int) -> RoleHistory:
    count = max(len(one.scores[head][role].values) for one in snapshots if role in one.scores.get(head, {}))
    values, effect = np.full((count, len(snapshots)), np.nan), np.full(len(snapshots), np.nan)
    for place, snapshot in enumerate(snapshots):
        score = snapshot.scores.get(head, {}).get(role)
        if score is not None:
            values[:, place], effect[place] = score.values, score.effect
    interval = bootstrap_mean(values, seed, 1000)
    has = np.array([
        any(label.head == head and role in (label.role, *label.parts[:1]) for label in snapshot.labels)
        for snapshot in snapshots
    ])
    changes = changes_of(values, seed)
    return RoleHistory(head, role, has, interval.point, interval.low, interval.high, effect, changes, np.nan)
