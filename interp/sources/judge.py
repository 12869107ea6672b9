"""How good is a method that names source words? Three criteria on the same prompts, one where the truth is known, two controls.

    deletion    source tokens are taken out, the most important first; the mean of the explained number on the way, as a share
                of its fall from the whole source to none: low if the method knows what matters (Petsiuk et al. 2018)
    insertion   they are put back into an empty source, the most important first: high
    occlusion   rank correlation with what taking out one token at a time loses, exactly, mean over prompts
    recovery    in compiled programs: how often the true word comes first; ties count as drawn by lot

Areas are ratios of means over prompts, since single falls may be near 0. Controls: random orders of the same tokens, and the same
method on an untrained twin, judged on the trained model: what it knows from tokens and positions alone (Adebayo et al. 2018).
Tokens are taken out by embedding padding in their places, as in occlusion, so occlusion is judged by its own means: that it
agrees with itself says nothing, and its areas are a bound more than a rival.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float, Int
from torch import Tensor

from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.report.framed import Framed
from interp.sources.methods import METHODS, attribute_sources
from interp.sources.question import Question, occlusion, without
from interp.statistics import Interval, bootstrap_mean, bootstrap_ratio, falling_order, spearman

RANDOM = "random order"
TWIN = "untrained twin"

_GRID = np.linspace(0.0, 1.0, 11)


@dataclass(frozen=True, slots=True, eq=False)
class Criteria:
    """What one method reached.

    Attributes:
        deletion: mean share of the explained number while tokens are taken out; low is good.
        insertion: the same while they are put back; high is good.
        agreement: rank correlation with exact occlusion.
        answered: share of prompts for which the method has an answer.
        curves: share of tokens taken out or put back in tenths -> share of the explained number, [deletion_insertion share].
    """

    deletion: Interval
    insertion: Interval
    agreement: Interval
    answered: float
    curves: Float[np.ndarray, "2 share"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Judgement(Framed):
    """All methods on the same prompts.

    Attributes:
        model: method, or `random order` -> its criteria.
        twin: method -> the same, attributed by an untrained twin and judged on the model.
        n_prompts: prompts.
    """

    model: Mapping[str, Criteria]
    twin: Mapping[str, Criteria] = field(default_factory=dict)
    n_prompts: int = 0

    def to_frame(self) -> pd.DataFrame:
        """One row a method, random orders last, then the twin's: points with the ends of 95 % intervals."""
        rows = []
        for name, one in self._named():
            cells: dict[str, object] = {"method": name}
            for label, interval in (
                ("deletion", one.deletion),
                ("insertion", one.insertion),
                ("occlusion", one.agreement),
            ):
                ends = {label: interval.point, f"{label} low": interval.low, f"{label} high": interval.high}
                cells |= {key: float(value) for key, value in ends.items()}
            rows.append(cells | {"answered": one.answered})
        return pd.DataFrame(rows)

    def curves(self) -> pd.DataFrame:
        """One row a method, curve and share of tokens, the twin's last: the share of the explained number that is left."""
        rows = [
            (name, curve, share, value)
            for name, one in self._named()
            for curve, values in zip(("deletion", "insertion"), one.curves, strict=True)
            for share, value in zip(_GRID, values, strict=True)
        ]
        return pd.DataFrame(rows, columns=["method", "curve", "share of tokens", "share of the difference"])

    def _named(self) -> list[tuple[str, Criteria]]:
        return [*self.model.items(), *((f"{name}, {TWIN}", one) for name, one in self.twin.items())]


