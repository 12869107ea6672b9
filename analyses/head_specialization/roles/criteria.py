"""Which criteria of roles do the observed numbers allow?

    previous, current, next token    offset -1, 0, +1: share (Voita et al. 2019) or mass (Clark et al. 2019)
    offset o                         the best other offset of the window: share, or mass [ours]
    duplicate token, induction       random repeats, see `repeats`: content [ours]
    rare token                       argmax on the rarest source token: share by the lift rule [ours], see `rarity`
    EOS, punctuation, sentinel sink  lift rule [ours]; first-token sink and prefix head: odds rule [ours]
    monotone                         order in which the source is read [ours]
    copying                          hit rate and OV eigenvalues [ours], see `copy_hits`
    syntactic                        one criterion for each relation and direction, see `relations`

Each is judged on the rows that can tell it from its rivals: offsets on rows whose key there is no sink (first token, end of
sentence, prefix), sinks on rows without such a key within one step; a prompt without such rows says nothing.
Offsets that fewer than two fifths of the rows can reach are not looked at. The null of a share is the exchange of rows, of a
mass the even spread over legal keys. The mass of an offset is summed over the rows that can reach it and divided by all rows:
the first and the last row, with one neighbor, would lift a head that halves its mass between both above one half. Prompts
without any token of a category say nothing of its sink and are left out. A prefix head that puts nine tenths of its prefix mass
on the first key is a first-token head, and a first-token head that spreads over the prefix is a prefix head: the two do not
occur together. Where the baseline itself agrees with gold links better than 0.80, a head must agree 0.90; such links cannot
tell it from a diagonal head.
"""

import dataclasses
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Int

from analyses.core.contract import Arrays, Observed
from analyses.core.keys import means_by_key, rows_by_key
from analyses.head_specialization.arrays import EXPERIMENT, OBSERVED
from analyses.head_specialization.criterion import Criterion, Rule
from analyses.head_specialization.measure.alignment import ROLES
from analyses.head_specialization.measure.copy_hits import copying_criteria
from analyses.head_specialization.measure.observe import offsets
from analyses.head_specialization.measure.relations import syntax_criteria
from analyses.head_specialization.roles.parallel_criteria import parallel_criteria
from analyses.head_specialization.settings import HeadSettings
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.statistics import mean_over_prompts, merge_ties

NEAR_OFFSETS: Mapping[int, str] = {-1: "previous token", 0: "current token", 1: "next token"}

REPEAT_ROLES: Mapping[str, str] = {"same": "duplicate token", "after": "induction", "before": "token before a copy"}

_LEAST_COVERAGE = 0.4
_FIRST_SHARE = 0.9


def criteria_of(kind: AttentionKind, observed: Observed, settings: HeadSettings) -> list[Criterion]:
    """Every criterion of one kind of attention that one model's observations can decide.

    Args:
        kind: which attention.
        observed: what `observe` gave, see `independent_texts`, and `examine` on random sequences.
        settings: thresholds.
    """
    prompts = observed.prompts
    found = [] if kind == "cross" else _positional(kind, prompts, settings)
    found += _sinks(kind, prompts) + _repeats(kind, observed.weights)
    if kind == "encoder":
        return found + syntax_criteria(observed.experiment, settings)
    found += copying_criteria(kind, observed, settings)
    if kind == "cross":
        found += [_monotone(prompts), *_alignment(prompts, settings), *parallel_criteria(observed)]
    return found


def independent_texts(observed: Observed) -> Observed:
    """The same observations with a row for every independent text of each kind of attention, means over its prompts.

    Prompts that give a head the same text to read, or one sentence under several task prefixes, are one observation: repeating a
    text makes nobody surer, and an untrained model writes the same target to every source. So are they where only the first
    prompts were measured, in experiments.
    """
    if "sentence" not in observed.prompts:
        return observed  # a row is a text already
    prompts: dict[str, np.ndarray] = {}
    experiment = dict(observed.experiment)
    for kind in ATTENTION_KINDS:
        keys = observed.prompts[f"{kind}.text"], observed.prompts["sentence"]
        rows = rows_by_key(*keys)
        numbers = (spec.name for spec in OBSERVED[kind] if spec.content == "number" and spec.name in observed.prompts)
        prompts |= {name: means_by_key(observed.prompts[name], rows) for name in numbers}
        sampled = [spec.name for spec in EXPERIMENT[kind] if spec.axes[0] == "sample" and spec.name in experiment]
        for name in sampled:
            first = len(experiment[name])
            experiment[name] = means_by_key(experiment[name], rows_by_key(*(key[:first] for key in keys)))
    return dataclasses.replace(observed, prompts=prompts, experiment=experiment)


def judged(kind: AttentionKind, criteria: list[Criterion], targets_tell: bool) -> list[Criterion]:
    """The criteria with the scores that may be judged: where the targets say nothing, those of other material.

    Args:
        kind: which attention.
        criteria: of this kind.
        targets_tell: whether the targets say anything of decoder and cross-attention heads, see `TextCounts.fault`.
    """
    if targets_tell or kind == "encoder":
        return criteria
    return [
        dataclasses.replace(one, score=np.full_like(one.score, np.nan)) if one.on_prompts else one for one in criteria
    ]


