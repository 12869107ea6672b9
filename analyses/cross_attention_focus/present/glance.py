"""What the reading of the source says at a glance and in five sentences."""

import numpy as np

from analyses.cross_attention_focus.measure.best_heads import BestHead
from analyses.cross_attention_focus.measure.trend import FEWEST_LAYERS
from analyses.cross_attention_focus.present.best_heads import head_sentence, is_everything, stands_out, told
from analyses.cross_attention_focus.present.figures import mass_figure
from analyses.cross_attention_focus.present.flow import flow_sentence
from analyses.cross_attention_focus.present.hypothesis import (
    CATEGORY_NAMES,
    LEADS,
    answer,
    claim_sentence,
    norm_sentence,
)
from analyses.cross_attention_focus.summary import Focus
from interp.report import Finding, Headline, judge
from interp.report.numbers import percent, signed, with_interval
from interp.statistics import largest


def headline(focus: Focus) -> Headline:
    """What the last layer reads most."""
    masses, column = focus.masses["raw"], _most_read(focus)
    if is_everything(float(masses.base_rate[column])):
        words = f"The sources hold nothing but {CATEGORY_NAMES[masses.categories[column]]}, so every layer reads them alone."
        return Headline(words, "not judged", mass_figure(focus, "raw").name)
    last = masses.layer[focus.n_layers - 1, column]
    name = CATEGORY_NAMES[masses.categories[column]]
    sentence = f"The last decoder layer puts {percent(last.point)} of its cross-attention on {name}."
    return Headline(sentence, judge(last), mass_figure(focus, "raw").name)


def highlights(focus: Focus) -> tuple[Finding, ...]:
    """The usual claim, what the last layer reads, where a prediction comes from, and the heads that stand out most."""
    return (*_claim(focus), *_flow(focus), *map(_head, _outstanding(focus)[:3]))


def _most_read(focus: Focus) -> int:
    """The category that the last layer reads most."""
    return largest(focus.masses["raw"].layer.point[focus.n_layers - 1])[0]


def _claim(focus: Focus) -> tuple[Finding, ...]:
    """What is true of the claim that reading moves from prefix to content; nothing where no prompt has a prefix."""
    if focus.trend("prefix", "raw") is None:
        return ()
    behind = tuple(sentence for sentence in (claim_sentence(focus), norm_sentence(focus)) if sentence)
    lead, content = LEADS[answer(focus, "raw")], focus.trend("content", "raw")
    if content is None or answer(focus, "raw") == "not testable":
        few = "Of so few decoder layers, what they read makes a difference and no trend."
        return (Finding(few if focus.n_layers < FEWEST_LAYERS else f"{lead}.", behind),)
    change = with_interval(content.change, write=signed)
    doubts = {"no trend": ", which does not pass its tests", "within twins": ", no more than in untrained twins"}
    doubt = doubts.get(content.verdict, "")
    return (Finding(f"{lead}: the mass on content words changes by {change} over the layers{doubt}.", behind),)


def _flow(focus: Focus) -> tuple[Finding, ...]:
    """How much of a prediction comes from the target so far."""
    share = with_interval(focus.flow["alti.target"][focus.n_layers - 1])
    return (
        Finding(
            f"Followed down to its tokens, {share} of a prediction comes from the target so far.",
            (flow_sentence(focus),),
        ),
    )


def _outstanding(focus: Focus) -> list[BestHead]:
    """The heads of the findings, those furthest above their controls first."""
    found = [best for best in focus.heads if told(best) and np.isfinite(best.value.point)]
    return sorted(found, key=lambda best: float(np.nan_to_num(best.value.control_high) - best.value.low))


def _head(best: BestHead) -> Finding:
    value = with_interval(best.value)
    if best.what == "forward":
        words = f"{best.head} reads most steadily forward: its center moves with the decoder row at a tau of {value}"
    else:
        words = f"{best.head} reads {CATEGORY_NAMES[best.what]} most: {value} of its attention"
    doubt = "" if stands_out(best) else ", no more than the best head of an untrained twin may"
    return Finding(f"{words}{doubt}.", (head_sentence(best),))
