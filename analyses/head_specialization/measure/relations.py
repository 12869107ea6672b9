"""Which heads are syntactic, on sentences that did not choose them?

Sentences are split in halves. On the even ones a head is a candidate for a relation and direction if its accuracy is 10 points
above that of the best fixed offset there (Voita et al. 2019, table 1), and the best head always is. On the odd ones its accuracy
is estimated, beside the accuracy of the offset that the even ones chose; it must be 10 points above that again.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from jaxtyping import Float

from analyses.core.contract import Arrays
from analyses.head_specialization.criterion import Criterion
from analyses.head_specialization.measure.parses import (
    DIRECTIONS,
    Direction,
    OffsetBaseline,
    Parse,
    offset_baselines,
    parse_conllu,
)
from analyses.head_specialization.measure.syntax import SyntaxScores, relations_of
from analyses.head_specialization.settings import HeadSettings
from interp.hooks.names import HeadId
from interp.statistics import SHARE, bootstrap_ratio

MARGIN = 0.10
"""Accuracy above the best fixed offset that makes a head syntactic (Voita et al. 2019)."""

_LEAST_PAIRS = 20
_SHORT: dict[Direction, str] = {"dependent to head": "to head", "head to dependent": "to dependent"}


@dataclass(frozen=True, slots=True)
class SyntacticRelation:
    """The best head of one relation and direction, chosen on even sentences and estimated on odd ones.

    Attributes:
        relation: for example `amod`.
        direction: which word attends to which.
        head: the head with the highest accuracy on even sentences.
        accuracy: share of pairs on odd sentences where its strongest word is the right one.
        low: lower end of the 95 % bootstrap interval over sentences.
        high: upper end.
        offset: the fixed distance in words that is right most often on even sentences.
        offset_accuracy: how often it is right on odd ones.
        twin_accuracy: the best head of the untrained twin, chosen and estimated the same way; NaN without a twin.
        pairs: number of pairs on odd sentences.
        syntactic: whether the interval lies 10 points above the offset.
    """

    relation: str
    direction: Direction
    head: HeadId
    accuracy: float
    low: float
    high: float
    offset: int
    offset_accuracy: float
    twin_accuracy: float
    pairs: int
    syntactic: bool

    @property
    def gain(self) -> float:
        """Accuracy above that of the fixed offset."""
        return self.accuracy - self.offset_accuracy


@dataclass(frozen=True, slots=True, eq=False)
class _Case:
    """One relation and direction with enough pairs in both halves."""

    relation: str
    direction: Direction
    baseline: OffsetBaseline
    hits: Float[np.ndarray, "sentence layer head"]
    pairs: Float[np.ndarray, " sentence"]
    offset_hits: Float[np.ndarray, " sentence"]

    @property
    def chosen(self) -> tuple[int, int]:
        """The head with most hits on even sentences."""
        layer, head = np.unravel_index(self.hits[0::2].sum(0).argmax(), self.hits.shape[1:])
        return int(layer), int(head)

    @property
    def detail(self) -> str:
        return f"{self.relation} {_SHORT[self.direction]}"


def read_scores(experiment: Arrays, settings: HeadSettings) -> SyntaxScores | None:
    """The scores that `syntax.examine_syntax` gave, or None."""
    if "syntax.hits" not in experiment:
        return None
    hits, pairs = experiment["syntax.hits"], experiment["syntax.pairs"]
    return SyntaxScores(
        relations_of(parse_conllu(settings.conllu)),
        {direction: hits[:, index] for index, direction in enumerate(DIRECTIONS)},
        {direction: pairs[:, index] for index, direction in enumerate(DIRECTIONS)},
    )


def _cases(parses: Sequence[Parse], scores: SyntaxScores) -> list[_Case]:
    found = []
    for direction in DIRECTIONS:
        chosen = offset_baselines(parses[0::2], direction)
        for index, relation in enumerate(scores.relations):
            pairs = scores.pairs[direction][:, index]
            if min(pairs[0::2].sum(), pairs[1::2].sum()) >= _LEAST_PAIRS:
                baseline = chosen[relation]
                at_offset = _offset_hits(parses, direction, relation, baseline.offset)
                hits = scores.hits[direction][:, index]
                found.append(_Case(relation, direction, baseline, hits, pairs, at_offset))
    return found


def _offset_hits(parses: Sequence[Parse], direction: Direction, relation: str, offset: int) -> np.ndarray:
    """Pairs of the relation at this distance, in every sentence."""
    counts = [
        sum(other - word == offset for name, word, other in parse.pairs(direction) if name == relation)
        for parse in parses
    ]
    return np.array(counts, dtype=np.float64)


def syntax_criteria(experiment: Arrays, settings: HeadSettings) -> list[Criterion]:
    """One criterion for every relation and direction; heads that even sentences did not choose have no score."""
    scores = read_scores(experiment, settings)
    if scores is None:
        return []
    return [_criterion(case, settings.margin) for case in _cases(parse_conllu(settings.conllu), scores)]


def _criterion(case: _Case, margin: float) -> Criterion:
    even = case.hits[0::2].sum(0) / case.pairs[0::2].sum()
    candidate = even >= case.offset_hits[0::2].sum() / case.pairs[0::2].sum() + margin
    candidate[case.chosen] = True
    pairs = case.pairs[1::2]
    there = pairs > 0
    # Over the mean number of pairs, so that the mean over sentences is the accuracy over pairs.
    unit = pairs[there].mean()
    score = np.where(there[:, None, None], case.hits[1::2] / unit, np.nan)
    null = np.where(there, case.offset_hits[1::2] / unit, np.nan)[:, None, None]
    detail = [[case.detail] * candidate.shape[1]] * candidate.shape[0]
    return Criterion("syntactic", "syntax", score, np.broadcast_to(null, score.shape), detail, eligible=candidate)


def syntactic_relations(
    parses: Sequence[Parse],
    scores: SyntaxScores,
    seed: int = 0,
    resamples: int = 2000,
    twin: SyntaxScores | None = None,
    margin: float = MARGIN,
) -> tuple[SyntacticRelation, ...]:
    """The best head of every relation and direction with at least 20 pairs in each half, the largest gains first.

    Args:
        parses: the sentences behind the scores.
        scores: of `syntax.score_syntax`.
        seed: of the bootstrap over sentences.
        resamples: its draws.
        twin: scores of an untrained twin on the same sentences.
        margin: how far above the offset a syntactic head must be.
    """
    controls = {(case.relation, case.direction): case for case in _cases(parses, twin)} if twin else {}
    found = []
    for case in _cases(parses, scores):
        layer, head = case.chosen
        interval = bootstrap_ratio(case.hits[1::2, layer, head], case.pairs[1::2], seed, resamples).within(SHARE)
        baseline = float(case.offset_hits[1::2].sum() / case.pairs[1::2].sum())
        control = controls.get((case.relation, case.direction))
        found.append(
            SyntacticRelation(
                relation=case.relation,
                direction=case.direction,
                head=HeadId("encoder", layer, head),
                accuracy=float(interval.point),
                low=float(interval.low),
                high=float(interval.high),
                offset=case.baseline.offset,
                offset_accuracy=baseline,
                twin_accuracy=np.nan if control is None else _held_out(control),
                pairs=int(case.pairs[1::2].sum()),
                syntactic=bool(interval.low >= baseline + margin),
            )
        )
    return tuple(sorted(found, key=lambda item: (-item.gain, item.relation, item.direction)))


def _held_out(case: _Case) -> float:
    layer, head = case.chosen
    return float(case.hits[1::2, layer, head].sum() / case.pairs[1::2].sum())


def syntax_frame(relations: Sequence[SyntacticRelation]) -> pd.DataFrame:
    """One row for every relation and direction, in the given order."""
    return pd.DataFrame({
        "relation": [item.relation for item in relations],
        "direction": [item.direction for item in relations],
        "head": [str(item.head) for item in relations],
        "accuracy": [item.accuracy for item in relations],
        "low": [item.low for item in relations],
        "high": [item.high for item in relations],
        "offset": [item.offset for item in relations],
        "offset accuracy": [item.offset_accuracy for item in relations],
        "gain": [item.gain for item in relations],
        "twin accuracy": [item.twin_accuracy for item in relations],
        "pairs": [item.pairs for item in relations],
        "syntactic": [item.syntactic for item in relations],
    })
