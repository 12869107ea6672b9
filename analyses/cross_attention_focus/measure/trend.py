"""Does a mass rise or fall from decoder layer to decoder layer?

Tested within prompts, because a prompt's layers share its text: Page's L (Page 1963), one-sided, both ways. Two numbers
say how large it is: the mean over prompts of Spearman's correlation of mass with layer (a rescaling of L), and the change,
the slope of a least-squares line over the layers times the number of steps, in units of mass.

With many prompts Page's test finds any difference between layers that all prompts share, and random weights give such
differences too. So a trend is called one only if all of these hold ([ours]; the thresholds are constants below):

    p, adjusted over all tests of the table (Benjamini and Hochberg 1995), is below 0.05
    the change is at least 0.05 and its interval over prompts excludes 0
    the change lies outside the 95 % prediction interval of the untrained twins' changes

A change that is mostly the difference of the first layer, or of the last, from all others (of four or more; at least three
quarters of the way is one step [ours]) is no movement with depth: it is a drop or a jump, and the layer is named. One that only
the last condition denies is `within twins`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
import scipy.stats
from jaxtyping import Float

from analyses.cross_attention_focus.measure.category_mass import Version
from interp.statistics import (
    Estimate,
    estimate_mean,
    false_discovery,
    mean_over_prompts,
    merge_ties,
    page_trend_test,
    prediction_interval,
)

Verdict = Literal["rises", "falls", "jumps", "drops", "within twins", "no trend", "not testable"]

ALPHA = 0.05
LEAST_CHANGE = 0.05
FEWEST_LAYERS = 3
ONE_STEP = 0.75
"""Share of the way from the first to the last layer that one step makes where there is no movement with depth."""


@dataclass(frozen=True, slots=True, eq=False)
class Trend:
    """One mass over the layers.

    Attributes:
        category: of source token.
        version: raw, masked or norm.
        change: fitted change from the first to the last layer.
        rank_correlation: mean over prompts of Spearman's correlation of mass with layer; NaN if it is not testable.
        p_rising: Page's p against "rises", adjusted.
        p_falling: Page's p against "falls", adjusted.
        by_layer: mean mass of every layer.
    """

    category: str
    version: Version
    change: Estimate
    rank_correlation: float
    p_rising: float
    p_falling: float
    by_layer: Float[np.ndarray, " layer"]

    @property
    def step(self) -> int | None:
        """The layer after which nearly all of the change happens, if one layer alone differs from all others; else None."""
        steps = np.diff(self.by_layer)
        way = self.by_layer[-1] - self.by_layer[0]
        if len(steps) < FEWEST_LAYERS or way == 0:
            return None
        largest = int(np.argmax(steps * np.sign(way)))
        alone = largest in (0, len(steps) - 1)
        return largest if alone and steps[largest] / way >= ONE_STEP else None

    @property
    def p_value(self) -> float:
        """The smaller of the two p-values."""
        return float(np.fmin(self.p_rising, self.p_falling))

    @property
    def chance(self) -> tuple[float, float]:
        """Where 95 % of untrained models would lie: the prediction interval of the twins' changes."""
        low, high = prediction_interval(self.change.controls)
        return float(low), float(high)

    @property
    def verdict(self) -> Verdict:
        """See the module."""
        change, (low, high) = self.change, self.chance
        if np.isnan(self.p_rising):
            return "not testable"
        rising = self.p_rising < ALPHA and change.point >= LEAST_CHANGE and change.low > 0
        falling = self.p_falling < ALPHA and change.point <= -LEAST_CHANGE and change.high < 0
        if not (rising or falling):
            return "no trend"
        if low <= change.point <= high:
            return "within twins"
        if self.step is not None:
            return "jumps" if rising else "drops"
        return "rises" if rising else "falls"


class Course(NamedTuple):
    """A mass per prompt and layer, of the model and of its twins, before it is tested."""

    category: str
    version: Version
    model: Float[np.ndarray, "prompt layer"]
    twins: tuple[Float[np.ndarray, "prompt layer"], ...]


def assess(courses: Sequence[Course], seed: int) -> tuple[Trend, ...]:
    """Test all courses as one family; the order is kept."""
    tests = [
        [page_trend_test(one.model, "increasing").p_value, page_trend_test(one.model, "decreasing").p_value]
        for one in courses
    ]
    return tuple(
        Trend(
            one.category,
            one.version,
            estimate_mean(fitted_change(one.model), [fitted_change(twin) for twin in one.twins], seed),
            float(mean_over_prompts(rank_correlations(one.model))),
            p_rising=adjusted[0],
            p_falling=adjusted[1],
            by_layer=mean_over_prompts(one.model),
        )
        for one, adjusted in zip(courses, false_discovery(np.array(tests)).tolist(), strict=True)
    )


def fitted_change(masses: Float[np.ndarray, "prompt layer"]) -> Float[np.ndarray, " prompt"]:
    """Rise of the least-squares line from the first to the last layer, per prompt; 0 for a single layer."""
    n_layers = masses.shape[1]
    places = np.arange(n_layers) - (n_layers - 1) / 2
    slopes = masses.astype(np.float64) @ places / max(float(places @ places), 1.0)
    return np.asarray(slopes * (n_layers - 1))


def rank_correlations(masses: Float[np.ndarray, "prompt layer"]) -> Float[np.ndarray, " prompt"]:
    """Spearman's correlation of mass with layer in every prompt; 0 where all layers are equal, NaN if one has no mass."""
    ranks = scipy.stats.rankdata(merge_ties(masses), axis=1)
    ranks -= ranks.mean(axis=1, keepdims=True)
    layers = np.arange(masses.shape[1]) - (masses.shape[1] - 1) / 2
    lengths = np.linalg.norm(ranks, axis=1) * np.linalg.norm(layers)
    return np.asarray(np.divide(ranks @ layers, lengths, out=np.zeros(len(masses)), where=lengths > 0))
