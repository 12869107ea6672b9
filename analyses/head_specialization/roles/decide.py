"""Which heads have a role, how strong is it, and how sure is that?

A head has a role if all of this holds (the numbers are settings, the rules are in `rules`):

    rule        its mean score meets the published threshold, or comes half of the way there from chance: a *clear tendency*
    effect      the attention behind the score, as a share of the way from chance to all of it, has a floor: a head that attends
                almost evenly can have the same argmax in every row
    controls    the lower end of its interval is above the best head of the same kind in every untrained twin
    test        score - null > 0 after Benjamini and Hochberg over all heads and criteria, over independent texts, at least three
    stability   the rule holds in 90 % of bootstrap resamples (97.5 % for sinks and syntax)

A head with clear tendencies to several roles and no full one is a mixture. Where one behaviour entails another, only the
entailing one is kept: a head that finds the same token looks at itself in a text without repeats (`EXPLAINED_BY`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from analyses.head_specialization.criterion import Criterion, Rule
from analyses.head_specialization.roles.definitions import Strength
from analyses.head_specialization.roles.rules import effect_of, held
from analyses.head_specialization.settings import HeadSettings
from interp.axes import AttentionKind
from interp.hooks.names import HeadId
from interp.statistics import CORRELATION, SHARE, bootstrap_mean, largest, mean_over_prompts, resampled_means

MIXTURE = "mixture"

LEAST_TEXTS = 3
"""Independent texts below which no role is given; below `interp.statistics.LEAST`, `low` is their smallest score."""

STRICT_STABILITY = 0.975
"""Share of resamples in which the rule of a sink or of syntax must hold: the lower confidence bound is above the threshold."""

_STRICT: tuple[Rule, ...] = ("lift", "odds", "syntax")

EXPLAINED_BY = {
    "current token": ("duplicate token",),
    "next token": ("induction",),
    "previous token": ("token before a copy",),
    "alignment at the output": ("translation",),
    "monotone": ("translation", "alignment at the output", "alignment at the input step"),
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

    @property
    def best(self) -> float:
        """The best head of any untrained twin; -inf without one. The best of all heads is a control of them all at once."""
        return float(np.max(self.twins, initial=-np.inf, where=np.isfinite(self.twins)))


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
        control_best: score of the best head of any twin, which `low` must exceed; -inf without twins.
        effect: attention behind the score, as a share of the way from chance to all of it.
        strength: whether the rule holds at its threshold, or at most as a tendency.
        permuted: mean score of the same head with its weights permuted (see `nulls`); NaN if that was not run.
        shuffled: mean score of the same head on the same texts with their tokens in random order; NaN likewise.
        p_adjusted: Benjamini-Hochberg adjusted p-value.
        stability: share of bootstrap resamples in which the rule holds.
        needed: the stability that its rule asks for.
        detail: what exactly was found, or an empty text.
        holds: whether the rule holds for the means, at this strength.
        passes: whether rule, effect, controls, test and bootstrap agree that the head has the role.
        parts: the roles that a mixture is made of, the strongest first; empty for a single role.
        on_prompts: whether the prompts decide it, not bundled sentences, random sequences or gold parses.
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
    control_best: float
    effect: float
    strength: Strength
    permuted: float
    shuffled: float
    p_adjusted: float
    stability: float
    needed: float
    detail: str
    holds: bool
    passes: bool
    parts: tuple[str, ...] = ()
    on_prompts: bool = True

    @property
    def leading(self) -> str:
        """The role whose hue and letters the label has: of a mixture the strongest."""
        return self.parts[0] if self.parts else self.role

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
        A role earned twice is given once, by the criterion that holds more strongly, then by the larger score; several
        tendencies of one head are one mixture.
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
            if label.passes and (key not in labels or _rank(labels[key]) < _rank(label)):
                labels[key] = label
    roles = {head: {role for other, role, _ in labels if other == head} for head, _, _ in labels}
    kept = [label for label in labels.values() if not roles[label.head].intersection(EXPLAINED_BY.get(label.role, ()))]
    doubtful = tuple(label for label in uncertain if label.role not in roles.get(label.head, ()))
    return Verdict(
        tuple(sorted(_mixed(kept), key=lambda label: (label.head, label.role, label.detail))),
        doubtful,
        tuple(candidates),
    )


def _same(label: RoleLabel, criterion: Criterion) -> bool:
    return (label.role, label.rule) == (criterion.role, criterion.rule)


def _excess(label: RoleLabel) -> float:
    return label.score - label.null


def _rank(label: RoleLabel) -> tuple[bool, float]:
    return label.strength == "threshold", label.score


def _mixed(labels: Sequence[RoleLabel]) -> list[RoleLabel]:
    """Several tendencies of one head as one label; a role at full strength makes a head's tendencies needless."""
    found: list[RoleLabel] = []
    for head in dict.fromkeys(label.head for label in labels):
        own = sorted((label for label in labels if label.head == head), key=lambda label: -label.effect)
        full = [label for label in own if label.strength == "threshold"]
        if full or len(own) == 1:
            found += full or own
        else:
            detail = " + ".join(f"{label.effect:.2f} {label}" for label in own)
            parts, effect = tuple(label.role for label in own), sum(label.effect for label in own)
            found.append(replace(own[0], role=MIXTURE, detail=detail, effect=effect, parts=parts))
    return found


