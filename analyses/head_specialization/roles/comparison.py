"""The roles of all heads of one model, judged beside its controls."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Observed
from analyses.head_specialization.criterion import Criterion
from analyses.head_specialization.roles.criteria import criteria_of, independent_texts, judged
from analyses.head_specialization.roles.decide import Controls, Verdict, judge
from analyses.head_specialization.roles.significance import adjusted_p_values
from analyses.head_specialization.settings import HeadSettings
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.statistics import mean_over_prompts


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """The models that one model is compared with.

    Attributes:
        twins: what its untrained twins gave.
        permuted: what it gave with permuted weights, if that was run.
        shuffled: what it gave on shuffled texts, if that was run.
    """

    twins: tuple[Observed, ...] = ()
    permuted: Observed | None = None
    shuffled: Observed | None = None

    @property
    def models(self) -> tuple[Observed | None, ...]:
        """Twins, or None in their place, then permuted and shuffled, each with a row for every independent text."""
        found = (*(self.twins or (None,)), self.permuted, self.shuffled)
        return tuple(None if model is None else independent_texts(model) for model in found)


def judge_all(
    observed: Observed, settings: HeadSettings, seed: int, against: Comparison | None = None, targets_tell: bool = True
) -> Verdict:
    """Roles of all heads of one model, with one correction for all heads, kinds and criteria.

    Args:
        observed: what the model gave.
        settings: thresholds.
        seed: of the bootstrap.
        against: the controls that stand beside every label; none by default.
        targets_tell: whether the targets say anything of decoder and cross-attention heads.
    """
    own = independent_texts(observed)
    criteria = {kind: judged(kind, criteria_of(kind, own, settings), targets_tell) for kind in ATTENTION_KINDS}
    adjusted = iter(adjusted_p_values([criterion for kind in ATTENTION_KINDS for criterion in criteria[kind]]))
    beside = (against or Comparison()).models
    verdicts = []
    for kind in ATTENTION_KINDS:
        p_values = [next(adjusted) for _ in criteria[kind]]
        controls = _controls(kind, criteria[kind], settings, beside)
        verdicts.append(judge(kind, criteria[kind], p_values, settings, seed, controls))
    return Verdict(
        labels=tuple(label for verdict in verdicts for label in verdict.labels),
        uncertain=tuple(label for verdict in verdicts for label in verdict.uncertain),
        candidates=tuple(label for verdict in verdicts for label in verdict.candidates),
    )


def _controls(
    kind: AttentionKind, criteria: Sequence[Criterion], settings: HeadSettings, beside: Sequence[Observed | None]
) -> list[Controls]:
    """For every criterion its mean scores in the models of `Comparison.models`."""
    found = [[] if model is None else criteria_of(kind, model, settings) for model in beside]
    controls = []
    for criterion in criteria:
        scores = np.stack([_matching(others, criterion) for others in found])
        controls.append(Controls(scores[:-2], permuted=scores[-2], shuffled=scores[-1]))
    return controls


def _matching(criteria: Sequence[Criterion], wanted: Criterion) -> Float[np.ndarray, "layer head"]:
    """The mean score of the same criterion in another model; NaN if it has none."""
    for criterion in criteria:
        same_relation = wanted.rule != "syntax" or criterion.detail == wanted.detail
        if (criterion.role, criterion.rule) == (wanted.role, wanted.rule) and same_relation:
            return mean_over_prompts(criterion.score)
    return np.full(wanted.score.shape[1:], np.nan)
