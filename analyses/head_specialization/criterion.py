"""A criterion: one way for heads to earn a role, a score and its null per prompt; `measure` makes them, `roles` judges."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float

from analyses.head_specialization.roles.definitions import Rule as Rule


@dataclass(frozen=True, slots=True, eq=False)
class Criterion:
    """One way to earn a role.

    Attributes:
        role: the role.
        rule: see `roles.rules`.
        score: per prompt (or random sequence) and head.
        null: what the score would be without the role.
        detail: for every head what exactly was found, such as the offset.
        mass: of attention that the score stands for, per prompt and head; the score itself where there is no other.
        mass_null: what an even spread gives of it.
        n_candidates: how many scores this one was chosen from, head by head; p-values are multiplied by it.
        eligible: heads that may have the role, where other evidence decided that first; they alone are tested.
        p_values: p of a second claim that must hold too, if there is one; the larger p of the two counts.
        on_parallel: whether it was judged on the bundled sentences, not on the prompts.
    """

    role: str
    rule: Rule
    score: Float[np.ndarray, "prompt layer head"]
    null: Float[np.ndarray, "prompt layer head"]
    detail: Sequence[Sequence[str]] | None = None
    mass: Float[np.ndarray, "prompt layer head"] | None = None
    mass_null: Float[np.ndarray, "prompt layer head"] | None = None
    n_candidates: int = 1
    eligible: Bool[np.ndarray, "layer head"] | None = None
    p_values: Float[np.ndarray, "layer head"] | None = None
    on_parallel: bool = False

    @property
    def on_prompts(self) -> bool:
        """Whether the prompts decide it, not bundled sentences, random sequences or gold parses."""
        return not (self.on_parallel or self.rule in ("content", "syntax"))
