"""Do the words of a group lie together: in every static space, against words of like frequency, and in every encoder space?

Groups are compared in every static space and correction, once with the words of one piece alone and once with means of
pieces added. The first row, one piece in the raw input embedding, was chosen before any number was seen; the others
say whether it depends on the choice.

Frequency is a rival explanation, since frequent and rare words lie apart in every embedding. So for every word of one piece an
everyday word of like frequency is drawn from a list of mixed nouns, and these stand-ins are grouped as the words are:

    p = (1 + draws whose stand-ins have at least the words' effect) / (1 + draws)
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses.core.contract import Evidence
from analyses.embedding_geometry.measure.spaces import encoder_spaces, static_spaces
from analyses.embedding_geometry.measure.static_words import CORRECTIONS
from analyses.embedding_geometry.settings import GeometrySettings
from interp.geometry.group_separation import Separation, SeparationTest, separation, separation_test
from interp.geometry.isotropy import cosine_matrix
from interp.statistics import Estimate, Interval, controlled, family_wise_p_values

SINGLE = "words of one piece"
ALL = "means of pieces added"

_DRAWS = 999
_CHOICES = 8
"""Stand-ins are drawn among so many everyday words of nearest frequency."""

_UNDEFINED = Separation(*[np.nan] * len(Separation._fields))


@dataclass(frozen=True, slots=True)
class Comparison:
    """The groups compared in one space.

    Attributes:
        space: the space.
        correction: what was taken out of it.
        words: `SINGLE` or `ALL`.
        n_words: how many words that are.
        test: statistics, intervals and p-values of the model; None where there are too few such words.
        twins: the statistics of every untrained twin.
    """

    space: str
    correction: str
    words: str
    n_words: int
    test: SeparationTest | None
    twins: tuple[Separation, ...]

    def __getitem__(self, statistic: str) -> Estimate:
        """One statistic of a `Separation` with its interval and its control; undefined without a test."""
        parts = (self.test.observed, self.test.low, self.test.high) if self.test else (_UNDEFINED,) * 3
        point, low, high = (np.array(getattr(part, statistic)) for part in parts)
        found = Interval(point, low, high, np.array(self.n_words))
        return controlled(found, [getattr(twin, statistic) for twin in self.twins])


@dataclass(frozen=True, slots=True, eq=False)
class Matched:
    """The effect of stand-ins of like frequency, in the raw input embedding.

    Attributes:
        matched: whether the tokenizer knows frequencies; if not, stand-ins are drawn from all everyday words.
        n_words: words of one piece that were stood in for.
        effect: mean effect of the stand-ins, the bounds of the middle 95 % of the draws, and the number of draws.
        p_value: see the module.
        difference: mean absolute difference of log probability between a word and its stand-in; NaN without frequencies.
    """

    matched: bool
    n_words: int
    effect: Interval
    p_value: float
    difference: float


def static_comparisons(evidence: Evidence, settings: GeometrySettings) -> tuple[Comparison, ...]:
    """Every static space, correction and choice of words, the primary comparison first; none without words."""
    if not settings.words:
        return ()
    single = evidence.model.weights["n_pieces"] == 1
    spaces = static_spaces(evidence.cfg, bool(evidence.model.weights["tied"][0]))
    subsets = {SINGLE: single} | ({} if single.all() else {ALL: np.ones(len(single), dtype=bool)})
    models = (evidence.model, *evidence.twins)
    return tuple(
        _compare(evidence, settings, [one.weights["vectors"][space, place] for one in models], kept, labels)
        for space, space_name in enumerate(spaces)
        for words, kept in subsets.items()
        for place, correction in enumerate(CORRECTIONS)
        for labels in [(space_name, correction, words)]
    )


def encoder_comparisons(evidence: Evidence, settings: GeometrySettings) -> tuple[Comparison, ...]:
    """All words, each the mean over the same sentences, in every space of the encoder."""
    if "template_states" not in evidence.model.weights:
        return ()
    everyone = np.ones(len(settings.words), dtype=bool)
    states = [one.weights["template_states"] for one in (evidence.model, *evidence.twins)]
    return tuple(
        _compare(evidence, settings, [one[:, space] for one in states], everyone, (name, "raw", "in sentences"))
        for space, name in enumerate(encoder_spaces(evidence.cfg))
    )


def matched_words(evidence: Evidence, settings: GeometrySettings) -> Matched | None:
    """The effect of words of like frequency; None if there are too few words of one piece or too few stand-ins."""
    weights = evidence.model.weights
    single = np.flatnonzero(weights["n_pieces"] == 1)
    if not len(single):
        return None
    groups = _groups(settings)[single]
    controls = weights["control_vectors"][0, 0]
    if not _comparable(groups) or len(controls) < 2 * len(single):
        return None
    labels = np.unique(groups, return_inverse=True)[1]
    observed = separation(cosine_matrix(weights["vectors"][0, 0][single]), labels).effect
    frequency, rival = weights["log_probabilities"][single], weights["control_log_probabilities"]
    known = not (np.isnan(frequency).any() or np.isnan(rival).any())
    cosines = cosine_matrix(controls)
    generator = np.random.default_rng(evidence.seed)
    drawn = np.stack([_stand_ins(frequency, rival, known, generator) for _ in range(_DRAWS)])
    effects = np.array([separation(cosines[np.ix_(rows, rows)], labels).effect for rows in drawn])
    low, high = np.quantile(effects, [0.025, 0.975])
    return Matched(
        matched=known,
        n_words=len(single),
        effect=Interval(np.asarray(effects.mean()), np.asarray(low), np.asarray(high), np.array(_DRAWS)),
        p_value=float(family_wise_p_values(np.array(observed), effects)),
        difference=float(np.abs(rival[drawn] - frequency).mean()),
    )


def _stand_ins(
    frequency: Float[np.ndarray, " word"],
    rival: Float[np.ndarray, " control"],
    known: bool,
    generator: np.random.Generator,
) -> np.ndarray:
    """One control for every word, none twice, words served in random order."""
    if not known:
        return generator.choice(len(rival), len(frequency), replace=False)
    chosen = np.full(len(frequency), -1)
    free = np.ones(len(rival), dtype=bool)
    for word in generator.permutation(len(frequency)):
        distance = np.where(free, np.abs(rival - frequency[word]), np.inf)
        candidates = np.argsort(distance, kind="stable")[: min(_CHOICES, int(free.sum()))]
        chosen[word] = generator.choice(candidates)
        free[chosen[word]] = False
    return chosen


def _groups(settings: GeometrySettings) -> np.ndarray:
    return np.concatenate([np.full(len(words), index) for index, words in enumerate(settings.groups.values())])


def _comparable(groups: np.ndarray) -> bool:
    sizes = np.bincount(groups) if len(groups) else np.zeros(1, dtype=int)
    return bool((sizes > 0).sum() >= 2 and sizes.max() >= 2)


def _compare(
    evidence: Evidence,
    settings: GeometrySettings,
    vectors: list[Float[np.ndarray, "word d_model"]],
    kept: np.ndarray,
    labels: tuple[str, str, str],
) -> Comparison:
    """One comparison of the model, first in `vectors`, and its twins."""
    groups = _groups(settings)[kept]
    space, correction, words = labels
    if not _comparable(groups):
        return Comparison(space, correction, words, int(kept.sum()), None, ())
    numbers = np.unique(groups, return_inverse=True)[1]
    cosines = [cosine_matrix(one[kept]) for one in vectors]
    return Comparison(
        space=space,
        correction=correction,
        words=words,
        n_words=int(kept.sum()),
        test=separation_test(cosines[0], numbers, evidence.seed, settings.permutations, settings.resamples),
        twins=tuple(separation(cosine, numbers) for cosine in cosines[1:]),
    )
