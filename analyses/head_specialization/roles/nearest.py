"""Which role is every head nearest to, and how near?

A criterion asks for a score that depends on its rule and its null. How far a head has come is

    progress = (score - null) / (asked - null)        0: at chance, 1: the rule holds

and its nearest role is the one with the largest progress [ours]. Strength is the share of the way from chance to certainty,
(score - null) / (1 - null), as in Cohen's kappa; it is comparable between rules with different thresholds. Neither is a test: a
head has a role only if `roles` says so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.head_specialization.criterion import Criterion
from analyses.head_specialization.roles.rules import asked, strength_of
from analyses.head_specialization.settings import HeadSettings
from interp.statistics import mean_over_prompts, merge_ties


@dataclass(frozen=True, slots=True, eq=False)
class NearestRoles:
    """For every head of one kind the role it is nearest to.

    Attributes:
        role: its name; empty where no criterion has a score.
        detail: what exactly was found, such as the offset.
        score: mean over prompts.
        null: mean of the null.
        progress: 0 at chance, 1 where the rule holds; NaN where no criterion has a score.
    """

    role: tuple[tuple[str, ...], ...]
    detail: tuple[tuple[str, ...], ...]
    score: Float[np.ndarray, "layer head"]
    null: Float[np.ndarray, "layer head"]
    progress: Float[np.ndarray, "layer head"]

    @property
    def strength(self) -> Float[np.ndarray, "layer head"]:
        """Share of the way from chance to certainty, from 0 to 1."""
        return strength_of(self.score, self.null)


def nearest_roles(criteria: Sequence[Criterion], settings: HeadSettings) -> NearestRoles:
    """The nearest role of every head of one kind.

    Args:
        criteria: all criteria of this kind.
        settings: thresholds.
    """
    scores = np.stack([_mean(criterion, criterion.score) for criterion in criteria])
    nulls = np.stack([_mean(criterion, criterion.null) for criterion in criteria])
    goals = np.stack([asked(criterion.rule, null, settings) for criterion, null in zip(criteria, nulls, strict=True)])
    room = goals - nulls
    with np.errstate(invalid="ignore"):
        progress = np.divide(scores - nulls, room, out=np.full_like(scores, np.nan), where=room > 0)
    best = merge_ties(np.moveaxis(np.where(np.isnan(progress), -np.inf, progress), 0, -1)).argmax(-1)
    defined = ~np.isnan(progress).all(0)

    def picked(values: np.ndarray) -> np.ndarray:
        chosen = np.take_along_axis(values, best[None], 0)[0]
        return np.where(defined, chosen, np.nan)

    def text(layer: int, head: int, detail: bool) -> str:
        criterion = criteria[best[layer, head]]
        if not defined[layer, head]:
            return ""
        return (criterion.detail[layer][head] if criterion.detail else "") if detail else criterion.role

    layers, heads = best.shape
    role, detail = (
        tuple(tuple(text(layer, head, which) for head in range(heads)) for layer in range(layers))
        for which in (False, True)
    )
    return NearestRoles(role, detail, picked(scores), picked(nulls), picked(progress))


def _mean(criterion: Criterion, values: np.ndarray) -> np.ndarray:
    """Mean over prompts as float64; NaN for heads that the criterion does not judge."""
    mean = mean_over_prompts(values).astype(np.float64)
    return mean if criterion.eligible is None else np.where(criterion.eligible, mean, np.nan)
