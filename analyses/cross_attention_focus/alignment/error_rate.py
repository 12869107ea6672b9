"""Alignment error rate, precision and recall over a corpus (Och and Ney 2003): counts are summed before they are divided."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from interp.statistics import SHARE, bootstrap_ratio
from interp.text.word_links import Gold, Links

COUNTS = ("hits_sure", "hits_possible", "given", "sure")
"""What is counted for every sentence: |A & S|, |A & P|, |A|, |S|."""


@dataclass(frozen=True, slots=True)
class Score:
    """The score of one set of links; undefined numbers are NaN.

    Attributes:
        aer: alignment error rate; lower is better.
        low: lower end of its 95 % interval over sentences.
        high: upper end.
        precision: share of the given links that are at least possible.
        recall: share of the sure links that are given.
        n_links: links given.
        n_sentences: independent sentences that the interval resamples.
    """

    aer: float
    low: float
    high: float
    precision: float
    recall: float
    n_links: int
    n_sentences: int


def counts(links: Links, gold: Gold) -> tuple[int, int, int, int]:
    """The counts of one sentence, in the order of `COUNTS`."""
    return len(links & gold.sure), len(links & gold.possible), len(links), len(gold.sure)


def score(table: Int[np.ndarray, "sentence count"], seed: int = 0) -> Score:
    """Score a corpus from the counts of its sentences."""
    hits_sure, hits_possible, given, sure = table.sum(axis=0).tolist()
    per_sentence = table.astype(np.float64)
    errors = per_sentence[:, 2] + per_sentence[:, 3] - per_sentence[:, 0] - per_sentence[:, 1]
    rate = bootstrap_ratio(errors, per_sentence[:, 2] + per_sentence[:, 3], seed).within(SHARE)
    return Score(
        aer=error_rate(table),
        low=float(rate.low),
        high=float(rate.high),
        precision=hits_possible / given if given else np.nan,
        recall=hits_sure / sure if sure else np.nan,
        n_links=given,
        n_sentences=len(table),
    )


def error_rate(table: np.ndarray) -> float:
    """AER from counts, without an interval."""
    hits_sure, hits_possible, given, sure = table.sum(axis=0).tolist()
    return 1 - (hits_sure + hits_possible) / (given + sure) if given + sure else np.nan


def corpus_counts(links: Sequence[Links], gold: Sequence[Gold]) -> Int[np.ndarray, "sentence count"]:
    """The counts of every sentence."""
    return np.array([counts(given, wanted) for given, wanted in zip(links, gold, strict=True)])


def summed_counts(corpora: Sequence[Sequence[Links]], gold: Sequence[Gold]) -> np.ndarray:
    """Counts [sentence count] of several sets of links together."""
    return np.asarray(np.sum([corpus_counts(links, gold) for links in corpora], axis=0))