def _monotone(prompts: Arrays) -> Criterion:
    """The order of reading; the attention behind it is what lies sharply on ordinary keys."""
    score, mass = prompts["cross.monotone"], prompts["cross.sharpness"]
    nothing = np.zeros_like(score)
    return Criterion(
        "monotone", "monotone", score, np.where(np.isnan(score), np.nan, nothing), mass=mass, mass_null=nothing
    )


def _alignment(prompts: Arrays, settings: HeadSettings) -> list[Criterion]:
    if "cross.align_base" not in prompts:
        return []
    base = prompts["cross.align_base"]
    room = mean_over_prompts(base) - (1.0 - 2.0 * settings.margin)
    null = base - np.maximum(np.nan_to_num(room), 0.0)
    return [Criterion(role, "margin", prompts[f"cross.align_{step}"], null) for step, role in ROLES.items()]


def _repeats(kind: AttentionKind, weights: Arrays) -> list[Criterion]:
    return [
        Criterion(role, "content", weights[name], weights[f"{name}_null"])
        for relation, role in REPEAT_ROLES.items()
        if (name := f"{kind}.{relation}") in weights
    ]


def _positional(kind: AttentionKind, prompts: Arrays, settings: HeadSettings) -> list[Criterion]:
    share, chance, mass = (prompts[f"{kind}.deciding_{name}"] for name in ("share", "chance", "mass"))
    coverage = prompts[f"{kind}.deciding_coverage"]
    told = np.where(np.isnan(coverage), np.nan, 1.0)[:, None, None, :]
    base = np.broadcast_to((prompts[f"{kind}.deciding_base"] * coverage)[:, None, None, :], mass.shape)
    mass = mass * coverage[:, None, None, :]
    arrays = _Offsets(share * told, chance * told, mass, base)
    reached = np.nan_to_num(mean_over_prompts(coverage)) >= _LEAST_COVERAGE
    window = offsets(settings.max_offset)
    found = []
    for offset, role in NEAR_OFFSETS.items():
        index = int(np.flatnonzero(window == offset)[0])
        if reached[index]:
            found += arrays.at(np.full(share.shape[1:3], index)).criteria(role)
    far = np.flatnonzero(reached & (np.abs(window) > 1))
    if len(far):
        for rule, score in (("share", arrays.share), ("mass", arrays.mass)):
            # The offset with the largest mean score of each head, chosen on the same prompts; `n_candidates` pays for the choice.
            best = far[merge_ties(np.nan_to_num(mean_over_prompts(score[..., far]), nan=-1.0)).argmax(-1)]
            detail = [[f"{window[cell]:+d}" for cell in row] for row in best]
            [criterion] = [one for one in arrays.at(best).criteria("offset") if one.rule == rule]
            found.append(dataclasses.replace(criterion, detail=detail, n_candidates=len(far)))
    return found


class _Offsets(NamedTuple):
    """Score and null of both rules, [prompt layer head offset] or, at one offset a head, [prompt layer head]."""

    share: np.ndarray
    chance: np.ndarray
    mass: np.ndarray
    base: np.ndarray

    def at(self, index: Int[np.ndarray, "layer head"]) -> "_Offsets":
        place = np.broadcast_to(index[None, ..., None], (len(self.share), *index.shape, 1))
        return _Offsets(*(np.take_along_axis(values, place, -1)[..., 0] for values in self))

    def criteria(self, role: str) -> list[Criterion]:
        return [
            Criterion(role, "share", self.share, self.chance, mass=self.mass, mass_null=self.base),
            Criterion(role, "mass", self.mass, self.base),
        ]


def _sinks(kind: AttentionKind, prompts: Arrays) -> list[Criterion]:
    def criterion(
        role: str, rule: Rule, category: str, eligible: Bool[np.ndarray, "layer head"] | None = None
    ) -> Criterion:
        mass = prompts[f"{kind}.{category}_apart"]
        base = np.broadcast_to(prompts[f"{kind}.{category}_apart_base"][:, None, None], mass.shape)
        score, null = (np.where(base > 0, values, np.nan) for values in (mass, base))
        return Criterion(role, rule, score, null, eligible=eligible)

    if kind == "decoder":
        return [criterion("first-token sink", "odds", "first")]
    rare = []
    if f"{kind}.rarest_share" in prompts:
        share = prompts[f"{kind}.rarest_share"]
        base = np.broadcast_to(prompts[f"{kind}.rarest_base"][:, None, None], share.shape)
        rare = [Criterion("rare token", "lift", share, np.where(np.isnan(share), np.nan, base))]
    first, prefix = (mean_over_prompts(prompts[f"{kind}.{name}_mass"]) for name in ("first", "prefix"))
    on_first = first >= _FIRST_SHARE * prefix
    return [
        criterion("EOS sink", "lift", "eos"),
        criterion("punctuation sink", "lift", "punctuation"),
        criterion("sentinel sink", "lift", "sentinel"),
        criterion("first-token sink", "odds", "first", on_first),
        criterion("prefix head", "odds", "prefix", ~on_first),
        *rare,
    ]
