"""From numbers per prompt to what is shown: masses, shape statistics, trends over layers, and single heads.

Prompts that share a sentence are averaged first (`sentence_means`): what this package calls a prompt is then a sentence.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from analyses.core.contract import Evidence, Example
from analyses.core.evidence import observed_estimate
from analyses.core.sentence_means import by_sentence
from analyses.cross_attention_focus.arrays import ARRAYS, support_of
from analyses.cross_attention_focus.measure.best_heads import BestHead, best_head, best_heads
from analyses.cross_attention_focus.measure.category_mass import (
    VERSIONS,
    Masses,
    Version,
    masses_of,
    present_categories,
    summarize_masses,
)
from analyses.cross_attention_focus.measure.gradients import Gradients, summarize_gradients
from analyses.cross_attention_focus.measure.token_swaps import SWAP_KINDS, SWAP_STATISTICS, SwapKind
from analyses.cross_attention_focus.measure.trend import Course, Trend, assess
from interp.statistics import Estimate, estimate_mean
from interp.text.words import CATEGORIES

SHAPES = tuple("entropy span_entropy retained usable center spread monotonicity diagonality evenness".split())
"""Statistics of one reading that are no masses, in the order of the tables; `observe` defines them."""

FLOWS = ("alti.mass", "alti.target", "alti.quarters", "alti.decline", "rollout.mass")


@dataclass(frozen=True, slots=True, eq=False)
class Moved:
    """What exchanging one source token does to every head, [layer head].

    Attributes:
        n_sentences: sentences that have such a token in some prompt.
        moved: divergence of the patterns, 0 to 1.
        gained: change of the weight on the exchanged token.
        start: divergence in the first row alone.
        layer: `moved`, mean over the heads of a layer.
        head: the head that moves most, chosen on one half of the sentences and measured on the other.
    """

    n_sentences: int
    moved: Estimate
    gained: Estimate
    start: Estimate
    layer: Estimate
    head: BestHead | None


@dataclass(frozen=True, slots=True, eq=False)
class Focus:
    """What the decoder reads, layer by layer.

    Attributes:
        n_prompts: prompts observed.
        n_sentences: different sentences among them, the unit of every interval and test.
        n_twins: untrained twins.
        n_layers: decoder layers.
        n_heads: heads of a layer.
        target_origin: `given` or `generated`.
        masses: version -> masses.
        shapes: `{reading}.{statistic}` -> estimate, [layer] or [layer head] as the reading.
        trends: of every category in every version.
        flow: `alti.mass`, `alti.target`, `alti.quarters`, `alti.decline` and `rollout.mass`, as `source_flow` defines them.
        gradients: Chefer's relevance on a sample of the prompts; None if none was taken.
        heads: heads that stand out, each chosen on one half of the sentences and measured on the other.
        swaps: kind -> what exchanging one token moves; empty if no prompt has a token to exchange.
        example: one prompt in full.
    """

    n_prompts: int
    n_sentences: int
    n_twins: int
    n_layers: int
    n_heads: int
    target_origin: str
    masses: Mapping[Version, Masses]
    shapes: Mapping[str, Estimate]
    trends: tuple[Trend, ...]
    flow: Mapping[str, Estimate]
    gradients: Gradients | None
    heads: tuple[BestHead, ...]
    swaps: Mapping[SwapKind, Moved]
    example: Example

    def trend(self, category: str, version: Version) -> Trend | None:
        """The trend of a category in a version, or None if no prompt has such tokens."""
        wanted = (category, version)
        return next((trend for trend in self.trends if (trend.category, trend.version) == wanted), None)


def summarize(evidence: Evidence) -> Focus:
    """Summarize the observations of a model and its untrained twins."""
    n_prompts = len(evidence.prompt_ids)
    evidence = by_sentence(evidence, ARRAYS)
    readings = ("raw.head", "norm.head", "raw.layer", "norm.layer")
    masses = {version: summarize_masses(evidence, version) for version in VERSIONS}
    return Focus(
        n_prompts=n_prompts,
        n_sentences=len(evidence.prompt_ids),
        n_twins=len(evidence.twins),
        n_layers=evidence.cfg.n_decoder_layers,
        n_heads=evidence.cfg.n_decoder_heads,
        target_origin=evidence.target_origin,
        masses=masses,
        shapes={f"{r}.{s}": observed_estimate(evidence, f"{r}.{s}", support_of(s)) for r in readings for s in SHAPES},
        trends=assess(_courses(evidence), evidence.seed),
        flow={name: observed_estimate(evidence, name, support_of(name)) for name in FLOWS},
        gradients=summarize_gradients(evidence),
        heads=best_heads(evidence, masses["raw"].categories),
        swaps={kind: moved for kind in SWAP_KINDS if (moved := _moved(evidence, kind)) is not None},
        example=evidence.example,
    )


def _moved(evidence: Evidence, kind: SwapKind) -> Moved | None:
    """What a kind of swap moves, or None if it was not run or no prompt has such a token."""
    names = {statistic: f"swap.{kind}.{statistic}" for statistic in SWAP_STATISTICS}
    if names["moved"] not in evidence.model.prompts:
        return None
    by_layer = [one.prompts[names["moved"]].mean(2) for one in (evidence.model, *evidence.twins)]
    has_swap = ~np.isnan(by_layer[0]).any(1)
    if not has_swap.any():
        return None
    cells = {one: observed_estimate(evidence, name, support_of(one)) for one, name in names.items()}
    layer = estimate_mean(by_layer[0], by_layer[1:], evidence.seed, support=support_of("moved"))
    return Moved(int(has_swap.sum()), **cells, layer=layer, head=best_head(evidence, kind, names["moved"]))


def _courses(evidence: Evidence) -> list[Course]:
    """Every category that occurs, in every version, over the layers."""
    return [
        Course(
            category=CATEGORIES[column],
            version=version,
            model=masses_of(evidence.model.prompts, version, "layer")[..., column],
            twins=tuple(masses_of(twin.prompts, version, "layer")[..., column] for twin in evidence.twins),
        )
        for version in VERSIONS
        for column in present_categories(evidence, version)
    ]
