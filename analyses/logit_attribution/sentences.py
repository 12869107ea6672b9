"""The sentences about the lead of the label and who wrote it, with their intervals and controls."""

import numpy as np

from analyses.logit_attribution.summary import LogitAttribution
from interp.report.numbers import fixed, number, percent, untrained_twins, with_interval
from interp.statistics import falling_order, largest


def value_sentence(result: LogitAttribution) -> str:
    """The lead of the label, and how often it is the first choice."""
    labels = "its own greedy outputs" if result.target_origin == "generated" else "the given targets"
    value, first = result.value[0], result.first_choice[0]
    return (
        f"The label ({labels}) beats the model's best other token by {with_interval(value, write=number)} logits on average "
        f"({untrained_twins(value, write=number)}) and is the first choice at {percent(first.point)} of the rows "
        f"({untrained_twins(first, write=number)}); what follows divides this lead among the components that wrote it."
    )


def strongest_sentences(result: LogitAttribution) -> tuple[str, ...]:
    """The three components that contribute most, one sentence each."""
    sentences = []
    for position, index in enumerate(map(int, result.order[:3])):
        low, high = (fixed(bound[index], 0) for bound in (result.ranks.low, result.ranks.high))
        ranked = not np.isnan(result.ranks.low[index])
        rank = f"rank {low} to {high} under resampling of sentences" if ranked else "its rank is not resampled"
        found = result.difference[index]
        side = "for the label" if found.point > 0 else "against the label"
        which = "The largest contribution is" if position == 0 else "Next is"
        sentences.append(
            f"{which} {result.components[index]}, {with_interval(found, write=number)} logits {side} ({rank}; "
            f"{untrained_twins(found, write=number)})."
        )
    return tuple(sentences)


def source_sentence(result: LogitAttribution) -> str:
    """From which kinds of token the strongest cross head takes its contribution."""
    head = result.strongest_cross
    order = falling_order(np.abs(result.categories.point[head.layer, head.head]))
    parts = []
    for category in order[:3]:
        found = result.categories[head.layer, head.head, int(category)]
        base, name = percent(result.category_share[category]), result.category_names[category]
        value, twins = with_interval(found, write=number), untrained_twins(found, write=number)
        parts.append(f"{value} from {name} tokens ({base} of the source; {twins})")
    return f"{head}, the strongest cross-attention head, takes {', '.join(parts)}."


def encoder_sentence(result: LogitAttribution) -> str:
    """Which encoder components wrote what the cross heads carry over."""
    order = falling_order(np.abs(result.through_all.point))
    names, through = result.encoder_components, result.through_strongest
    heads = [index for index, one in enumerate(names) if one.head is not None]
    best = heads[largest(np.abs(through.point[heads]))[0]]
    first, second, strongest = (
        f"{names[index]} ({with_interval(found[index], write=number)}; {untrained_twins(found[index], write=number)})"
        for index, found in ((int(order[0]), result.through_all), (int(order[1]), result.through_all), (best, through))
    )
    return (
        f"In the encoder, what all cross-attention heads carry over was written by {first} and {second} before all others; the "
        f"encoder head that adds most through {result.strongest_cross} is {strongest}."
    )
