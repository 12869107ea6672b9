"""Can a property be read from activations by a linear map, and is that more than the map's own skill at memorizing words?

A control task (Hewitt and Liang 2019) gives every word type one label at random, once and for all, drawn as often as the real
labels are; its tokens inherit it. What a probe learns of it, it learned from the identity of words alone. Selectivity is the
accuracy of the task less that of the control, with the same probe, rows and split. Words that the training half does not have are
counted apart.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from interp.activations import ActivationStore, sentences_of
from interp.activations.batches import row_numbers
from interp.errors import InputError
from interp.report.framed import Framed
from interp.statistics.interval import CORRELATION, SHARE, Interval
from interp.statistics.intervals import bootstrap_ratio

_MOST_STEPS = 5_000


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class ProbeResult(Framed):
    """How well a property is read from one hook point, on groups of prompts (sentences) that the probe has not seen.

    Attributes:
        hook: the hook point.
        accuracy: share of rows whose label is read.
        control: the same of the control task.
        selectivity: accuracy less control, paired by group.
        majority: share of the commonest label among the judged rows.
        unseen: accuracy on words that no training row has; NaN where there is none.
        unseen_control: the same of the control task.
        rows: that were judged.
    """

    hook: str
    accuracy: Interval
    control: Interval
    selectivity: Interval
    majority: float
    unseen: float
    unseen_control: float
    rows: int

    def to_frame(self) -> pd.DataFrame:
        """One row: shares of judged rows, with 95 % intervals over groups."""
        found: dict[str, list[object]] = {"hook point": [self.hook]}
        for name in ("accuracy", "control", "selectivity"):
            interval: Interval = getattr(self, name)
            parts = {"": interval.point, " low": interval.low, " high": interval.high}
            found |= {f"{name}{part}": [float(value)] for part, value in parts.items()}
        found |= {
            "majority": [self.majority],
            "unseen words": [self.unseen],
            "unseen words, control": [self.unseen_control],
        }
        return pd.DataFrame(found | {"rows": [self.rows]})


def control_labels(words: Sequence[str] | np.ndarray, labels: Sequence[str] | np.ndarray, seed: int) -> np.ndarray:
    """The control task's label of every row: one for each word type, drawn with the frequencies of the real labels.

    Args:
        words: the word of every row.
        labels: the real label of every row.
        seed: of the draw.
    """
    types, places = np.unique(np.asarray(words), return_inverse=True)
    drawn = np.random.default_rng(seed).choice(np.asarray(labels), size=len(types))
    return np.asarray(drawn[places])


def linear_probe(
    store: ActivationStore,
    hook: str,
    labels: Sequence[str] | np.ndarray,
    rows: Sequence[int] | np.ndarray | None = None,
    groups: Sequence[int] | np.ndarray | None = None,
    seed: int = 0,
    strength: float = 1.0,
    resamples: int = 2_000,
) -> ProbeResult:
    """How well multinomial logistic regression reads a label, with its control task (Hewitt and Liang 2019).

    Every second group, in random order, trains both probes; the others judge them. Rows are held in memory.

    Args:
        store: with the hook point.
        hook: where to read.
        labels: of the rows.
        rows: their numbers, where not all rows of the side take part.
        groups: which rows belong together and must not be split; by default those of one sentence (`sentences_of`).
        seed: of split, control task and resamples.
        strength: inverse of the L2 penalty on standardized activations.
        resamples: of the judged groups, for the intervals.

    Raises:
        InputError: if there is no such row, numbers of rows, labels and groups differ, or either half lacks groups or has one
            label.
    """
    index = store.index(store.side(hook), ["prompt", "word"])
    numbers = np.arange(len(index)) if rows is None else row_numbers(rows, len(index))
    words, given = index["word"].to_numpy()[numbers], np.asarray(labels)
    kept = sentences_of(store)[index["prompt"].to_numpy()[numbers]] if groups is None else np.asarray(groups)
    if not len(numbers) == len(given) == len(kept):
        raise InputError(f"Got {len(numbers)} rows, {len(given)} labels and {len(kept)} groups; give one for each row.")
    trains = _half(kept, seed)
    if len(np.unique(given[trains])) < 2 or not (~trains).any():
        raise InputError(
            "A probe needs two labels among the rows that train it and rows to judge it; give more prompts."
        )
    control = control_labels(words, given, seed)
    vectors = store.take(hook, numbers).float().numpy()
    right = [_right(vectors, target, trains, strength) for target in (given, control)]
    places = np.unique(kept[~trains], return_inverse=True)[1]
    counts = np.bincount(places).astype(float)
    hits = [np.bincount(places, weights=hit) for hit in right]
    unseen = ~np.isin(words[~trains], words[trains])
    apart = [float(hit[unseen].mean()) if unseen.any() else float("nan") for hit in right]
    accuracy, own, selectivity = (
        bootstrap_ratio(top, counts, seed, resamples).within(support)
        for top, support in ((hits[0], SHARE), (hits[1], SHARE), (hits[0] - hits[1], CORRELATION))
    )
    majority = float(np.unique(given[~trains], return_counts=True)[1].max() / counts.sum())
    return ProbeResult(hook, accuracy, own, selectivity, majority, apart[0], apart[1], int(counts.sum()))


def _half(groups: np.ndarray, seed: int) -> np.ndarray:
    """True at the rows of every second group in random order."""
    names = np.random.default_rng(seed).permutation(np.unique(groups))
    return np.isin(groups, names[::2])


def _right(vectors: np.ndarray, labels: np.ndarray, trains: np.ndarray, strength: float) -> np.ndarray:
    """1 at the judged rows whose label is read, else 0."""
    if len(np.unique(labels[trains])) == 1:  # a control task of few words may have drawn one label only
        return np.asarray(labels[~trains] == labels[trains][0], dtype=float)
    probe = make_pipeline(StandardScaler(), LogisticRegression(C=strength, max_iter=_MOST_STEPS, tol=1e-3))
    read = probe.fit(vectors[trains], labels[trains]).predict(vectors[~trains])
    return np.asarray(read == labels[~trains], dtype=float)
