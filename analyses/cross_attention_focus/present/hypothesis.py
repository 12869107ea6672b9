"""Do early decoder layers look at the task prefix and later ones at the content? The sentence that answers.

The claim has two halves, a prefix mass that falls with depth and a content mass that rises; each is a `Trend` with its test,
size and control. The sentence says which halves hold. It adds whether the first layer gives the prefix more than the prefix'
share of the tokens, without which "looks at the prefix" would only mean "looks everywhere".
"""

from typing import Literal

import numpy as np

from analyses.cross_attention_focus.measure.category_mass import Version
from analyses.cross_attention_focus.measure.trend import FEWEST_LAYERS, Trend
from analyses.cross_attention_focus.summary import Focus
from interp.report.numbers import between, control_range, fixed, p_value, signed, with_interval
from interp.statistics import prediction_interval

Answer = Literal[
    "confirmed", "confirmed in direction", "opposite", "half", "one step", "within twins", "no trend", "not testable"
]

CATEGORY_NAMES = {
    "prefix": "the task prefix",
    "content": "content words",
    "function": "function words",
    "punctuation": "punctuation",
    "eos": "the end-of-sentence token",
    "sentinel": "sentinels",
}
"""Categories as they are called in sentences."""


def answer(focus: Focus, version: Version) -> Answer:
    """Which part of the claim holds in one version (raw or norm)."""
    trends = (focus.trend("prefix", version), focus.trend("content", version))
    match tuple("not testable" if trend is None else trend.verdict for trend in trends):
        case ("not testable", _) | (_, "not testable"):
            return "not testable"
        case ("falls", "rises"):
            return "confirmed" if _prefix_is_favored(focus, version) else "confirmed in direction"
        case ("rises", "falls"):
            return "opposite"
        case ("falls", _) | (_, "rises"):
            return "half"
        case ("drops" | "jumps", _) | (_, "drops" | "jumps"):
            return "one step"
        case ("within twins", _) | (_, "within twins"):
            return "within twins"
    return "no trend"


def _prefix_is_favored(focus: Focus, version: Version) -> bool:
    """Whether the first layer gives the prefix more than its share of the tokens and more than untrained models do."""
    masses = focus.masses[version]
    lift = masses.layer_lift[0, masses.categories.index("prefix")]
    return bool(lift.low > 1 and lift.point > prediction_interval(lift.controls)[1])


LEADS: dict[Answer, str] = {
    "confirmed": "Early decoder layers look at the task prefix and later ones at the content",
    "confirmed in direction": (
        "Reading moves from the task prefix to the content with depth, but no early layer looks at the prefix "
        "more than an even spread would"
    ),
    "opposite": "The opposite of the usual claim: early decoder layers look at the content and later ones at the task prefix",
    "half": "Only half of the usual claim (early layers read the prefix, later ones the content) holds",
    "one step": "Reading does not move with depth: what changes changes in one step between two layers",
    "within twins": "Reading changes with depth, but not beyond what untrained models show",
    "no trend": "There is no trend from the task prefix to the content, nor back, over the decoder layers",
    "not testable": "Whether early layers look at the prefix and later ones at the content is not tested",
}
"""What each answer says, without its numbers."""


def claim_sentence(focus: Focus) -> str:
    """The answer for raw attention, with its numbers."""
    given = answer(focus, "raw")
    if focus.trend("prefix", "raw") is None:
        return "No prompt starts with a task prefix, so how early layers read it is not asked."
    if focus.n_layers < FEWEST_LAYERS:
        return _few_layers(focus)
    if given == "not testable":
        return f"{LEADS[given]}: {_why_not_testable(focus)}."
    return f"{LEADS[given]} (raw attention): {_both_halves(focus, 'raw')}."


def norm_sentence(focus: Focus) -> str | None:
    """Whether the lengths of what is written say the same; None where nothing can be tested."""
    raw, norm = answer(focus, "raw"), answer(focus, "norm")
    if "not testable" in (raw, norm):
        return None
    lead = "says the same" if raw == norm else "says something else: " + LEADS[norm][0].lower() + LEADS[norm][1:]
    weighting = "Weighted by the length of what is written (norm of the sum over heads)"
    return f"{weighting}, the trend {lead}: {_both_halves(focus, 'norm')}."


def _few_layers(focus: Focus) -> str:
    """What one or two layers read, which make no trend."""
    masses = focus.masses["raw"]

    def at(layer: int) -> str:
        return " and ".join(
            f"{with_interval(cell)} to {CATEGORY_NAMES[name]} (untrained twins {control_range(cell)})"
            for name in ("prefix", "content")
            if name in masses.categories
            for cell in [masses.layer[layer, masses.categories.index(name)]]
        )

    if focus.n_layers == 1:
        return f"The only decoder layer gives {at(0)}."
    return (
        f"Of the two decoder layers, which make a difference and no trend, the first gives {at(0)}; the second {at(1)}."
    )


def _why_not_testable(focus: Focus) -> str:
    if focus.trend("content", "raw") is None:
        return "no prompt has a content word"
    return f"the test needs at least 2 different sentences, and this run has {focus.n_sentences}"


def _both_halves(focus: Focus, version: Version) -> str:
    halves = (focus.trend("prefix", version), focus.trend("content", version))
    return "; ".join(trend_clause(focus, trend) for trend in halves if trend is not None)


def trend_clause(focus: Focus, trend: Trend) -> str:
    """One trend in words, such as `mass on the task prefix falls from 0.28 [0.27, 0.29] in layer 0 to ...`."""
    masses = focus.masses[trend.version]
    column = masses.categories.index(trend.category)
    first, last = (with_interval(masses.layer[layer, column]) for layer in (0, focus.n_layers - 1))
    moves = {
        "rises": "rises from",
        "falls": "falls from",
        "jumps": f"jumps after layer {trend.step}, from",
        "drops": f"drops after layer {trend.step}, from",
        "within twins": "changes no more than in untrained models, from"
        if np.isfinite(trend.chance).all()
        else "changes (two untrained twins would say whether more than theirs), from",
    }.get(trend.verdict, "shows no trend,")
    return (
        f"mass on {CATEGORY_NAMES[trend.category]} {moves} {first} in layer 0 to {last} in layer {focus.n_layers - 1} "
        f"(base rate {fixed(masses.base_rate[column])}; fitted change {with_interval(trend.change, write=signed)}, of an "
        f"untrained model "
        f"{between(*trend.chance)}; Page's test {p_value(trend.p_value)}, "
        f"mean rank correlation {fixed(trend.rank_correlation)})"
    )
