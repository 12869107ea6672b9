"""What share of each reading lies on each category of source token, in three versions?

raw       attention weights; a layer is the mean over its heads
masked    raw weights within the content span, renormalized (without prefix and end of sentence, where weight often
          only parks: Ferrando and Costa-jussà 2021), beside the mass rho that was retained
norm      lengths of what is written, || a f(x) ||, as shares; a layer is the norm of the sum over heads
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Arrays, Evidence
from interp.attention_metrics import lift
from interp.statistics import AMOUNT, SHARE, Estimate, estimate_mean, mean_over_prompts
from interp.text.words import CATEGORIES

Version = Literal["raw", "masked", "norm"]
VERSIONS: tuple[Version, ...] = get_args(Version)

Unit = Literal["layer", "head"]

_SOURCES: Mapping[Version, tuple[str, str]] = {
    "raw": ("raw", "mass"),
    "masked": ("raw", "span_mass"),
    "norm": ("norm", "mass"),
}
_OUTSIDE_SPAN = ("prefix", "eos", "pad")


@dataclass(frozen=True, slots=True, eq=False)
class Masses:
    """Masses of one version, over the categories that occur in it.

    Attributes:
        version: raw, masked or norm.
        categories: the categories of the last axes.
        base_rate: share of each category among the tokens, mean over prompts.
        layer: mass of every layer.
        head: mass of every head.
        layer_lift: mass over base rate of every layer, mean over the prompts that have such tokens.
        head_lift: the same of every head.
    """

    version: Version
    categories: tuple[str, ...]
    base_rate: Float[np.ndarray, " category"]
    layer: Estimate
    head: Estimate
    layer_lift: Estimate
    head_lift: Estimate


def summarize_masses(evidence: Evidence, version: Version) -> Masses:
    """Masses, lifts and base rates of one version."""
    columns = present_categories(evidence, version)
    rates = base_rates(evidence.model.prompts, version)[:, columns]

    def both(unit: Unit) -> tuple[Estimate, Estimate]:
        observed = (evidence.model, *evidence.twins)
        masses = [masses_of(one.prompts, version, unit)[..., columns] for one in observed]
        rate = np.expand_dims(rates, tuple(range(1, masses[0].ndim - 1)))
        lifts = [lift(mass, rate) for mass in masses]
        mass = estimate_mean(masses[0], masses[1:], evidence.seed, support=SHARE)
        return mass, estimate_mean(lifts[0], lifts[1:], evidence.seed, support=AMOUNT)

    layer, layer_lift = both("layer")
    head, head_lift = both("head")
    names = tuple(CATEGORIES[column] for column in columns)
    return Masses(version, names, mean_over_prompts(rates), layer, head, layer_lift, head_lift)


def masses_of(arrays: Arrays, version: Version, unit: Unit) -> np.ndarray:
    """The observed masses [prompt layer (head) category] of a version."""
    reading, statistic = _SOURCES[version]
    return arrays[f"{reading}.{unit}.{statistic}"]


def base_rates(arrays: Arrays, version: Version) -> Float[np.ndarray, "prompt category"]:
    """Share of each category among the tokens that the version looks at; 0 for categories outside them."""
    rates = arrays["base_rate"].astype(np.float64)
    if version != "masked":
        return rates
    inside = rates * [name not in _OUTSIDE_SPAN for name in CATEGORIES]
    total = inside.sum(1, keepdims=True)
    return np.asarray(np.divide(inside, total, out=np.full_like(inside, np.nan), where=total > 0))


def present_categories(evidence: Evidence, version: Version) -> list[int]:
    """Indices of the categories that some prompt has within the version's tokens."""
    return [int(index) for index in np.flatnonzero(np.nan_to_num(base_rates(evidence.model.prompts, version)).any(0))]
