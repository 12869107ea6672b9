"""The section: sentences with their numbers, then the figures and tables they come from, then the limits."""

import numpy as np

from analyses.embedding_geometry.layers import QUANTITIES
from analyses.embedding_geometry.pictures import cosine_figure, layer_figures, map_figure
from analyses.embedding_geometry.summary import EmbeddingGeometry
from analyses.embedding_geometry.tables import (
    comparison_table,
    cosine_table,
    layer_table,
    neighbour_table,
    word_table,
)
from interp.report import Paragraph, Section
from interp.vocabulary import KINDS

_SIGNIFICANT = 0.05


def present(result: EmbeddingGeometry) -> Section:
    """The section of a result."""
    return Section(
        name="embedding-geometry",
        title="Embedding geometry",
        question="Do words of one kind lie together, and how does the space of tokens change from layer to layer?",
        findings=(*_group_findings(result), _neighbour_finding(result), *_layer_findings(result)),
        blocks=(
            Paragraph(_definitions(result)),
            map_figure(result),
            cosine_figure(result),
            word_table(result),
            comparison_table(result),
            *layer_figures(result),
            layer_table(result),
            neighbour_table(result),
            cosine_table(result),
        ),
        limits=_limits(result),
    )


def _group_findings(result: EmbeddingGeometry) -> tuple[str, ...]:
    primary = result.comparisons[0]
    test = primary.test
    if test is None:
        return (
            f"The groups cannot be compared by {primary.words}: only {primary.n_words} of {len(result.words)} words are "
            "one piece.",
        )
    effects = [twin.effect for twin in primary.twins]
    numbers = (
        f"mean cosine {test.observed.within:.3f} within groups and {test.observed.between:.3f} between, difference "
        f"{test.observed.effect:.3f} [{test.low.effect:.3f}, {test.high.effect:.3f}], p = {test.p_effect:.2g} over "
        f"{test.permutations} random labellings; untrained twins {min(effects):.3f} to {max(effects):.3f}"
    )
    place = f"in the {primary.correction} {primary.space} ({primary.n_words} {primary.words})"
    if test.p_effect > _SIGNIFICANT:
        verdict = f"Groups do not lie apart beyond chance {place}: {numbers}."
    elif test.low.effect > 0:
        verdict = f"Words lie nearer to their own group than to others {place}: {numbers}."
    else:
        verdict = (
            f"Words lie nearer to their own group than random labels would have it {place}, but the interval over words "
            f"reaches 0: {numbers}."
        )
    tested = [comparison.test for comparison in result.comparisons if comparison.test]
    agreeing = sum(other.p_effect <= _SIGNIFICANT for other in tested)
    return (
        verdict,
        f"The nearest other word is of the same group for {test.observed.leave_one_out:.0%} of these words (chance "
        f"{test.chance:.0%}, p = {test.p_leave_one_out:.2g}); silhouette {test.observed.silhouette:.3f} "
        f"(p = {test.p_silhouette:.2g}). Of {len(tested)} ways to compare (spaces, corrections, with and without means of "
        f"pieces), {agreeing} have an effect with p of at most {_SIGNIFICANT}.",
    )


def _neighbour_finding(result: EmbeddingGeometry) -> str:
    nearer = sum(word.cosines["raw"][0] > max(word.twin_cosines["raw"]) for word in result.words)
    examples = ", ".join(
        f"{word.word}: {word.neighbours['raw'][0]} ({word.cosines['raw'][0]:.2f})" for word in result.words[:3]
    )
    twins = [cosine for word in result.words for cosine in word.twin_cosines["raw"]]
    return (
        f"For {nearer} of {len(result.words)} words the nearest piece in the raw input embedding is nearer than in any untrained "
        f"twin (there {min(twins):.2f} to {max(twins):.2f}); for example {examples}."
    )


def _layer_findings(result: EmbeddingGeometry) -> tuple[str, ...]:
    stacks = (slice(0, result.n_encoder_spaces), slice(result.n_encoder_spaces, len(result.layers.spaces)))
    return tuple(_stack_finding(result, stack, quantity) for quantity in (0, 2) for stack in stacks)


def _stack_finding(result: EmbeddingGeometry, stack: slice, quantity: int) -> str:
    """Where a quantity starts, peaks and ends in one stack."""
    layers = result.layers
    spaces = layers.spaces[stack]
    point, low, high = (
        bound[quantity, stack] for bound in (layers.curves.point, layers.curves.low, layers.curves.high)
    )
    if np.isnan(point).any():
        return f"{QUANTITIES[quantity].capitalize()} is not defined in {spaces[0]} to {spaces[-1]}: too few sentences or tokens."
    twins = layers.twins[:, quantity, stack]
    top = int(point.argmax())

    def at(place: int) -> str:
        return (
            f"{point[place]:.3f} [{low[place]:.3f}, {high[place]:.3f}] in {spaces[place]} (untrained twins "
            f"{twins[:, place].min():.3f} to {twins[:, place].max():.3f})"
        )

    peak = "" if top in {0, len(spaces) - 1} else f", highest at {at(top)}"
    return f"{QUANTITIES[quantity].capitalize()} goes from {at(0)} to {at(len(spaces) - 1)}{peak}."


def _definitions(result: EmbeddingGeometry) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in zip(KINDS, result.rows_of_kind, strict=True))
    means = sum(not word.single for word in result.words)
    axes = ", ".join(f"{share:.2f}" for share in result.map.explained[:2])
    twins = ", ".join(
        f"{min(t.explained[axis] for t in result.twin_maps):.2f} to {max(t.explained[axis] for t in result.twin_maps):.2f}"
        for axis in range(min(2, len(result.map.explained)))
    )
    return (
        f"The table of embeddings has {sum(result.rows_of_kind)} rows: {kinds}; only pieces enter any number here. Of the "
        f"{len(result.words)} words {means} are means of several pieces, which are no row the model ever reads; they are marked "
        f"and tested apart. The first two principal axes of the words hold {axes} of their variance (untrained twins {twins}); "
        f"{len(result.words)} points in a wide space always spread over about as many axes, so compare with the twins.\n\n"
        f"Contextual spaces count the tokens of the sentence itself, without task prefix and end of sentence, over "
        f"{result.n_prompts} prompts with {result.layers.n_sentences} distinct sentences (targets {result.target_origin}); "
        "prompts with the same sentence are never compared with each other. Encoder 0 and decoder 0 are the input embedding "
        "of the tokens in place, so what they hold of anisotropy comes from common words that occur in many sentences."
    )


def _limits(result: EmbeddingGeometry) -> tuple[str, ...]:
    return (
        "Words lying near each other says what the training text put in like places; it is no evidence that the model uses "
        "the nearness, nor that the group is the reason: frequency and grammar also place words.",
        "Pairs of words share words, so Cohen's d is a size and no test; p-values come from permuting the labels of words, and "
        f"hold for these {len(result.words)} words, not for furniture or animals at large.",
        "A map of two axes shows part of the variance; nearness on it is to be checked in the cosine matrix.",
        "Cosines in a narrow space are high for all pairs; compare adjusted or centred numbers between layers, not raw ones. "
        "A few dimensions of large variance can dominate a cosine.",
        "The spaces of encoder and decoder hold different tokens (source against target words), so their levels are not to be "
        "compared with each other.",
    )
