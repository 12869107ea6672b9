"""What is independent among sentence pairs, and is one aligner better than another beyond chance?

Pairs that share a side (one sentence into two languages, or a line given twice) are one piece of evidence: their counts are added
before the corpus is split into halves or resampled. The difference of two error rates is compared on the same sentences, by their
linearized values, whose mean is that difference.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int

from analyses.core.keys import keys_of, rows_by_key
from analyses.cross_attention_focus.alignment.texts import AlignedPair
from interp.statistics import Interval, bootstrap_mean

Rows = list[Int[np.ndarray, " _"]]
"""Of every independent sentence its pairs."""


def sentence_rows(pairs: Sequence[AlignedPair]) -> Rows:
    """The pairs of every independent sentence, in the order of their first ones.

    Args:
        pairs: the pairs; those that share a source, whatever its task prefix, or a target are one sentence.
    """
    sources = (pair.source.removeprefix(pair.prefix).strip() for pair in pairs)
    return rows_by_key(keys_of(sources), keys_of(pair.target.strip() for pair in pairs))


def by_sentence(table: Int[np.ndarray, "pair count"], rows: Rows) -> Int[np.ndarray, "sentence count"]:
    """The counts of every sentence, summed over its pairs.

    Args:
        table: counts of every pair, in the order of `error_rate.COUNTS`.
        rows: of every sentence its pairs.
    """
    return np.stack([table[some].sum(0) for some in rows])


def less_error(
    table: Int[np.ndarray, "sentence count"], other: Int[np.ndarray, "sentence count"], seed: int
) -> Interval:
    """By how much an error rate is below another's on the same sentences, with a 95 % interval (Och and Ney 2003; Koehn 2004).

    Args:
        table: counts of the one that may be better.
        other: of the other.
        seed: of resampling.
    """
    return bootstrap_mean(_linearized(other) - _linearized(table), seed)


def _linearized(table: np.ndarray) -> np.ndarray:
    """A value for every sentence whose mean is the error rate, and whose spread is that of the rate (delta method)."""
    hits_sure, hits_possible, given, sure = table.T.astype(np.float64)
    size = given + sure
    if not size.sum():
        return np.full(len(table), np.nan)
    errors = size - hits_sure - hits_possible
    rate = errors.sum() / size.sum()
    return np.asarray(rate + (errors - rate * size) / size.mean())
