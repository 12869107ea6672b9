"""By which rule does a head earn a role?

A criterion is a score per prompt, its null per prompt, and a rule on their means over prompts:

    share      score >= 0.90                                  Voita et al. 2019, argmax at one offset
    mass       score > 0.50 and odds(score) / odds(null) >= 4     Clark et al. 2019, previous and next token; the odds [ours] ask
                                                              for more only where the null exceeds 0.20, in short texts
    monotone   score >= 0.80                                  [ours] Kendall's tau of the center of mass with the row, cross
    content    score > 0.50                                   [ours] duplicate-token and induction heads, on random repeats
    margin     score >= null + 0.10                           [ours] alignment heads, after Voita et al. 2019 for syntax
    syntax     score >= null + 0.10                           Voita et al. 2019, on sentences that did not choose the head
    copying    score >= 0.50, and so the OV eigenvalues       [ours] copying heads, see `copying`
    lift       score >= 0.50 and score / null >= 5            [ours] sinks: end of sentence, punctuation, sentinels
    odds       score >= 0.50 and odds(score) / odds(null) >= 5    [ours] prefix and first key, whose base rate is so large
                                                              that no mass could have a lift of 5

In short texts a lift of 5 is out of reach too: where 5 times the null exceeds 0.90, a score of 0.90 and the odds are asked.
"""

import numpy as np
from jaxtyping import Bool, Float

from analyses.head_specialization.criterion import Criterion, Rule
from analyses.head_specialization.roles.definitions import Strength
from analyses.head_specialization.settings import HeadSettings
from interp.statistics import mean_over_prompts

_ROOM = 0.9
_ROUNDING = 1e-6
_SHORT_TEXTS = 4.0
_HALVINGS = 30


def holds(
    rule: Rule, score: Float[np.ndarray, "*cells"], null: Float[np.ndarray, "*cells"], settings: HeadSettings
) -> Bool[np.ndarray, "*cells"]:
    """Whether a rule holds for means of score and null; False where either is undefined."""
    if rule == "share":
        return np.asarray(score >= settings.argmax_share - _ROUNDING)
    if rule == "mass":
        return np.asarray((score > settings.mass + _ROUNDING) & _odds(score, null, _SHORT_TEXTS))
    if rule == "monotone":
        return np.asarray(score >= settings.monotone - _ROUNDING)
    if rule == "content":
        return np.asarray(score > settings.mass + _ROUNDING)
    if rule in ("margin", "syntax"):
        return np.asarray(score >= null + settings.margin - _ROUNDING)
    enough = score >= settings.mass - _ROUNDING
    if rule in ("copying", "translation"):
        return np.asarray(enough)
    odds = enough & _odds(score, null, settings.lift)
    if rule == "odds":
        return np.asarray(odds)
    return np.asarray(odds & (score >= np.minimum(settings.lift * null, _ROOM) - _ROUNDING))


def _odds(score: np.ndarray, null: np.ndarray, ratio: float) -> np.ndarray:
    """odds(score) >= ratio * odds(null), written without division."""
    return np.asarray(score * (1 - null) >= ratio * null * (1 - score))


def strength_of(score: Float[np.ndarray, "*cells"], null: Float[np.ndarray, "*cells"]) -> Float[np.ndarray, "*cells"]:
    """(score - null) / (1 - null), clipped to 0 and 1; NaN where either is undefined."""
    room = 1.0 - null
    share = np.divide(score - null, room, out=np.ones_like(score), where=room > 0)
    return np.asarray(np.where(np.isnan(score - null), np.nan, np.clip(share, 0.0, 1.0)))


def asked(rule: Rule, null: Float[np.ndarray, "*cells"], settings: HeadSettings) -> Float[np.ndarray, "*cells"]:
    """The smallest score at which a rule holds, found by halving; NaN where even a score of 1 is not enough."""
    low, high = np.zeros_like(null), np.ones_like(null)
    reachable = holds(rule, high, null, settings)
    for _ in range(_HALVINGS):
        middle = (low + high) / 2
        enough = holds(rule, middle, null, settings)
        low, high = np.where(enough, low, middle), np.where(enough, middle, high)
    return np.where(reachable & ~np.isnan(null), high, np.nan)


def held(
    rule: Rule, score: Float[np.ndarray, "*cells"], null: Float[np.ndarray, "*cells"], settings: HeadSettings
) -> dict[Strength, Bool[np.ndarray, "*cells"]]:
    """Whether a rule holds at its published threshold, and whether the score is `settings.tendency` of the way there."""
    goal = asked(rule, null, settings)
    with np.errstate(invalid="ignore"):
        full = holds(rule, score, null, settings)
        near = score >= null + settings.tendency * (goal - null) - _ROUNDING
    return {"threshold": full, "tendency": np.asarray(full | near)}


def effect_of(criterion: Criterion) -> Float[np.ndarray, "layer head"]:
    """The attention behind a score as a share of the way from chance to all of it, from 0 to 1, or of the score."""
    mass = criterion.score if criterion.mass is None else criterion.mass
    null = criterion.null if criterion.mass_null is None else criterion.mass_null
    return strength_of(mean_over_prompts(mass), mean_over_prompts(null))
