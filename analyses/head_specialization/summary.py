"""From observations of the model and its untrained twins to the head atlas: values, intervals, controls, roles.

Every number is a mean over prompts of per-prompt numbers, its interval the percentile bootstrap over prompts, its control the
same number of the same head in untrained twins, as mean and range over their seeds (methods A.8, G). Lift is the ratio of the
means of mass and base rate.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses._contract import Arrays, Evidence, Observed
from analyses.head_specialization.criteria import NEAR_OFFSETS, criteria_of
from analyses.head_specialization.importance import agreement
from analyses.head_specialization.observe import SOURCE_CATEGORIES, offsets
from analyses.head_specialization.roles import (
    Criterion,
    RoleLabel,
    Rule,
    Verdict,
    adjusted_p_values,
    existence_p_value,
    judge,
    mean_over_prompts,
)
from analyses.head_specialization.settings import HeadSettings
from analyses.head_specialization.similarity import HeadMap, head_map
from interp.axes import ATTENTION_KINDS, AttentionKind, Stack
from interp.statistics import RankTest, bootstrap_mean

IMPORTANCE = {
    "importance_gradient": "gradient importance",
    **{
        f"importance_{name}_{read}": f"{name} ablation, {words}"
        for name in ("zero", "mean", "resample")
        for read, words in (("loss", "change of loss"), ("difference", "change of logit difference"))
    },
}
"""Array of `importance` -> its name in tables."""


@dataclass(frozen=True, slots=True, eq=False)
class Metric:
    """One number of every head of one kind, with its uncertainty and its control; NaN where it is undefined.

    Attributes:
        name: for example `EOS mass`.
        point: mean over prompts.
        low: lower end of the 95 % bootstrap interval.
        high: upper end.
        base: what an even spread over legal keys gives, mean over prompts; NaN where there is no such thing.
        control: mean over the untrained twins.
        control_low: smallest of the twins.
        control_high: largest of the twins.
    """

    name: str
    point: Float[np.ndarray, "layer head"]
    low: Float[np.ndarray, "layer head"]
    high: Float[np.ndarray, "layer head"]
    base: Float[np.ndarray, "layer head"]
    control: Float[np.ndarray, "layer head"]
    control_low: Float[np.ndarray, "layer head"]
    control_high: Float[np.ndarray, "layer head"]

    @property
    def lift(self) -> Float[np.ndarray, "layer head"]:
        """Point over base rate."""
        return np.asarray(np.divide(self.point, self.base, out=np.full_like(self.point, np.nan), where=self.base > 0))


@dataclass(frozen=True, slots=True, eq=False)
class HeadAtlas:
    """What every head of three kinds does.

    Attributes:
        metrics: kind -> metrics in the order of the tables.
        labels: all roles found.
        uncertain: heads for which a rule holds, but not the test or not the bootstrap.
        candidates: for every criterion the head that comes nearest.
        existence: (kind, role, rule) -> family-wise p of the claim that such a head exists, by the largest statistic.
        twin_labels: for every untrained twin the number of heads with a role.
        heads: number of heads of all kinds.
        prompts: number of prompts.
        example: arrays of the example prompt, see `observe.illustrate`.
        source_pieces: its encoder tokens.
        decoder_pieces: its decoder input tokens.
        example_id: its id.
        maps: kind -> heads laid out by similarity; empty unless the settings ask for it.
        agreement: ablation -> rank correlation over all heads of its size with the gradient score, where both were measured.
        bias: stack -> position bias of every table, head and distance.
        target_origin: `given` or `generated`.
        settings: thresholds.
    """

    metrics: Mapping[AttentionKind, tuple[Metric, ...]]
    labels: tuple[RoleLabel, ...]
    uncertain: tuple[RoleLabel, ...]
    candidates: tuple[RoleLabel, ...]
    existence: Mapping[tuple[AttentionKind, str, Rule], float]
    twin_labels: tuple[int, ...]
    heads: int
    prompts: int
    example: Arrays
    source_pieces: tuple[str, ...]
    decoder_pieces: tuple[str, ...]
    example_id: str
    maps: Mapping[AttentionKind, HeadMap]
    agreement: Mapping[str, RankTest]
    bias: Mapping[Stack, Float[np.ndarray, "table head distance"]]
    target_origin: str
    settings: HeadSettings

    def metric(self, kind: AttentionKind, name: str) -> Metric:
        """One metric by name.

        Raises:
            KeyError: if heads of this kind have no such metric.
        """
        for metric in self.metrics[kind]:
            if metric.name == name:
                return metric
        raise KeyError(
            f"No metric {name!r} of {kind} heads; there are {', '.join(m.name for m in self.metrics[kind])}."
        )


def summarise(evidence: Evidence) -> HeadAtlas:
    """The atlas of all heads; see the module's docstring."""
    settings = evidence.settings
    assert isinstance(settings, HeadSettings)
    existence = {
        (kind, criterion.role, criterion.rule): existence_p_value(criterion, evidence.seed)
        for kind in ATTENTION_KINDS
        for criterion in criteria_of(kind, evidence.model, settings)
    }
    verdict = judge_all(evidence.model, settings, evidence.seed, evidence.twins)
    untrained = [judge_all(twin, settings, evidence.seed) for twin in evidence.twins]
    cfg = evidence.cfg
    metrics = {kind: _metrics(kind, evidence, settings) for kind in ATTENTION_KINDS}
    return HeadAtlas(
        metrics=metrics,
        labels=verdict.labels,
        uncertain=verdict.uncertain,
        candidates=verdict.candidates,
        existence=existence,
        twin_labels=tuple(len({label.head for label in twin.labels}) for twin in untrained),
        heads=sum(cfg.layers_of(kind) * cfg.heads_of(kind) for kind in ATTENTION_KINDS),
        prompts=len(evidence.prompt_ids),
        example=evidence.example.arrays,
        source_pieces=evidence.example.source_pieces,
        decoder_pieces=evidence.example.decoder_pieces,
        example_id=evidence.example.id,
        maps=_maps(evidence),
        agreement=_agreement(metrics),
        bias={stack: evidence.model.weights[f"bias.{stack}"] for stack in ("encoder", "decoder")},
        target_origin=evidence.target_origin,
        settings=settings,
    )