def _strength(
    holding: Mapping[Strength, bool],
    stability: Mapping[Strength, float],
    effect: float,
    needed: float,
    settings: HeadSettings,
) -> tuple[Strength, bool]:
    """The strength at which rule, effect and stability hold together, and whether there is one; else that of the rule alone."""
    floors: dict[Strength, float] = {"threshold": settings.effect, "tendency": settings.tendency_effect}
    for strength, floor in floors.items():
        if holding[strength] and effect >= floor and stability[strength] >= needed:
            return strength, True
    return "threshold" if holding["threshold"] else "tendency", False


def _evaluate(
    kind: AttentionKind,
    criterion: Criterion,
    adjusted: np.ndarray,
    settings: HeadSettings,
    seed: int,
    controls: Controls,
) -> list[RoleLabel]:
    """The head with the largest score, then all others for which the rule holds as a tendency; empty if no score is defined."""
    score, null = mean_over_prompts(criterion.score), mean_over_prompts(criterion.null)
    if criterion.eligible is not None:
        score = np.where(criterion.eligible, score, np.nan)
    if np.isnan(score).all():
        return []
    means = held(criterion.rule, score, null, settings)
    best = largest(score)
    cells = [best, *(cell for cell in map(tuple, np.argwhere(means["tendency"])) if cell != best)]
    picked = np.stack(
        [np.stack([array[:, *cell] for cell in cells], -1) for array in (criterion.score, criterion.null)], -1
    )
    drawn = resampled_means(picked, seed, settings.resamples)
    draws = held(criterion.rule, drawn[..., 0], drawn[..., 1], settings)
    support = CORRELATION if criterion.rule == "monotone" else SHARE
    interval = bootstrap_mean(picked[..., 0], seed, settings.resamples).within(support)
    effect = effect_of(criterion)
    needed = max(settings.stability, STRICT_STABILITY) if criterion.rule in _STRICT else settings.stability
    labels = []
    for index, cell in enumerate(cells):
        beyond = interval.low[index] > controls.best and interval.count[index] >= LEAST_TEXTS
        sure = beyond and adjusted[cell] <= settings.false_discovery_rate
        stability = {strength: float(draws[strength][:, index].mean()) for strength in means}
        holding = {name: bool(means[name][cell]) for name in means}
        strength, passing = _strength(holding, stability, float(effect[cell]), needed, settings)
        labels.append(
            RoleLabel(
                head=HeadId(kind, *map(int, cell)),
                role=criterion.role,
                rule=criterion.rule,
                score=float(score[cell]),
                low=float(interval.low[index]),
                high=float(interval.high[index]),
                null=float(null[cell]),
                control=float(controls.twins[:, *cell].mean()),
                control_low=float(controls.twins[:, *cell].min()),
                control_high=float(controls.twins[:, *cell].max()),
                control_best=controls.best,
                effect=float(effect[cell]),
                strength=strength,
                permuted=float(controls.permuted[cell]),
                shuffled=float(controls.shuffled[cell]),
                p_adjusted=float(adjusted[cell]),
                stability=stability[strength],
                needed=needed,
                detail=criterion.detail[cell[0]][cell[1]] if criterion.detail else "",
                holds=holding[strength],
                passes=bool(sure and passing),
                on_prompts=criterion.on_prompts,
            )
        )
    return labels
