"""What was found about the spaces from layer to layer, in sentences that carry their numbers."""

import numpy as np

from analyses.embedding_geometry.measure.contexts import ContextCurves
from analyses.embedding_geometry.measure.layers import QUANTITIES
from analyses.embedding_geometry.measure.space_agreement import FEWEST
from analyses.embedding_geometry.present.translation_blocks import translation_findings
from analyses.embedding_geometry.summary import EmbeddingGeometry
from interp.report.numbers import between, control_range, fixed, significant, untrained_twins, with_interval
from interp.statistics import largest


def layer_findings(result: EmbeddingGeometry) -> tuple[str, ...]:
    """Clouds of tokens, words in sentences, agreement of spaces, translations."""
    return (
        *clouds_sentences(result),
        *_groups_in_sentences(result),
        *(
            (context_sentence(result.contexts, result.start), senses_sentence(result.contexts))
            if result.contexts
            else ()
        ),
        _agreement(result),
        *(sentence for found in result.translation for sentence in translation_findings(found)),
    )


def clouds_sentences(result: EmbeddingGeometry) -> tuple[str, ...]:
    """Where anisotropy and similarity inside sentences start, peak and end in both stacks."""
    stacks = (slice(0, result.n_encoder_spaces), slice(result.n_encoder_spaces, len(result.layers.spaces)))
    return tuple(_stack(result, stack, quantity) for quantity in (0, 2) for stack in stacks)


def _stack(result: EmbeddingGeometry, stack: slice, quantity: int) -> str:
    """Where a quantity starts, peaks and ends in one stack."""
    spaces = result.layers.spaces[stack]
    curve = result.layers.curves[quantity, stack]
    name = QUANTITIES[quantity].capitalize()
    if np.isnan(curve.point).any():
        return f"{name} is not defined in {spaces[0]} to {spaces[-1]}: too few sentences or tokens."
    last, top = len(spaces) - 1, largest(curve.point)[0]

    def at(place: int) -> str:
        return f"{with_interval(curve[place], 3)} in {spaces[place]} ({untrained_twins(curve[place], 3)})"

    peak = "" if top in {0, last} else f", highest at {at(top)}"
    return f"{name} goes from {at(0)} to {at(last)}{peak}."


def _groups_in_sentences(result: EmbeddingGeometry) -> tuple[str, ...]:
    tested = [(comparison, comparison.test) for comparison in result.in_sentences if comparison.test]
    if not tested:
        return ()
    (first, _), (last, test) = tested[0], tested[-1]
    return (
        f"In the same sentences, the groups lie {with_interval(first['effect'], 3)} apart in {first.space} and "
        f"{with_interval(last['effect'], 3)} in {last.space} (p = {significant(test.p_values['effect'])}; "
        f"{untrained_twins(last['effect'], 3)}).",
    )


def context_sentence(contexts: ContextCurves, start: str) -> str:
    """How alike the occurrences of a word are in the last space, and how far they have drifted."""
    alike, drift = contexts.curves[0, -1], contexts.curves[1, -1]
    return (
        f"In {contexts.spaces[-1]} the occurrences of a word in different sentences still have a cosine of "
        f"{with_interval(alike)} beyond anisotropy ({untrained_twins(alike)}), and have drifted {with_interval(drift)} from "
        f"{start} (twins {control_range(drift)})."
    )


def senses_sentence(contexts: ContextCurves) -> str:
    """Where the senses of words split."""

    def at(place: int) -> str:
        split = contexts.curves[2, place]
        return (
            f"{with_interval(split, 3)} in {contexts.spaces[place]} (p = {significant(contexts.split_p[place])} over all spaces; "
            f"{untrained_twins(split, 3)})"
        )

    # Where every occurrence is the same vector, as in the embedding, nothing can split and no p-value exists.
    able = np.where(np.isnan(contexts.split_p), np.nan, contexts.curves.point[2])
    if np.isnan(able).all():
        return "In every space the occurrences of a word are the same vector, so that no senses can split."
    top = largest(able)[0]
    if contexts.first_split is None:
        return (
            f"The senses of {len(contexts.words)} words of two senses do not split beyond chance and untrained twins in any "
            f"space; the largest split is {at(top)}."
        )
    first = contexts.first_split
    widest = "" if first == top else f"; the split is widest at {at(top)}"
    return (
        f"The senses of {len(contexts.words)} words of two senses begin to split, beyond chance and untrained twins, at "
        f"{at(first)}{widest}."
    )


def _agreement(result: EmbeddingGeometry) -> str:
    found = result.agreement
    if found is None:
        return f"Spaces were not compared with each other: that takes at least {FEWEST} different sentences."
    encoder = result.n_encoder_spaces
    block = found.cka.point[:encoder, encoder:]
    i, j = largest(block)
    j += encoder
    across = np.concatenate([found.across[:, i, j], found.across[:, j, i]])
    adjacent = found.cka.point[np.arange(encoder - 1), np.arange(1, encoder)]
    chance = float(found.cka_p[:encoder, encoder:].max())
    return (
        f"Encoder and decoder arrange sentences most alike in {found.spaces[i]} and {found.spaces[j]}: debiased CKA "
        f"{with_interval(found.cka[i, j])} and RSA {fixed(found.rsa.correlation[i, j])} over {found.n_sentences} sentences; the "
        f"same spaces inside untrained twins {control_range(found.cka[i, j])}, model against twin "
        f"{between(across.min(), across.max())}. All pairs of an encoder and a decoder space have p of at most "
        f"{significant(chance)} over shuffled sentences; neighboring encoder spaces agree by "
        f"{between(adjacent.min(), adjacent.max())}."
    )
