"""What the attribution of logits says at a glance and in five sentences."""

import numpy as np

from analyses.logit_attribution.ablation import AblationCheck
from analyses.logit_attribution.ablation_blocks import ZERO, ablation_findings, head_labels
from analyses.logit_attribution.assumptions import norms_held
from analyses.logit_attribution.figures import waterfall_figure
from analyses.logit_attribution.lens_blocks import half_of_the_last, lens_findings
from analyses.logit_attribution.sentences import encoder_sentence, source_sentence, strongest_sentences, value_sentence
from analyses.logit_attribution.summary import LogitAttribution
from interp.report import Finding, Headline, judge
from interp.report.numbers import number, with_interval
from interp.statistics import Estimate, Interval, controlled, falling_order, largest


def headline(result: LogitAttribution) -> Headline:
    """Which component adds most to the lead of the predicted token."""
    first = int(result.order[0])
    found = result.difference[first]
    verb = "adds most to" if found.point > 0 else "takes most from"
    sentence = f"{result.components[first]} {verb} the predicted token's lead: {number(found.point)} logits."
    untested_or_holds = not result.test.p_value[first] >= 0.05  # NaN: too few sentences for a test
    return Headline(sentence, judge(_beside_the_largest(result), untested_or_holds), waterfall_figure(result).name)


def highlights(result: LogitAttribution) -> tuple[Finding, ...]:
    """The lead, who adds most to it, from which tokens, what removal says, and where in depth the answer appears."""
    first = int(result.order[0])
    side = "for" if result.difference[first].point > 0 else "against"
    added = f"{with_interval(result.difference[first], write=number)} logits {side} the label"
    return (
        Finding(
            f"The label leads the model's best other token by {with_interval(result.value[0], write=number)} logits.",
            (value_sentence(result),),
        ),
        Finding(
            f"{result.components[first]} contributes most to that lead: {added}.",
            strongest_sentences(result),
        ),
        _source(result),
        *(_missed(result, result.ablation) if result.ablation else ()),
        *_depth(result),
    )


def _beside_the_largest(result: LogitAttribution) -> Estimate:
    """The size of the largest component, beside the largest of every twin: it was chosen among all of them, and so are those."""
    found = result.difference[int(result.order[0])]
    sign = 1.0 if found.point > 0 else -1.0
    ends = np.sort([sign * found.low, sign * found.high])
    size = Interval(np.asarray(abs(float(found.point))), np.asarray(ends[0]), np.asarray(ends[1]), found.interval.count)
    return controlled(size, list(np.abs(result.difference.controls).max(1)))


def _source(result: LogitAttribution) -> Finding:
    """What the strongest cross head takes from the kind of token that it takes most from."""
    head = result.strongest_cross
    kind = int(falling_order(np.abs(result.categories.point[head.layer, head.head]))[0])
    value = with_interval(result.categories[head.layer, head.head, kind], write=number)
    words = (
        f"{head}, the strongest cross-attention head, takes {value} logits from {result.category_names[kind]} tokens."
    )
    return Finding(words, (source_sentence(result), encoder_sentence(result)))


def _missed(result: LogitAttribution, check: AblationCheck) -> tuple[Finding, ...]:
    """The head whose removal costs most."""
    place = largest(-check.total.point[ZERO])
    total = with_interval(check.total[(ZERO, *place)], write=number)
    words = f"The head most missed is {head_labels(check)[place]}: zeroing it changes the lead by {total} logits."
    return (Finding(words, ablation_findings(check, norms_held(result.cfg))),)


def _depth(result: LogitAttribution) -> tuple[Finding, ...]:
    """After which depth the label is the first choice half as often as at the end."""
    curves = result.lens_curves
    if curves is None:
        return ()
    depth = half_of_the_last(curves)
    share = with_interval(curves.first_choice[depth], write=number)
    name = f"decoder layer DL{depth - 1}" if depth else "the embedding"
    return (
        Finding(f"Read after {name}, the label is the first choice in {share} of the rows.", lens_findings(curves)),
    )
