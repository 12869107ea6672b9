"""What was found about the spaces from layer to layer, in sentences that carry their numbers."""

import numpy as np

from analyses.embedding_geometry.correspondence import FEWEST
from analyses.embedding_geometry.layers import QUANTITIES
from analyses.embedding_geometry.summary import EmbeddingGeometry
from analyses.embedding_geometry.translation_blocks import translation_findings

_SIGNIFICANT = 0.05


def layer_findings(result: EmbeddingGeometry) -> tuple[str, ...]:
    """Clouds of tokens, words in sentences, agreement of spaces, translations."""
    return (
        *_clouds(result),
        *_groups_in_sentences(result),
        _context(result),
        _senses(result),
        *_agreement(result),
        *(sentence for found in result.translation for sentence in translation_findings(found)),
    )


def _clouds(result: EmbeddingGeometry) -> tuple[str, ...]:
    stacks = (slice(0, result.n_encoder_spaces), slice(result.n_encoder_spaces, len(result.layers.spaces)))
    return tuple(_stack(result, stack, quantity) for quantity in (0, 2) for stack in stacks)


def _stack(result: EmbeddingGeometry, stack: slice, quantity: int) -> str:
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


def _groups_in_sentences(result: EmbeddingGeometry) -> tuple[str, ...]:
    tests = [(comparison, comparison.test) for comparison in result.in_sentences if comparison.test]
    if not tests:
        return ()
    (first, start), (last, end) = tests[0], tests[-1]
    twins = [twin.effect for twin in last.twins]
    return (
        f"In the same sentences, the groups lie {start.observed.effect:.3f} [{start.low.effect:.3f}, "
        f"{start.high.effect:.3f}] apart "
        f"in {first.space} and {end.observed.effect:.3f} [{end.low.effect:.3f}, {end.high.effect:.3f}] in {last.space} "
        f"(p = {end.p_effect:.2g}; untrained twins {min(twins):.3f} to {max(twins):.3f}).",
    )


def _context(result: EmbeddingGeometry) -> str:
    contexts = result.contexts
    point, low, high = contexts.curves.point, contexts.curves.low, contexts.curves.high
    twins = contexts.twins[:, :, -1]
    return (
        f"In {contexts.spaces[-1]} the occurrences of a word in different sentences still have a cosine of {point[0, -1]:.2f} "
        f"[{low[0, -1]:.2f}, {high[0, -1]:.2f}] beyond anisotropy (untrained twins {twins[:, 0].min():.2f} to "
        f"{twins[:, 0].max():.2f}), and have drifted {point[1, -1]:.2f} [{low[1, -1]:.2f}, {high[1, -1]:.2f}] from "
        f"{result.start} (twins {twins[:, 1].min():.2f} to {twins[:, 1].max():.2f})."
    )


def _senses(result: EmbeddingGeometry) -> str:
    contexts = result.contexts
    point, low, high = (bound[2] for bound in (contexts.curves.point, contexts.curves.low, contexts.curves.high))

    def at(place: int) -> str:
        return (
            f"{point[place]:.3f} [{low[place]:.3f}, {high[place]:.3f}] in {contexts.spaces[place]} (p = "
            f"{contexts.split_p[place]:.2g} over all spaces; untrained twins {contexts.twins[:, 2, place].min():.3f} to "
            f"{contexts.twins[:, 2, place].max():.3f})"
        )

    top = int(point.argmax())
    if contexts.first_split is None:
        return (
            f"The senses of {len(contexts.words)} words of two senses do not split beyond chance and untrained twins in any "
            f"space; the largest split is {at(top)}."
        )
    first = contexts.first_split
    widest = "" if first == top else f"; the split is widest at {at(top)}"
    return (
        f"The senses of {len(contexts.words)} words of two senses begin to split, beyond chance and every untrained twin, at "
        f"{at(first)}{widest}."
    )


def _agreement(result: EmbeddingGeometry) -> tuple[str, ...]:
    found = result.correspondence
    if found is None:
        return (f"Spaces were not compared with each other: that takes at least {FEWEST} different sentences.",)
    encoder = result.n_encoder_spaces
    block = found.cka.correlation[:encoder, encoder:]
    chance = float(found.cka.p_value[:encoder, encoder:].max())
    row, column = np.unravel_index(int(block.argmax()), block.shape)
    i, j = int(row), int(column) + encoder
    inside = found.twins[:, i, j]
    across = np.concatenate([found.across[:, i, j], found.across[:, j, i]])
    adjacent = found.cka.correlation[np.arange(encoder - 1), np.arange(1, encoder)]
    return (
        f"Encoder and decoder arrange sentences most alike in {found.spaces[i]} and {found.spaces[j]}: debiased CKA "
        f"{found.cka.correlation[i, j]:.2f} [{found.cka_low[i, j]:.2f}, {found.cka_high[i, j]:.2f}] and RSA "
        f"{found.rsa.correlation[i, j]:.2f} over {found.n_sentences} sentences; the same spaces inside untrained twins "
        f"{inside.min():.2f} to {inside.max():.2f}, model against twin {across.min():.2f} to {across.max():.2f}. All pairs of an "
        f"encoder and a decoder space have p of at most {chance:.2g} over shuffled sentences; neighbouring encoder "
        "spaces agree by "
        f"{adjacent.min():.2f} to {adjacent.max():.2f}.",
    )