def judge_methods(
    model: HookedEncoderDecoder,
    questions: Sequence[Question],
    methods: Sequence[str] | None = None,
    draws: int = 20,
    seed: int = 0,
    twin: bool = True,
) -> Judgement:
    """How good methods are at single rows of prompts.

    Args:
        model: the model.
        questions: of one row each, with at least three source tokens.
        methods: names of methods; all by default.
        draws: random orders of every prompt.
        seed: of random orders, intervals and the twin.
        twin: whether the methods are judged on an untrained twin too.

    Raises:
        InputError: if there is no question, or one has several rows or too few tokens.
    """
    if not questions or any(len(one.rows) != 1 or one.batch.input_ids.shape[1] < 3 for one in questions):
        raise InputError("Methods are judged on questions of one row and at least three source tokens each; give some.")
    chosen = tuple(METHODS) if methods is None else tuple(methods)
    generator = np.random.default_rng(seed)
    exact = [occlusion(model, one)[0].cpu().numpy() for one in questions]
    orders = [[generator.permutation(len(one)) for _ in range(draws)] for one in exact]
    random = [
        _Trial(
            np.mean([_walk(model, one, order) for order in some], axis=0),
            float(np.mean([spearman(-np.argsort(order).astype(float), losses).statistic for order in some])),
        )
        for one, losses, some in zip(questions, exact, orders, strict=True)
    ]
    judged = {name: _criteria(trials, seed) for name, trials in _trials(model, model, questions, exact, chosen).items()}
    untrained: Mapping[str, Criteria] = {}
    if twin:
        trials = _trials(untrained_twin(model, seed), model, questions, exact, chosen)
        untrained = {name: _criteria(some, seed) for name, some in trials.items()}
    return Judgement(judged | {RANDOM: _criteria(random, seed)}, untrained, len(questions))


@dataclass(frozen=True, slots=True, eq=False)
class _Trial:
    """One method on one prompt: the number while tokens go and while they come, and the rank correlation with occlusion."""

    values: Float[np.ndarray, "2 step"]
    agreement: float


def _trials(
    attributing: HookedEncoderDecoder,
    judging: HookedEncoderDecoder,
    questions: Sequence[Question],
    exact: Sequence[np.ndarray],
    methods: Sequence[str],
) -> dict[str, list[_Trial | None]]:
    """Method -> a trial for every question, None where it has no answer."""
    found: dict[str, list[_Trial | None]] = {name: [] for name in methods}
    for question, losses in zip(questions, exact, strict=True):
        for name, one in attribute_sources(attributing, question, methods).items():
            values = one.found.source[0].detach().float().cpu().numpy()
            if np.isnan(values).any():
                found[name].append(None)
                continue
            walk = _walk(judging, question, falling_order(values))
            found[name].append(_Trial(walk, spearman(values, losses).statistic))
    return found


def _walk(
    model: HookedEncoderDecoder, question: Question, order: Int[np.ndarray, " source"]
) -> Float[np.ndarray, "2 step"]:
    """The explained number while tokens are taken out in an order, and while they are put back in it."""
    place = torch.empty(len(order), dtype=torch.long)
    place[torch.from_numpy(np.ascontiguousarray(order))] = torch.arange(len(order))
    gone: Tensor = place[None] < torch.arange(len(order) + 1)[:, None]
    kept = torch.cat([~gone, gone]).to(question.rows.device)
    values = without(model, question, kept)[:, 0].cpu().numpy().astype(np.float64)
    return np.stack(np.split(values, 2))


def _criteria(trials: Sequence[_Trial | None], seed: int) -> Criteria:
    known = [one for one in trials if one is not None]
    if not known:
        nothing = Interval(*(np.array(np.nan),) * 3, np.array(0))
        return Criteria(nothing, nothing, nothing, 0.0, np.full((2, len(_GRID)), np.nan))
    # A prompt's number falls from the whole source, the first step of deletion, to none, the first of insertion.
    whole, empty = (np.array([one.values[curve, 0] for one in known]) for curve in range(2))
    areas, grids = [], []
    for curve in range(2):
        walks = [one.values[curve] for one in known]
        areas.append(np.array([((walk[1:] + walk[:-1]) / 2).mean() for walk in walks]) - empty)
        shares = [np.interp(_GRID, np.linspace(0, 1, len(walk)), walk) for walk in walks]
        grids.append((np.mean(shares, axis=0) - empty.mean()) / (whole - empty).mean())
    deletion, insertion = (bootstrap_ratio(area, whole - empty, seed) for area in areas)
    agreement = bootstrap_mean(np.array([one.agreement for one in known]), seed)
    return Criteria(deletion, insertion, agreement, len(known) / len(trials), np.stack(grids))
