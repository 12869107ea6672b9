"""What alignments cost nothing: the straight diagonal, and chance. They stand beside every score."""

from collections.abc import Sequence

import numpy as np

from interp.text.word_links import Links

_RANDOM_DRAWS = 20


def diagonal_links(n_source: int, n_target: int) -> Links:
    """Each target word to the source word at the same relative place: (t + 1/2) / T of the way, rounded down."""
    return frozenset(((2 * target + 1) * n_source // (2 * n_target), target) for target in range(n_target))


def random_links(n_source: int, n_target: int, generator: np.random.Generator) -> Links:
    """Each target word to a source word drawn evenly."""
    return frozenset((int(source), target) for target, source in enumerate(generator.integers(n_source, size=n_target)))


def random_corpora(sizes: Sequence[tuple[int, int]], seed: int) -> list[list[Links]]:
    """Random links for a corpus of (source words, target words), drawn several times."""
    generator = np.random.default_rng(seed)
    return [[random_links(*size, generator) for size in sizes] for _ in range(_RANDOM_DRAWS)]
