"""From observations of the model and its controls to the head atlas: values, intervals, controls, roles.

Metrics are made in `metrics`, roles in `roles` by the criteria of `criteria`; one correction serves all heads and criteria.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from jaxtyping import Float

from analyses.core.arrays import axis_sizes, specs_of
from analyses.core.contract import Arrays, Evidence, Observed
from analyses.core.text_counts import TextCounts
from analyses.head_specialization.arrays import ARRAYS
from analyses.head_specialization.criterion import Criterion, Rule
from analyses.head_specialization.measure.copy_hits import CopyEvidence, copy_evidence
from analyses.head_specialization.measure.importance import agreement
from analyses.head_specialization.measure.nulls import read_null
from analyses.head_specialization.measure.parses import parse_conllu
from analyses.head_specialization.measure.relations import SyntacticRelation, read_scores, syntactic_relations
from analyses.head_specialization.measure.similarity import HeadMap, head_map
from analyses.head_specialization.roles.best_examples import Specimen, specimens_of
from analyses.head_specialization.roles.comparison import Comparison, judge_all
from analyses.head_specialization.roles.criteria import criteria_of, independent_texts, judged
from analyses.head_specialization.roles.decide import RoleLabel, Verdict
from analyses.head_specialization.roles.evidence_table import evidence_frame
from analyses.head_specialization.roles.metrics import IMPORTANCE as IMPORTANCE
from analyses.head_specialization.roles.metrics import Metric as Metric
from analyses.head_specialization.roles.metrics import columns_of, metrics_of
from analyses.head_specialization.roles.nearest import NearestRoles, nearest_roles
from analyses.head_specialization.roles.significance import existence_p_value
from analyses.head_specialization.roles.walkthrough import Walkthrough, walk_through
from analyses.head_specialization.settings import HeadSettings
from interp.axes import ATTENTION_KINDS, AttentionKind, Stack
from interp.families.config import ModelConfig
from interp.hooks.names import HeadId
from interp.report import notebook_html
from interp.report.numbers import counted
from interp.statistics import RankTest, mean_over_prompts

_STACKS: tuple[Stack, ...] = ("encoder", "decoder")


@dataclass(frozen=True, slots=True, eq=False)
class HeadAtlas:
    """What every head of three kinds does.

    Attributes:
        metrics: kind -> metrics in the order of the tables.
        labels: all roles found.
        uncertain: heads for which a rule holds, but not the test or not the bootstrap.
        candidates: for every criterion the head that comes nearest.
        nearest: kind -> the role every head is nearest to, and how near.
        specimens: the heads that get a card, each with its best prompt; empty if no patterns were kept.
        walkthrough: one verdict with all that it was made from; None where nothing was judged.
        existence: (kind, role, rule) -> family-wise p of the claim that such a head exists, by the largest statistic.
        twin_labels: for every untrained twin the number of heads with a role.
        permuted_labels: number of heads with a role in the model with permuted weights, on the sample; None if it was not run.
        copying: kind -> evidence of copying; empty unless it was looked for.
        syntax: the best head of every relation and direction of the gold parses; empty without parses.
        sample: number of prompts on which importance, copying and the controls beside the twins were measured.
        values: kind -> metric name -> numbers per prompt (or random sequence) and head.
        prompt_ids: ids of the prompts, in the order of the prompt axis.
        heads: number of heads of all kinds.
        counts: how many of the prompts are independent.
        texts: kind -> independent texts that its heads read; the n of every interval and test.
        example: arrays of the example prompt, see `observe.illustrate`.
        source_pieces: its encoder tokens.
        decoder_pieces: its decoder input tokens.
        example_id: its id.
        maps: kind -> heads laid out by similarity; empty unless the settings ask for it.
        agreement: ablation -> rank correlation over all heads of its size with the gradient score, where both were measured.
        bias: stack -> position bias of every table, head and distance; empty where positions are absolute.
        cfg: the model's facts.
        target_origin: `given` or `generated`.
        settings: thresholds.
    """

    metrics: Mapping[AttentionKind, tuple[Metric, ...]]
    labels: tuple[RoleLabel, ...]
    uncertain: tuple[RoleLabel, ...]
    candidates: tuple[RoleLabel, ...]
    nearest: Mapping[AttentionKind, NearestRoles]
    specimens: Mapping[HeadId, Specimen]
    walkthrough: Walkthrough | None
    existence: Mapping[tuple[AttentionKind, str, Rule], float]
    twin_labels: tuple[int, ...]
    permuted_labels: int | None
    copying: Mapping[AttentionKind, CopyEvidence]
    syntax: tuple[SyntacticRelation, ...]
    sample: int
    values: Mapping[AttentionKind, Mapping[str, Float[np.ndarray, "prompt layer head"]]]
    prompt_ids: tuple[str, ...]
    heads: int
    counts: TextCounts
    texts: Mapping[AttentionKind, int]
    example: Arrays
    source_pieces: tuple[str, ...]
    decoder_pieces: tuple[str, ...]
    example_id: str
    maps: Mapping[AttentionKind, HeadMap]
    agreement: Mapping[str, RankTest]
    bias: Mapping[Stack, Float[np.ndarray, "table head distance"]]
    cfg: ModelConfig
    target_origin: str
    settings: HeadSettings

    def __str__(self) -> str:
        labeled, untrained = len({label.head for label in self.labels}), len(self.twin_labels) * self.heads
        faulty = f" Decoder and cross-attention were not judged: {self.counts.fault}." if self.counts.fault else ""
        permuted = f", with permuted weights (on {counted(self.sample, 'prompt')}) {self.permuted_labels}"
        return (
            f"{labeled or 'None'} of {self.heads} heads {'have' if labeled > 1 else 'has'} a role on {self.counts}"
            f"{self.decided_elsewhere()}; "
            f"of {untrained} untrained heads {sum(self.twin_labels)}{'' if self.permuted_labels is None else permuted}.{faulty}"
        )

    def decided_elsewhere(self) -> str:
        """How many heads have all their roles by other texts than the prompts, as a clause; empty if none."""
        by_prompts = {label.head for label in self.labels if label.on_prompts}
        others = len({label.head for label in self.labels} - by_prompts)
        return f", {others} of them by bundled sentences, random sequences or gold parses" if others else ""

    def _repr_html_(self) -> str:
        """What a notebook shows: the count and the role table."""
        frame = self.labels_frame()
        return notebook_html.table(str(self), frame.columns, frame.itertuples(index=False, name=None))

    def labels_frame(self) -> pd.DataFrame:
        """One row for every role of every head, the strongest first."""
        return evidence_frame(
            sorted(self.labels, key=lambda label: (label.strength != "threshold", -label.score, label.head)),
            self.settings,
        )

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


def summarize(evidence: Evidence) -> HeadAtlas:
    """The atlas of all heads; see the module's docstring."""
    settings = evidence.settings
    assert isinstance(settings, HeadSettings)
    own = independent_texts(evidence.model)
    twins = tuple(map(independent_texts, evidence.twins))
    permuted, shuffled = (read_null(evidence.model.experiment, null) for null in ("permuted", "shuffled"))
    told = not evidence.texts.fault
    verdict = judge_all(own, settings, evidence.seed, Comparison(twins, permuted, shuffled), told)
    untrained = [
        judge_all(twin, settings, evidence.seed, Comparison(tuple(other for other in twins if other is not twin)), told)
        for twin in twins
    ]
    cfg, weights = evidence.cfg, evidence.model.weights
    metrics = {kind: metrics_of(kind, replace(evidence, model=own, twins=twins), settings) for kind in ATTENTION_KINDS}
    criteria, by_prompt = (
        {kind: judged(kind, criteria_of(kind, observed, settings), told) for kind in ATTENTION_KINDS}
        for observed in (own, evidence.model)
    )
    nearest = {kind: nearest_roles(found, settings) for kind, found in criteria.items()}
    return HeadAtlas(
        metrics=metrics,
        labels=verdict.labels,
        uncertain=verdict.uncertain,
        candidates=verdict.candidates,
        nearest=nearest,
        specimens=specimens_of(evidence, verdict.labels, verdict.uncertain, nearest, by_prompt),
        walkthrough=walk_through(verdict, criteria, settings),
        existence=_existence(criteria, evidence.seed),
        twin_labels=tuple(_labeled(twin) for twin in untrained),
        permuted_labels=None
        if permuted is None
        else _labeled(judge_all(permuted, settings, evidence.seed, Comparison(twins), told)),
        copying=_copying(own, twins),
        syntax=_syntax(evidence, settings),
        sample=axis_sizes(evidence.model.experiment, specs_of(ARRAYS, "experiment")).get("sample", 0),
        values={
            kind: {name: column.values for name, column in columns_of(kind, evidence.model, settings).items()}
            for kind in ATTENTION_KINDS
        },
        prompt_ids=evidence.prompt_ids,
        heads=sum(cfg.layers_of(kind) * cfg.heads_of(kind) for kind in ATTENTION_KINDS),
        counts=evidence.texts,
        texts={kind: len(own.prompts[f"{kind}.entropy"]) for kind in ATTENTION_KINDS},
        example=evidence.example.arrays,
        source_pieces=evidence.example.source_pieces,
        decoder_pieces=evidence.example.decoder_pieces,
        example_id=evidence.example.id,
        maps=_maps(evidence),
        agreement=_agreement(metrics),
        bias={stack: weights[name] for stack in _STACKS if (name := f"bias.{stack}") in weights},
        cfg=cfg,
        target_origin=evidence.target_origin,
        settings=settings,
    )


