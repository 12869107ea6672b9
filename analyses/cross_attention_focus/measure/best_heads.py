"""Which single head does something most, without the flattery of having been chosen for it?

The best of many heads looks good by chance. So a head is chosen on the first half of the sentences and its number is taken from
the second half, where nothing was chosen; each untrained twin may choose its own best head by the same rule. The
prompts of one sentence were averaged before (`sentences`), so no sentence is on both sides.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Arrays, Evidence
from analyses.cross_attention_focus.measure.token_swaps import SwapKind
from interp.hooks.names import HeadId
from interp.statistics import Estimate, estimate_mean, largest, mean_over_prompts
from interp.text.words import CATEGORIES

Measure = Callable[[Arrays], Float[np.ndarray, "prompt layer head"]]


@dataclass(frozen=True, slots=True, eq=False)
class BestHead:
    """The head that does one thing most.

    Attributes:
        what: slug of the thing: a category's name, `forward` for reading in order, or a kind of swap.
        head: the head, chosen on the first half.
        value: its number on the second half; `twins` are those of each twin's own best head.
        base_rate: what an even spread gives, or None where there is no such thing.
        norm: the same number of the same head weighted by the length of what it writes, or None as before.
        n_heads: from how many it was chosen.
    """

    what: str
    head: HeadId
    value: Estimate
    base_rate: float | None
    norm: Estimate | None
    n_heads: int


def best_heads(evidence: Evidence, categories: Sequence[str]) -> tuple[BestHead, ...]:
    """The heads with the most mass on each category and the one whose reading moves forward most.

    Args:
        evidence: of the run; fewer than four sentences cannot be halved and give no heads.
        categories: which categories, of those that occur.
    """
    if len(evidence.prompt_ids) < 4:
        return ()
    half = len(evidence.prompt_ids) // 2
    rates = evidence.model.prompts["base_rate"][half:]
    found = []
    for category in categories:
        column = CATEGORIES.index(category)
        chosen = _best(evidence, _mass_on(column))
        if chosen is not None:
            norm = _held_out(evidence, chosen[0], _mass_on(column, "norm"))
            rate = float(mean_over_prompts(rates)[column])
            found.append(BestHead(category, *chosen, rate, norm, _n_heads(evidence)))
    chosen = _best(evidence, lambda arrays: arrays["raw.head.monotonicity"])
    if chosen is not None:
        found.append(BestHead("forward", *chosen, None, None, _n_heads(evidence)))
    return tuple(found)


def most_moved_head(evidence: Evidence, kind: SwapKind) -> BestHead | None:
    """The head whose pattern a swap moves most; None without such prompts in the first half."""
    name = f"swap.{kind}.moved"
    if name not in evidence.model.prompts or len(evidence.prompt_ids) < 4:
        return None
    chosen = _best(evidence, lambda arrays: arrays[name])
    return None if chosen is None else BestHead(kind, *chosen, None, None, _n_heads(evidence))


def _mass_on(column: int, reading: Literal["raw", "norm"] = "raw") -> Measure:
    return lambda arrays: arrays[f"{reading}.head.mass"][..., column]


def _held_out(evidence: Evidence, head: HeadId, measure: Measure) -> Estimate:
    """A number of one given head on the second half; the twins' are those of their head at the same place."""
    half = len(evidence.prompt_ids) // 2
    values, *twins = (
        measure(observed.prompts)[half:, head.layer, head.head] for observed in (evidence.model, *evidence.twins)
    )
    return estimate_mean(values, twins, evidence.seed)


def _n_heads(evidence: Evidence) -> int:
    return evidence.cfg.n_decoder_layers * evidence.cfg.n_decoder_heads


def _best(evidence: Evidence, measure: Measure) -> tuple[HeadId, Estimate] | None:
    """The chosen head and its number on the other half; None if no head has a number in the first half."""
    half = len(evidence.prompt_ids) // 2
    chosen, held_out = [], []
    for observed in (evidence.model, *evidence.twins):
        values = measure(observed.prompts)
        means = mean_over_prompts(values[:half])
        if np.isnan(means).all():
            return None
        layer, head = largest(means)
        chosen.append(HeadId("cross", layer, head))
        held_out.append(values[half:, layer, head])
    return chosen[0], estimate_mean(held_out[0], held_out[1:], evidence.seed)
