"""Which heads have a role, and how sure is that?

A criterion is a score per prompt, its null per prompt, and a rule on their means over prompts:

    share      score >= 0.90                                  Voita et al. 2019, argmax at one offset
    mass       score > 0.50                                   Clark et al. 2019, previous and next token
    content    score > 0.50                                   [ours] duplicate-token and induction heads, on random repeats
    margin     score >= null + 0.10                           [ours] alignment heads, after Voita et al. 2019 for syntax
    lift       score >= 0.50 and score / null >= 5            [ours] sinks: end of sentence, punctuation, sentinels
    odds       score >= 0.50 and odds(score) / odds(null) >= 5    [ours] prefix and first key, whose base rate is so large
                                                              that no mass could have a lift of 5

A head gets the role if the rule holds for the means over all prompts, and in at least 90 % of bootstrap resamples of the
prompts (97.5 % for sinks: the confidence bound must pass), and score - null > 0 in a one-sided t-test over prompts after
Benjamini and Hochberg over all heads and criteria (methods G). Where one behaviour entails another, only the entailing one
is kept: a head that finds the same token looks at itself in a text without repeats (`EXPLAINED_BY`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import scipy.stats
from jaxtyping import Bool, Float

from analyses.head_specialization.settings import HeadSettings
from interp.axes import AttentionKind
from interp.names import HeadId
from interp.statistics import false_discovery, max_statistic_test, resampled_means

Rule = Literal["share", "mass", "content", "margin", "lift", "odds"]

STRICT_STABILITY = 0.975
"""Share of resamples in which a sink's rule must hold: the lower confidence bound lies above the threshold."""

_FLIPS = 2000
_DECIMALS = 5

EXPLAINED_BY = {
    "current token": ("duplicate token",),
    "next token": ("induction",),
    "previous token": ("token before a copy",),
}
"""Role -> roles that entail it; a head with one of these does not get it."""


@dataclass(frozen=True, slots=True, eq=False)
class Criterion:
    """One way to earn a role.

    Attributes:
        role: the role.
        rule: see the module's docstring.
        score: per prompt (or random sequence) and head.
        null: what the score would be without the role.
        detail: for every head what exactly was found, such as the offset.
        looks: how many scores this one was chosen from, head by head; p-values are multiplied by it.
    """

    role: str
    rule: Rule
    score: Float[np.ndarray, "prompt layer head"]
    null: Float[np.ndarray, "prompt layer head"]
    detail: Sequence[Sequence[str]] | None = None
    looks: int = 1


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


def holds(
    rule: Rule, score: Float[np.ndarray, "*cells"], null: Float[np.ndarray, "*cells"], settings: HeadSettings
) -> Bool[np.ndarray, "*cells"]:
    """Whether a rule holds for means of score and null; False where either is undefined."""
    if rule == "share":
        return np.asarray(score >= settings.argmax_share)
    if rule in ("mass", "content"):
        return np.asarray(score > settings.mass)
    if rule == "margin":
        return np.asarray(score >= null + settings.margin)
    enough = score >= settings.mass
    if rule == "lift":
        return np.asarray(enough & (score >= settings.lift * null))
    # odds(score) >= lift * odds(null), written without division.
    return np.asarray(enough & (score * (1 - null) >= settings.lift * null * (1 - score)))


def judge(
    kind: AttentionKind,
    criteria: Sequence[Criterion],
    adjusted: Sequence[np.ndarray],
    settings: HeadSettings,
    seed: int,
    controls: Sequence[np.ndarray | None],
) -> Verdict:
    """The roles of all heads of one kind.

    Args:
        kind: which attention.
        criteria: the criteria of this kind.
        adjusted: for each criterion the adjusted p-values [layer head], see `adjusted_p_values`.
        settings: thresholds.
        seed: of the bootstrap.
        controls: for each criterion the mean score in every untrained twin [twin layer head], or None.

    Returns:
        A role earned twice is given once, by the criterion with the larger score.
    """
    labels: dict[tuple[HeadId, str], RoleLabel] = {}
    candidates: list[RoleLabel] = []
    uncertain: list[RoleLabel] = []
    for criterion, p_values, control in zip(criteria, adjusted, controls, strict=True):
        evaluated = _evaluate(kind, criterion, p_values, settings, seed, control)
        candidates += evaluated[:1]
        uncertain += [label for label in evaluated if label.holds and not label.passes]
        for label in evaluated:
            key = (label.head, label.role)
            if label.passes and (key not in labels or labels[key].score < label.score):
                labels[key] = label
    roles = {head: {role for other, role in labels if other == head} for head, _ in labels}
    kept = [label for (head, role), label in labels.items() if not roles[head].intersection(EXPLAINED_BY.get(role, ()))]
    doubtful = tuple(label for label in uncertain if label.role not in roles.get(label.head, ()))
    return Verdict(tuple(sorted(kept, key=lambda label: (label.head, label.role))), doubtful, tuple(candidates))