def _labeled(verdict: Verdict) -> int:
    return len({label.head for label in verdict.labels})


def _existence(
    criteria: Mapping[AttentionKind, Sequence[Criterion]], seed: int
) -> dict[tuple[AttentionKind, str, Rule], float]:
    """Of several criteria with the same role and rule (relations) the smallest p, times their number."""
    found: dict[tuple[AttentionKind, str, Rule], list[float]] = {}
    for kind, of_kind in criteria.items():
        for criterion in of_kind:
            found.setdefault((kind, criterion.role, criterion.rule), []).append(existence_p_value(criterion, seed))
    return {key: min(1.0, float(np.nanmin(p)) * len(p)) if np.isfinite(p).any() else np.nan for key, p in found.items()}


def _copying(own: Observed, twins: Sequence[Observed]) -> dict[AttentionKind, CopyEvidence]:
    twin = twins[0].experiment if twins else {}
    found = {kind: copy_evidence(kind, own.experiment, twin) for kind in ATTENTION_KINDS}
    return {kind: values for kind, values in found.items() if values is not None}


def _syntax(evidence: Evidence, settings: HeadSettings) -> tuple[SyntacticRelation, ...]:
    scores = read_scores(evidence.model.experiment, settings)
    if scores is None:
        return ()
    twin = read_scores(evidence.twins[0].experiment, settings) if evidence.twins else None
    parses = parse_conllu(settings.conllu)
    return syntactic_relations(parses, scores, evidence.seed, settings.resamples, twin, settings.margin)


def _maps(evidence: Evidence) -> dict[AttentionKind, HeadMap]:
    found = {}
    for kind in ATTENTION_KINDS:
        own, *twins = (_distances(observed, kind) for observed in (evidence.model, *evidence.twins[:1]))
        if own is not None and np.isfinite(own).all():  # targets of one token give no row that has a choice
            layout = head_map(own, evidence.seed)
            told = [twin for twin in twins if twin is not None and np.isfinite(twin).all()]
            control = [head_map(twin, evidence.seed).silhouette for twin in told]
            found[kind] = replace(layout, control=control[0] if control else np.nan)
    return found


def _distances(observed: Observed, kind: AttentionKind) -> np.ndarray | None:
    """Mean distances between heads over the prompts on which they were measured."""
    name = f"{kind}.similarity"
    distances = observed.prompts.get(name, observed.experiment.get(name))
    return None if distances is None else mean_over_prompts(distances)


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
