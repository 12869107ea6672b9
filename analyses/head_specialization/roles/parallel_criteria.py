"""Criteria of alignment and translation heads on the bundled sentences; a model that does not translate is not judged."""

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Arrays, Observed
from analyses.head_specialization.criterion import Criterion
from analyses.head_specialization.measure.alignment import ROLES
from interp.statistics import mean_over_prompts

_TRANSLATES = 0.8
"""Share of sentences whose right target must be likelier, of a language that the model translates into [ours]."""


def parallel_criteria(observed: Observed) -> list[Criterion]:
    """What `parallel` and `translation` gave as criteria; a sentence is one observation, whatever its languages.

    Args:
        observed: of a model or a control; controls translate nothing, and their scores count all the same.
    """
    if "parallel.likelier" not in observed.weights:
        return []
    known = mean_over_prompts(observed.weights["parallel.likelier"]) >= _TRANSLATES
    shape = observed.weights["cross.parallel_base"].shape[2:]
    eligible = np.full(shape, bool(known.any()))
    found = []
    for step, role in ROLES.items():
        names = (f"cross.parallel_{step}", "cross.parallel_base")
        score, null = (_sentences(observed.weights, name, known) for name in names)
        found.append(Criterion(role, "margin", score, null, eligible=eligible, on_parallel=True))
    if "cross.translation" in observed.experiment:
        names = ("cross.translation", "cross.translation_other")
        score, null = (_sentences(observed.experiment, name, known) for name in names)
        found.append(Criterion("translation", "translation", score, null, eligible=eligible, on_parallel=True))
    return found


def _sentences(arrays: Arrays, name: str, known: np.ndarray) -> Float[np.ndarray, "parallel layer head"]:
    """Means over the languages that the model knows; over all if it knows none."""
    values = arrays[name]
    return mean_over_prompts(np.moveaxis(values[:, known] if known.any() else values, 1, 0))
