"""Which heads have a role, and how sure is that?

A head gets a role if its rule (see `rules`) holds for the means over all prompts, and in at least 90 % of bootstrap resamples of
the prompts (97.5 % for sinks and syntax: the confidence bound must pass), and score - null > 0 in a one-sided t-test over prompts
after Benjamini and Hochberg 1995 over all heads and criteria. Where one behaviour entails another, only the entailing one
is kept: a head that finds the same token looks at itself in a text without repeats (`EXPLAINED_BY`).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.head_specialization.criterion import Criterion, Rule
from analyses.head_specialization.roles.rules import holds
from analyses.head_specialization.settings import HeadSettings
from interp.axes import AttentionKind
from interp.hooks.names import HeadId
from interp.statistics import largest, mean_over_prompts, resampled_means

STRICT_STABILITY = 0.975
"""Share of resamples in which the rule of a sink or of syntax must hold: the lower confidence bound is above the threshold."""

_STRICT: tuple[Rule, ...] = ("lift", "odds", "syntax")

EXPLAINED_BY = {
    "current token": ("duplicate token",),
    "next token": ("induction",),
    "previous token": ("token before a copy",),
}
"""Role -> roles that entail it; a head with one of these does not get it."""


@dataclass(frozen=True, slots=True, eq=False)
class Controls:
    """The mean score of one criterion in the models it is compared with; NaN where one was not run.

    Attributes:
        twins: untrained twins.
        permuted: the model with its weights permuted.
        shuffled: the model on shuffled texts.
    """

    twins: Float[np.ndarray, "twin layer head"]
    permuted: Float[np.ndarray, "layer head"]
    shuffled: Float[np.ndarray, "layer head"]


@dataclass(frozen=True, slots=True)
class RoleLabel:
    """How a head does on one criterion, with the evidence.

    Attributes:
        head: which head.
        role: which role.
        rule: which rule.
        score: mean over prompts.
        low: lower end of the 95 % bootstrap interval.
        high: upper end.
        null: mean of the null over prompts.
        control: mean score of the same head in the untrained twins; NaN without twins.
        control_low: smallest of the twins' scores.
        control_high: largest of the twins' scores.
        permuted: mean score of the same head with its weights permuted (see `nulls`); NaN if that was not run.
        shuffled: mean score of the same head on the same texts with their tokens in random order; NaN likewise.
        p_adjusted: Benjamini-Hochberg adjusted p-value.
        stability: share of bootstrap resamples in which the rule holds.
        detail: what exactly was found, or an empty text.
        holds: whether the rule holds for the means.
        passes: whether rule, test and bootstrap agree that the head has the role.
    """

    head: HeadId
    role: str
    rule: Rule
    score: float
    low: float
    high: float
    null: float
    control: float
    control_low: float
    control_high: float
    permuted: float
    shuffled: float
    p_adjusted: float
    stability: float
    detail: str
    holds: bool
    passes: bool

    def __str__(self) -> str:
        return f"{self.role} {self.detail}".rstrip()


@dataclass(frozen=True, slots=True)
class Verdict:
    """The outcome for all heads of one kind.

    Attributes:
        labels: roles that heads have, by layer, head and role.
        uncertain: heads for which a rule holds, but not the test or not the bootstrap.
        candidates: for every criterion the head that comes nearest, whether it passes or not.
    """

    labels: tuple[RoleLabel, ...]
    uncertain: tuple[RoleLabel, ...]
    candidates: tuple[RoleLabel, ...]


def judge(
    kind: AttentionKind,
    criteria: Sequence[Criterion],
    adjusted: Sequence[np.ndarray],
    settings: HeadSettings,
    seed: int,
    controls: Sequence[Controls],
) -> Verdict:
    """The roles of all heads of one kind.

    Args:
        kind: which attention.
        criteria: the criteria of this kind.
        adjusted: for each criterion the adjusted p-values [layer head], see `adjusted_p_values`.
        settings: thresholds.
        seed: of the bootstrap.
        controls: for each criterion its mean scores in the control models.

    Returns:
        A role earned twice is given once, by the criterion with the larger score.
    """
    labels: dict[tuple[HeadId, str, str], RoleLabel] = {}
    candidates: list[RoleLabel] = []
    uncertain: list[RoleLabel] = []
    for criterion, p_values, control in zip(criteria, adjusted, controls, strict=True):
        evaluated = _evaluate(kind, criterion, p_values, settings, seed, control)
        nearest = next((place for place, other in enumerate(candidates) if _same(other, criterion)), None)
        if nearest is None:
            candidates += evaluated[:1]
        elif evaluated and _excess(evaluated[0]) > _excess(candidates[nearest]):
            candidates[nearest] = evaluated[0]
        uncertain += [label for label in evaluated if label.holds and not label.passes]
        for label in evaluated:
            # A head may serve many relations; of any other role the strongest evidence is enough.
            key = (label.head, label.role, label.detail if label.rule == "syntax" else "")
            if label.passes and (key not in labels or labels[key].score < label.score):
                labels[key] = label
    roles = {head: {role for other, role, _ in labels if other == head} for head, _, _ in labels}
    kept = [label for label in labels.values() if not roles[label.head].intersection(EXPLAINED_BY.get(label.role, ()))]
    doubtful = tuple(label for label in uncertain if label.role not in roles.get(label.head, ()))
    return Verdict(
        tuple(sorted(kept, key=lambda label: (label.head, label.role, label.detail))), doubtful, tuple(candidates)
    )


def _same(label: RoleLabel, criterion: Criterion) -> bool:
    return (label.role, label.rule) == (criterion.role, criterion.rule)


def _excess(label: RoleLabel) -> float:
    return label.score - label.null


def _evaluate(
    kind: AttentionKind,
    criterion: Criterion,
    adjusted: np.ndarray,
    settings: HeadSettings,
    seed: int,
    controls: Controls,
) -> list[RoleLabel]:
    """The head with the largest score, then all others for which the rule holds; empty if no score is defined."""
    score, null = mean_over_prompts(criterion.score), mean_over_prompts(criterion.null)
    if criterion.eligible is not None:
        score = np.where(criterion.eligible, score, np.nan)
    if np.isnan(score).all():
        return []
    with np.errstate(invalid="ignore"):
        passing = holds(criterion.rule, score, null, settings)
    best = largest(score)
    cells = [best, *(cell for cell in map(tuple, np.argwhere(passing)) if cell != best)]
    picked = np.stack(
        [np.stack([array[:, *cell] for cell in cells], -1) for array in (criterion.score, criterion.null)], -1
    )
    draws = resampled_means(picked, seed, settings.resamples)
    with np.errstate(invalid="ignore"):
        stability = holds(criterion.rule, draws[..., 0], draws[..., 1], settings).mean(0)
    needed = max(settings.stability, STRICT_STABILITY) if criterion.rule in _STRICT else settings.stability
    low, high = np.nanquantile(draws[..., 0], [0.025, 0.975], axis=0)
    return [
        RoleLabel(
            head=HeadId(kind, int(layer), int(head)),
            role=criterion.role,
            rule=criterion.rule,
            score=float(score[layer, head]),
            low=float(low[index]),
            high=float(high[index]),
            null=float(null[layer, head]),
            control=float(controls.twins[:, layer, head].mean()),
            control_low=float(controls.twins[:, layer, head].min()),
            control_high=float(controls.twins[:, layer, head].max()),
            permuted=float(controls.permuted[layer, head]),
            shuffled=float(controls.shuffled[layer, head]),
            p_adjusted=float(adjusted[layer, head]),
            stability=float(stability[index]),
            detail=criterion.detail[layer][head] if criterion.detail else "",
            holds=bool(passing[layer, head]),
            passes=bool(
                passing[layer, head]
                and adjusted[layer, head] <= settings.false_discovery_rate
                and stability[index] >= needed
            ),
        )
        for index, (layer, head) in enumerate(cells)
    ]
