"""What a user may choose for head specialization: thresholds of the roles, and how they are tested.

Defaults are those of the literature (Voita et al. 2019: 0.90 of the tokens; Clark et al. 2019: half of the mass); those
marked [ours] are this project's.
"""

from typing import Annotated, Literal

from pydantic import Field

from analyses.core.settings import Settings
from analyses.head_specialization.roles.definitions import THRESHOLDS

Measure = Literal["gradient", "zero", "mean", "resample", "unbiased"]
Null = Literal["permuted", "shuffled"]
Share = Annotated[float, Field(gt=0.0, le=1.0)]


class HeadSettings(Settings):
    """Thresholds and resampling.

    Attributes:
        max_offset: the largest distance at which a positional head is looked for.
        argmax_share: share of rows whose strongest key is at one offset (Voita et al. 2019: 0.90).
        mass: mean mass at one offset must exceed this (Clark et al. 2019: 0.50); of sinks and content roles too [ours].
        lift: mass over base rate that a sink needs [ours]; for categories with a large base rate, the same for odds.
        effect: attention behind a role, as a share of the way from chance to all of it, that a threshold needs besides [ours].
        monotone: Kendall's tau of the place that is read with the row, of a head that reads the source in its order [ours].
        tendency: share of the way from chance to the threshold that makes a clear tendency [ours].
        tendency_effect: the same floor as `effect` for a tendency [ours].
        false_discovery_rate: q of Benjamini and Hochberg over heads and roles.
        stability: share of bootstrap resamples in which a label must hold.
        resamples: bootstrap resamples of the prompts.
        samples: random repeated sequences, for each stack.
        links: gold word links of sources, as source text -> `0-0 1-2 2p1` (see `links`); alignment heads are looked for if given.
        conllu: gold parses, the text of a CoNLL-U file; syntactic heads are looked for if given (see `syntax`).
        prefix: text before every parsed sentence, such as the task prefix that the model was trained with.
        margin: how far above its baseline an alignment or syntactic head must be (Voita et al. 2019: 10 points).
        sample: prompts on which importance, copying and the controls of `nulls` are measured; whole batches are taken.
        importance: measures of how much a head matters (see `importance`); ablations cost more than all else together.
        copying: whether copying heads are looked for (see `copy_hits`).
        parallel: whether alignment and translation heads are looked for on the bundled sentences (see `parallel`).
        draws: random turns of a head that might copy.
        nulls: the controls beside untrained twins (see `nulls`).
        similarity: whether heads are compared with each other, on a sample of the prompts or on all (see `similarity`).
        probe_seed: of these sequences; the model and its twins read the same ones.
    """

    max_offset: Annotated[int, Field(ge=1, le=64)] = 16
    argmax_share: Share = THRESHOLDS["argmax_share"]
    mass: Share = THRESHOLDS["mass"]
    lift: Annotated[float, Field(gt=1.0)] = THRESHOLDS["lift"]
    effect: Share = THRESHOLDS["effect"]
    monotone: Share = THRESHOLDS["monotone"]
    tendency: Share = THRESHOLDS["tendency"]
    tendency_effect: Share = THRESHOLDS["tendency_effect"]
    false_discovery_rate: Share = THRESHOLDS["false_discovery_rate"]
    stability: Share = THRESHOLDS["stability"]
    resamples: Annotated[int, Field(ge=100, le=1_000_000)] = 10_000
    samples: Annotated[int, Field(ge=4, le=10_000)] = 16
    links: dict[str, str] = Field(default_factory=dict)
    conllu: str = ""
    prefix: str = ""
    margin: Share = THRESHOLDS["margin"]
    sample: Annotated[int, Field(ge=2, le=1_000_000)] = 16
    importance: tuple[Measure, ...] = ("gradient",)
    copying: Literal["none", "all"] = "all"
    parallel: Literal["none", "all"] = "all"
    draws: Annotated[int, Field(ge=20, le=100_000)] = 200
    nulls: tuple[Null, ...] = ("permuted", "shuffled")
    similarity: Literal["none", "sample", "all"] = "sample"
    probe_seed: Annotated[int, Field(ge=0, lt=2**32)] = 0