def _evaluate(
    kind: AttentionKind,
    criterion: Criterion,
    adjusted: np.ndarray,
    settings: HeadSettings,
    seed: int,
    control: np.ndarray | None,
) -> list[RoleLabel]:
    """The head with the largest score, then all others for which the rule holds; empty if no score is defined."""
    score, null = mean_over_prompts(criterion.score), mean_over_prompts(criterion.null)
    if np.isnan(score).all():
        return []
    with np.errstate(invalid="ignore"):
        passing = holds(criterion.rule, score, null, settings)
    best = np.unravel_index(np.nanargmax(score), score.shape)
    cells = [best, *(cell for cell in map(tuple, np.argwhere(passing)) if cell != best)]
    picked = np.stack(
        [np.stack([array[:, *cell] for cell in cells], -1) for array in (criterion.score, criterion.null)], -1
    )
    draws = resampled_means(picked, seed, settings.resamples)
    with np.errstate(invalid="ignore"):
        stability = holds(criterion.rule, draws[..., 0], draws[..., 1], settings).mean(0)
    needed = max(settings.stability, STRICT_STABILITY) if criterion.rule in ("lift", "odds") else settings.stability
    low, high = np.nanquantile(draws[..., 0], [0.025, 0.975], axis=0)
    twins = np.full((1, *score.shape), np.nan) if control is None else control
    return [
        RoleLabel(
            head=HeadId(kind, int(layer), int(head)),
            role=criterion.role,
            rule=criterion.rule,
            score=float(score[layer, head]),
            low=float(low[index]),
            high=float(high[index]),
            null=float(null[layer, head]),
            control=float(twins[:, layer, head].mean()),
            control_low=float(twins[:, layer, head].min()),
            control_high=float(twins[:, layer, head].max()),
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


def adjusted_p_values(criteria: Sequence[Criterion]) -> list[Float[np.ndarray, "layer head"]]:
    """One-sided t-tests of score - null over prompts, adjusted over all heads and criteria (Benjamini and Hochberg 1995).

    A head whose difference is the same positive number in every prompt has p = 0; prompts without a value are left out.
    """
    raw = [np.minimum(_p_values(_excess(criterion)) * criterion.looks, 1.0) for criterion in criteria]
    flat = false_discovery(np.concatenate([values.ravel() for values in raw]))
    sizes = np.cumsum([values.size for values in raw])[:-1]
    return [part.reshape(values.shape) for part, values in zip(np.split(flat, sizes), raw, strict=True)]


def _excess(criterion: Criterion) -> Float[np.ndarray, "prompt layer head"]:
    """Score - null, without the rounding of float32, which has the same sign in every prompt and would pass for an effect."""
    return np.asarray(np.round(criterion.score.astype(np.float64) - criterion.null, _DECIMALS))


def existence_p_value(criterion: Criterion, seed: int) -> float:
    """The family-wise p of the claim that some head's score is above its null: sign flips of prompts, largest statistic.

    The largest statistic over heads respects their correlation (Westfall and Young 1993). NaN if no score is defined.
    """
    difference = _excess(criterion)
    if np.isnan(difference).all():
        return float("nan")
    tested = max_statistic_test(difference, seed, _FLIPS, alternative="greater")
    return float(np.nanmin(tested.p_value))


def _p_values(difference: Float[np.ndarray, "prompt layer head"]) -> Float[np.ndarray, "layer head"]:
    """One-sided p of mean > 0; NaN for fewer than two prompts with a value."""
    count = (~np.isnan(difference)).sum(0)
    mean = mean_over_prompts(difference)
    spread = np.sqrt(mean_over_prompts((difference - mean) ** 2) * count / np.maximum(count - 1, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = np.where(spread > 1e-12, mean / (spread / np.sqrt(count)), np.sign(np.round(mean, 12)) * np.inf)
    p = scipy.stats.t.sf(np.nan_to_num(statistic, nan=0.0), np.maximum(count - 1, 1))
    return np.where(count >= 2, np.where(np.isnan(statistic), 1.0, p), np.nan)


def mean_over_prompts(values: Float[np.ndarray, " prompt *cells"]) -> Float[np.ndarray, "*cells"]:
    """Mean over prompts that have a value; NaN where none has."""
    defined = ~np.isnan(values)
    total = np.where(defined, values, 0.0).sum(0, dtype=np.float64)
    count = defined.sum(0)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))
