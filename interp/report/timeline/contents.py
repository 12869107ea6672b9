"""What does the page with the slider show? Plain data; how it looks is in `templates/timeline.*`."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from interp.report.palette import Hue
from interp.report.views.patterns import AttentionKind


@dataclass(frozen=True, slots=True)
class HeadMoment:
    """A head at one step.

    Attributes:
        code: the letters of its role; empty without one.
        hue: the color of its role; gray without one.
        strength: from 0 to 1, how dark.
        words: its roles in words.
    """

    code: str
    hue: Hue
    strength: float
    words: str


@dataclass(frozen=True, eq=False)
class HeadTimeline:
    """A head over the steps.

    Attributes:
        moments: what it is at each.
        scores: role -> hue and score at each step; NaN leaves a gap.
    """

    moments: tuple[HeadMoment, ...]
    scores: Mapping[str, tuple[Hue, Float[np.ndarray, " moment"]]]


@dataclass(frozen=True, eq=False)
class RunTimeline:
    """A training run.

    Attributes:
        name: of the run.
        steps: of its moments, ascending.
        loss: at each, in nats a token.
        right: share of the tokens that are put first.
        heads: head, such as `XL1H3` -> what it is.
        patterns: kind -> attention weights of the prompts shown.
    """

    name: str
    steps: tuple[int, ...]
    loss: Float[np.ndarray, " moment"]
    right: Float[np.ndarray, " moment"]
    heads: Mapping[str, HeadTimeline]
    patterns: Mapping[AttentionKind, Float[np.ndarray, "moment prompt layer head query key"]]


@dataclass(frozen=True, slots=True)
class TimelinePrompt:
    """A prompt whose patterns are shown.

    Attributes:
        title: its id.
        source: encoder tokens.
        target: decoder input tokens.
    """

    title: str
    source: tuple[str, ...]
    target: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Timeline:
    """The whole page.

    Attributes:
        runs: the main one first.
        prompts: those whose patterns are shown, in the order of the patterns.
        note: what stands under the heading.
    """

    runs: tuple[RunTimeline, ...]
    prompts: tuple[TimelinePrompt, ...]
    note: str
