"""Which single head does something most, without the flattery of having been chosen for it?

The best of many heads looks good by chance. So a head is chosen on the first half of the sentences and its number is taken from
the second half, where nothing was chosen; each untrained twin may choose its own best head by the same rule. The
prompts of one sentence were averaged before (`sentence_means`), so no sentence is on both sides.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyses.core.contract import Evidence
from analyses.cross_attention_focus.arrays import support_of
from interp.hooks.names import HeadId
from interp.statistics import SHARE, Estimate, estimate_mean, largest, mean_over_prompts
from interp.text.words import CATEGORIES


@dataclass(frozen=True, slots=True, eq=False)
class BestHead:
    """The head that does one thing most.

    Attributes:
        what: slug of the thing: a category's name, `forward` for reading in order, or a kind of swap.
        head: the head, chosen on the first half.
        value: its number on the second half; the controls are those of each twin's own best head.
        base_rate: what an even spread gives, or None where there is no such thing.
        norm: the same number of the same head weighted by the length of what it writes, twins' at the same place; or None.
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
        evidence: of the run.
        categories: which categories, of those that occur.
    """
    found = [best_head(evidence, name, "raw.head.mass", CATEGORIES.index(name)) for name in categories]
    found.append(best_head(evidence, "forward", "raw.head.monotonicity"))
    return tuple(best for best in found if best is not None)


def best_head(evidence: Evidence, what: str, name: str, category: int | None = None) -> BestHead | None:
    """The head with the largest number; None with fewer than four sentences, or if no head has a number in the first half.

    Args:
        evidence: of the run.
        what: see `BestHead`.
        name: of the array [sentence layer head *category].
        category: index of a category, for masses.
    """
    half, models = len(evidence.prompt_ids) // 2, (evidence.model, *evidence.twins)
    values = [one.prompts[name] if category is None else one.prompts[name][..., category] for one in models]
    means = [mean_over_prompts(one[:half]) for one in values] if half > 1 else []
    if not means or any(np.isnan(one).all() for one in means):
        return None
    heads = [HeadId("cross", *largest(one)) for one in means]
    value, *twins = (one[half:, head.layer, head.head] for one, head in zip(values, heads, strict=True))
    base_rate = norm = None
    if category is not None:
        base_rate = float(mean_over_prompts(evidence.model.prompts["base_rate"][half:])[category])
        written = [one.prompts["norm.head.mass"][half:, heads[0].layer, heads[0].head, category] for one in models]
        norm = estimate_mean(written[0], written[1:], evidence.seed, support=SHARE)
    estimate = estimate_mean(value, twins, evidence.seed, support=support_of(name))
    return BestHead(what, heads[0], estimate, base_rate, norm, means[0].size)