def _maps(evidence: Evidence) -> dict[AttentionKind, HeadMap]:
    found = {}
    for kind in ATTENTION_KINDS:
        distances = evidence.model.prompts.get(f"{kind}.similarity")
        if distances is not None:
            found[kind] = head_map(mean_over_prompts(distances), evidence.seed)
    return found


def _agreement(metrics: Mapping[AttentionKind, tuple[Metric, ...]]) -> dict[str, RankTest]:
    """Ablations against the gradient score, over the heads of all kinds."""
    columns = {
        name: np.concatenate([
            metric.point.ravel() for kind in ATTENTION_KINDS for metric in metrics[kind] if metric.name == name
        ])
        for name in [metric.name for metric in metrics["cross"] if metric.name in IMPORTANCE.values()]
    }
    gradient = columns.pop(IMPORTANCE["importance_gradient"], None)
    return {} if gradient is None else agreement(gradient, columns)


def judge_all(observed: Observed, settings: HeadSettings, seed: int, twins: tuple[Observed, ...] = ()) -> Verdict:
    """Roles of all heads of one model, with one correction for all heads, kinds and criteria.

    Args:
        observed: what the model gave.
        settings: thresholds.
        seed: of the bootstrap.
        twins: what its untrained twins gave, for the controls of the labels.
    """
    criteria = {kind: criteria_of(kind, observed, settings) for kind in ATTENTION_KINDS}
    adjusted = iter(adjusted_p_values([criterion for kind in ATTENTION_KINDS for criterion in criteria[kind]]))
    controls = [{kind: criteria_of(kind, twin, settings) for kind in ATTENTION_KINDS} for twin in twins]
    verdicts = []
    for kind in ATTENTION_KINDS:
        scores = [
            np.stack([_matching(twin[kind], criterion) for twin in controls]) if twins else None
            for criterion in criteria[kind]
        ]
        p_values = [next(adjusted) for _ in criteria[kind]]
        verdicts.append(judge(kind, criteria[kind], p_values, settings, seed, scores))
    return Verdict(
        labels=tuple(label for verdict in verdicts for label in verdict.labels),
        uncertain=tuple(label for verdict in verdicts for label in verdict.uncertain),
        candidates=tuple(label for verdict in verdicts for label in verdict.candidates),
    )


