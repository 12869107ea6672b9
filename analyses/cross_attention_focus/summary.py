"""From numbers per prompt to what is shown: masses, shape statistics, trends over layers, and single heads."""

from collections.abc import Mapping
from dataclasses import dataclass

from analyses._contract import Evidence, Example
from analyses.cross_attention_focus.estimates import Estimate, observed_estimate
from analyses.cross_attention_focus.heads import BestHead, best_heads
from analyses.cross_attention_focus.masses import (
    VERSIONS,
    Masses,
    Version,
    masses_of,
    present_categories,
    summarise_masses,
)
from analyses.cross_attention_focus.trend import Course, Trend, assess
from interp.words import CATEGORIES

SHAPES = (
    "entropy",
    "span_entropy",
    "retained",
    "usable",
    "centre",
    "spread",
    "monotonicity",
    "diagonality",
    "evenness",
)
"""Statistics of one reading that are no masses, in the order of the tables; `observe` defines them."""

FLOWS = ("alti.mass", "alti.target", "alti.quarters", "alti.decline", "rollout.mass")


@dataclass(frozen=True, slots=True, eq=False)
class Focus:
    """What the decoder reads, layer by layer.

    Attributes:
        n_prompts: prompts observed.
        n_twins: untrained twins.
        n_layers: decoder layers.
        n_heads: heads of a layer.
        target_origin: `given` or `generated`.
        masses: version -> masses.
        shapes: `{reading}.{statistic}` -> estimate, [layer] or [layer head] as the reading.
        trends: of every category in every version.
        flow: `alti.mass`, `alti.target`, `alti.quarters`, `alti.decline` and `rollout.mass`, as `flow.observe` defines them.
        heads: heads that stand out, each chosen on one half of the prompts and measured on the other.
        example: one prompt in full.
    """

    n_prompts: int
    n_twins: int
    n_layers: int
    n_heads: int
    target_origin: str
    masses: Mapping[Version, Masses]
    shapes: Mapping[str, Estimate]
    trends: tuple[Trend, ...]
    flow: Mapping[str, Estimate]
    heads: tuple[BestHead, ...]
    example: Example

    def trend(self, category: str, version: Version) -> Trend | None:
        """The trend of a category in a version, or None if no prompt has such tokens."""
        wanted = (category, version)
        return next((trend for trend in self.trends if (trend.category, trend.version) == wanted), None)


def summarise(evidence: Evidence) -> Focus:
    """Summarise the observations of a model and its untrained twins."""
    readings = ("raw.head", "norm.head", "raw.layer", "norm.layer")
    masses = {version: summarise_masses(evidence, version) for version in VERSIONS}
    return Focus(
        n_prompts=len(evidence.prompt_ids),
        n_twins=len(evidence.twins),
        n_layers=evidence.cfg.n_decoder_layers,
        n_heads=evidence.cfg.n_heads,
        target_origin=evidence.target_origin,
        masses=masses,
        shapes={f"{r}.{s}": observed_estimate(evidence, f"{r}.{s}") for r in readings for s in SHAPES},
        trends=assess(_courses(evidence), evidence.seed),
        flow={name: observed_estimate(evidence, name) for name in FLOWS},
        heads=best_heads(evidence, masses["raw"].categories),
        example=evidence.example,
    )


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
