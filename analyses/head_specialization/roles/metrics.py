"""The numbers of every head, each with its interval over prompts, its base rate and its control.

A metric is a mean over prompts (or random sequences) of per-prompt numbers, its interval the percentile bootstrap over prompts,
its control the same number of the same head in untrained twins, as mean and range over their seeds (Adebayo et al. 2018).
Measures of the sample (importance, copying) are compared with the first twin.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Arrays, Evidence, Observed
from analyses.head_specialization.measure.observe import SOURCE_CATEGORIES, offsets
from analyses.head_specialization.roles.criteria import NEAR_OFFSETS, REPEAT_ROLES
from analyses.head_specialization.settings import HeadSettings
from interp.attention_metrics import lift
from interp.axes import AttentionKind
from interp.statistics import (
    AMOUNT,
    CORRELATION,
    REAL,
    SHARE,
    Estimate,
    Interval,
    Support,
    bootstrap_mean,
    controlled,
    mean_over_prompts,
)

_ABLATIONS = {
    "zero": "zero ablation",
    "mean": "mean ablation",
    "resample": "resample ablation",
    "unbiased": "no position bias",
}

IMPORTANCE = {
    "importance_gradient": "gradient importance",
    **{
        f"importance_{name}_{read}": f"{title}, {words}"
        for name, title in _ABLATIONS.items()
        for read, words in (("loss", "change of loss"), ("difference", "change of logit difference"))
    },
}
"""Array of `importance` -> its name in tables."""

_TRANSLATION = {
    "translation": "translation hit rate",
    "translation_other": "translation hit rate, other words",
    "translation_copy": "translation hit rate, the word itself",
    "translation_cost_read": "cost of ablation, words it reads",
    "translation_cost_other": "cost of ablation, other words",
}
"""Array of `translation` -> its name in tables."""

_CATEGORY_NAMES = {"eos": "EOS", "prefix": "prefix", "punctuation": "punctuation", "sentinel": "sentinel"}


SUPPORTS: Mapping[str, Support] = {
    **dict.fromkeys(
        ("reading order", "OV eigenvalue score", *(f"{name} correlation" for name in ("rarity", "place"))), CORRELATION
    ),
    "rarity correlation of value norm": CORRELATION,
    **dict.fromkeys(("distance", "distance, ordinary keys", "first token value norm"), AMOUNT),
    **dict.fromkeys((f"{name} value norm" for name in _CATEGORY_NAMES.values()), AMOUNT),
    **dict.fromkeys((f"divergence from {what} alone" for what in ("position", "content")), AMOUNT),
    **dict.fromkeys(("signed distance", "covariance share of score variance", *IMPORTANCE.values()), REAL),
    **dict.fromkeys((title for name, title in _TRANSLATION.items() if "cost" in name), REAL),
}
"""Metric -> the values that it can have, of all that are no shares."""

TITLES = ("low", "high", "twins", "twins min", "twins max")
"""What columns of a table call the interval and the controls of a metric."""


@dataclass(frozen=True, slots=True, eq=False)
class Metric(Estimate):
    """One number of every head of one kind, [layer head], with its uncertainty and its control; NaN where it is undefined.

    Attributes:
        name: for example `EOS mass`.
        base: what an even spread over legal keys gives, mean over prompts; NaN where there is no such thing.
    """

    name: str
    base: Float[np.ndarray, "layer head"]

    @property
    def lift(self) -> Float[np.ndarray, "layer head"]:
        """Point over base rate."""
        return lift(self.point, self.base)


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """One metric before its statistics.

    Attributes:
        values: per prompt, or per random sequence.
        base: what chance gives; per prompt, or per prompt and head.
    """

    values: Float[np.ndarray, "prompt layer head"]
    base: Float[np.ndarray, " prompt"] | Float[np.ndarray, "prompt layer head"] | None = None


def metrics_of(kind: AttentionKind, evidence: Evidence, settings: HeadSettings) -> tuple[Metric, ...]:
    """All metrics of the heads of one kind, in the order of the tables."""
    columns = columns_of(kind, evidence.model, settings)
    controls = [columns_of(kind, twin, settings) for twin in evidence.twins]
    intervals = _intervals(columns, evidence.seed, settings.resamples)
    metrics = []
    for name, column in columns.items():
        found = controlled(
            intervals[name], [mean_over_prompts(control[name].values) for control in controls if name in control]
        )
        base = np.nan if column.base is None else mean_over_prompts(column.base)
        metrics.append(Metric(found.interval, found.controls, name, np.array(np.broadcast_to(base, found.point.shape))))
    return tuple(metrics)


def _intervals(columns: Mapping[str, Column], seed: int, resamples: int) -> dict[str, Interval]:
    """The interval of every column; columns with equally many prompts are resampled together, which is faster."""
    found: dict[str, Interval] = {}
    for count in {len(column.values) for column in columns.values()}:
        names = [name for name, column in columns.items() if len(column.values) == count]
        interval = bootstrap_mean(np.stack([columns[name].values for name in names], -1), seed, resamples)
        found |= {name: interval[..., index].within(SUPPORTS.get(name, SHARE)) for index, name in enumerate(names)}
    return found


def columns_of(kind: AttentionKind, observed: Observed, settings: HeadSettings) -> dict[str, Column]:
    """Metric name -> its values and base rate, in the order of the tables."""
    prompts = observed.prompts
    columns = {
        name: Column(prompts[f"{kind}.{array}"]) for name, array in _PLAIN.items() if f"{kind}.{array}" in prompts
    }
    if kind != "cross":
        columns |= _positional(kind, prompts, settings)
    if kind != "decoder":
        columns |= _categories(kind, prompts)
    columns["first token mass"] = _based(kind, prompts, "first_mass", "first_base")
    columns["first token value norm"] = Column(prompts[f"{kind}.first_norm"])
    columns |= dict(_on_repeats(kind, observed.weights))
    columns |= dict(_on_sample(kind, observed.experiment))
    return columns


_PLAIN = {
    "entropy": "entropy",
    "entropy, smoothed": "entropy_smoothed",
    "entropy, ordinary keys": "entropy_ordinary",
    "mass on ordinary keys": "retained",
    "confidence": "confidence",
    "largest mass on one key": "vertical",
    "divergence from position alone": "position_divergence",
    "divergence from content alone": "content_divergence",
    "position share of score variance": "position_share",
    "covariance share of score variance": "covariance_share",
    "reading order": "monotone",
    "reading sharpness": "sharpness",
    "words linked at the output": "linked_output",
    "words linked at the input step": "linked_input",
    "rarity correlation": "rarity_correlation",
    "place correlation": "place_correlation",
    "rarity correlation of value norm": "norm_correlation",
}
"""Metric name -> array, of metrics without a base rate."""


def _based(kind: AttentionKind, prompts: Arrays, name: str, base: str) -> Column:
    return Column(prompts[f"{kind}.{name}"], prompts[f"{kind}.{base}"])


def _positional(kind: AttentionKind, prompts: Arrays, settings: HeadSettings) -> dict[str, Column]:
    columns = {"distance": _based(kind, prompts, "distance", "distance_base")}
    window = offsets(settings.max_offset)
    for offset, role in NEAR_OFFSETS.items():
        if kind == "decoder" and offset > 0:
            continue
        index = int(np.flatnonzero(window == offset)[0])
        base = prompts[f"{kind}.offset_base"][:, index]
        columns[f"{role} mass"] = Column(prompts[f"{kind}.mass"][..., index], base)
        columns[f"{role} argmax share"] = Column(prompts[f"{kind}.share"][..., index], base)
        columns[f"{role} argmax share, ordinary keys"] = Column(prompts[f"{kind}.near_share"][..., offset + 1])
    columns["signed distance"] = Column(prompts[f"{kind}.signed_distance"])
    columns["distance, ordinary keys"] = Column(prompts[f"{kind}.distance_ordinary"])
    columns["tied rows"] = Column(prompts[f"{kind}.tied"])
    return columns


def _categories(kind: AttentionKind, prompts: Arrays) -> dict[str, Column]:
    columns = {}
    for name in SOURCE_CATEGORIES:
        columns[f"{_CATEGORY_NAMES[name]} mass"] = _based(kind, prompts, f"{name}_mass", f"{name}_base")
        columns[f"{_CATEGORY_NAMES[name]} value norm"] = Column(prompts[f"{kind}.{name}_norm"])
    if f"{kind}.rarest_share" in prompts:
        columns["rarest token argmax share"] = _based(kind, prompts, "rarest_share", "rarest_base")
        columns["two rarest tokens argmax share"] = _based(kind, prompts, "two_rarest_share", "two_rarest_base")
    return columns


def _on_repeats(kind: AttentionKind, weights: Arrays) -> Iterator[tuple[str, Column]]:
    """Random repeats: the scores, those by source, and what one fixed offset gives on the same sequences."""
    for relation, role in REPEAT_ROLES.items():
        if f"{kind}.{relation}" in weights:
            scores, null = weights[f"{kind}.{relation}"], weights[f"{kind}.{relation}_null"]
            yield f"{role} mass on random repeats", Column(scores, null)
            if kind == "decoder":
                # Every second sequence reads a source that holds its tokens, see `stimuli.sources_of`.
                yield f"{role} mass, neutral source", Column(scores[0::2], null[0::2])
                yield f"{role} mass, matching source", Column(scores[1::2], null[1::2])
    if f"{kind}.blind" in weights:
        yield (
            "largest mass at one offset, random repeats",
            Column(weights[f"{kind}.blind"], weights[f"{kind}.blind_base"]),
        )


def _on_sample(kind: AttentionKind, experiment: Arrays) -> Iterator[tuple[str, Column]]:
    """Measures that were taken on a sample of the prompts."""
    if f"{kind}.copying_hits" in experiment:
        yield (
            "OV eigenvalue score",
            Column(experiment[f"{kind}.copying_score"][None], experiment[f"{kind}.copying_null"][None]),
        )
        hits = experiment[f"{kind}.copying_hits"]
        yield "copying hit rate", Column(hits, np.full(len(hits), experiment["copying_chance"][0]))
    for name, title in _TRANSLATION.items():
        if f"{kind}.{name}" in experiment:
            values = experiment[f"{kind}.{name}"]
            yield title, Column(mean_over_prompts(np.moveaxis(values, 1, 0)) if values.ndim == 4 else values)
    for name, title in IMPORTANCE.items():
        if f"{kind}.{name}" in experiment:
            yield title, Column(experiment[f"{kind}.{name}"])