def _matching(criteria: list[Criterion], wanted: Criterion) -> Float[np.ndarray, "layer head"]:
    """The mean score of the same criterion in a twin."""
    for criterion in criteria:
        if (criterion.role, criterion.rule) == (wanted.role, wanted.rule):
            return mean_over_prompts(criterion.score)
    return np.full(wanted.score.shape[1:], np.nan)


def _metrics(kind: AttentionKind, evidence: Evidence, settings: HeadSettings) -> tuple[Metric, ...]:
    columns = _columns(kind, evidence.model.prompts, settings)
    controls = [_columns(kind, twin.prompts, settings) for twin in evidence.twins]
    stacked = np.stack([values for values, _ in columns.values()], -1)
    interval = bootstrap_mean(stacked, evidence.seed, settings.resamples)
    metrics = []
    for index, (name, (values, base)) in enumerate(columns.items()):
        shape = values.shape[1:]
        twins = np.stack([mean_over_prompts(control[name][0]) for control in controls])
        metrics.append(
            Metric(
                name=name,
                point=interval.point[..., index],
                low=interval.low[..., index],
                high=interval.high[..., index],
                base=np.full(shape, np.nan if base is None else float(mean_over_prompts(base))),
                control=twins.mean(0),
                control_low=twins.min(0),
                control_high=twins.max(0),
            )
        )
    return tuple(metrics)


def _columns(
    kind: AttentionKind, prompts: Arrays, settings: HeadSettings
) -> dict[str, tuple[Float[np.ndarray, "prompt layer head"], Float[np.ndarray, " prompt"] | None]]:
    """Metric name -> values and base rate, in the order of the tables."""

    def plain(name: str) -> tuple[np.ndarray, None]:
        return prompts[f"{kind}.{name}"], None

    def based(name: str, base: str) -> tuple[np.ndarray, np.ndarray]:
        return prompts[f"{kind}.{name}"], prompts[f"{kind}.{base}"]

    columns: dict[str, tuple[np.ndarray, np.ndarray | None]] = {
        "entropy": plain("entropy"),
        "confidence": plain("confidence"),
    }
    if kind != "cross":
        columns["distance"] = based("distance", "distance_base")
        window = offsets(settings.max_offset)
        for offset, role in NEAR_OFFSETS.items():
            if kind == "decoder" and offset > 0:
                continue
            index = int(np.flatnonzero(window == offset)[0])
            base = prompts[f"{kind}.offset_base"][:, index]
            columns[f"{role} mass"] = (prompts[f"{kind}.mass"][..., index], base)
            columns[f"{role} argmax share"] = (prompts[f"{kind}.share"][..., index], base)
        columns["signed distance"] = plain("signed_distance")
        columns["distance, ordinary keys"] = plain("distance_ordinary")
        columns["tied rows"] = plain("tied")
        columns["divergence from position alone"] = plain("position_divergence")
        columns["divergence from content alone"] = plain("content_divergence")
        columns["position share of score variance"] = plain("position_share")
        columns["covariance share of score variance"] = plain("covariance_share")
    if kind != "decoder":
        names = {"eos": "EOS", "prefix": "prefix", "punctuation": "punctuation", "sentinel": "sentinel"}
        columns |= {f"{names[name]} mass": based(f"{name}_mass", f"{name}_base") for name in SOURCE_CATEGORIES}
        columns |= {f"{names[name]} value norm": plain(f"{name}_norm") for name in SOURCE_CATEGORIES}
        if f"{kind}.rarest_share" in prompts:
            columns["rarest token argmax share"] = based("rarest_share", "rarest_base")
            columns["two rarest tokens argmax share"] = based("two_rarest_share", "two_rarest_base")
    columns |= {IMPORTANCE[name]: plain(name) for name in IMPORTANCE if f"{kind}.{name}" in prompts}
    columns["first token mass"] = based("first_mass", "first_base")
    columns["first token value norm"] = plain("first_norm")
    columns["entropy, ordinary keys"] = plain("entropy_ordinary")
    columns["mass on ordinary keys"] = plain("retained")
    return columns
