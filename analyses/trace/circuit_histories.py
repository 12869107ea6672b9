"""When does a circuit come to be? Its numbers over the moments of a run, and since when it is the last moment's.

An answer comes to be at the first moment from which on it always turns on the corruption, a circuit at the first from which on
the last moment's always keeps enough of it, and an edge at the first from which on it is in every moment's own circuit.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float

from analyses.circuits.settings import CircuitSettings
from analyses.circuits.summary import NoCircuit
from analyses.core.contract import Arrays
from analyses.trace.circuit_following import Following
from interp.circuits import Circuit, Edge, random_circuit
from interp.patching import PromptPair
from interp.statistics import Interval, bootstrap_mean, bootstrap_ratio, falling_order, spearman
from interp.statistics.change_points import Changes, changes_of

_CHANCE_DRAWS = 100


@dataclass(frozen=True, slots=True, eq=False)
class CircuitHistory:
    """A circuit over the moments of the main run.

    Attributes:
        settings: as they were used.
        pairs: the pairs, the same at every moment.
        last: the last moment's circuit.
        edges: its edges, the largest score first.
        since: of each, the moment from which on it is in every moment's own circuit; None where it is not in the last one's own,
            which is found on other pairs.
        clean: the answer's lead on the clean side.
        corrupted: on the corrupted side.
        answers: at which moments the answers turn on the corruption.
        needed: edges of the smallest circuit that keeps enough.
        own: what each moment's own circuit of that size keeps.
        kept: what the last moment's circuit keeps.
        random: what random circuits of its size keep.
        overlap: of the own circuit with the last one (Jaccard).
        by_chance: of random connected circuits of its size with it.
        rank: Spearman's correlation of scores with the last moment's on the other pairs.
        changes: where the answer's fall by the corruption changes.
    """

    settings: CircuitSettings
    pairs: tuple[PromptPair, ...]
    last: Circuit
    edges: tuple[Edge, ...]
    since: tuple[int | None, ...]
    clean: Interval
    corrupted: Interval
    answers: Bool[np.ndarray, " moment"]
    needed: Float[np.ndarray, " moment"]
    own: Interval
    kept: Interval
    random: Float[np.ndarray, "moment draw"]
    overlap: Float[np.ndarray, " moment"]
    by_chance: float
    rank: Float[np.ndarray, " moment"]
    changes: Changes

    @property
    def answered(self) -> int | None:
        """The moment from which on the answers turn on the corruption."""
        return since(self.answers)

    @property
    def born(self) -> int | None:
        """The moment from which on the last moment's circuit keeps enough."""
        return since(np.nan_to_num(self.kept.point, nan=-np.inf) >= self.settings.keeps)

    @property
    def sure(self) -> int | None:
        """The moment from which on the whole interval of what it keeps is enough."""
        return since(np.nan_to_num(self.kept.low, nan=-np.inf) >= self.settings.keeps)


CircuitsFound = CircuitHistory | NoCircuit
"""A history, or why there is none."""


def circuit_history(
    following: Following | NoCircuit | None, moments: Sequence[Arrays], seed: int
) -> CircuitsFound | None:
    """The history of one run; why there is none, or None, where nothing was followed.

    Args:
        following: what was asked of every moment, or why nothing was.
        moments: what was found, in the order of the steps.
        seed: of resampling.
    """
    if not isinstance(following, Following):
        return following
    last = following.last
    own = np.stack([one["own"] for one in moments]).astype(bool)
    numbers = np.flatnonzero(last.kept.numpy())
    numbers = numbers[falling_order(np.abs(following.worth[numbers]))]
    clean, corrupted = (np.stack([one[name] for one in moments], -1) for name in ("clean", "corrupted"))
    return CircuitHistory(
        settings=following.settings,
        pairs=following.pairs,
        last=last,
        edges=tuple(last.graph.edges[number] for number in numbers.tolist()),
        since=tuple(since(own[:, number]) for number in numbers),
        clean=bootstrap_mean(clean, seed, 2000),
        corrupted=bootstrap_mean(corrupted, seed, 2000),
        answers=np.array([bool(one["answers"][0]) for one in moments]),
        needed=np.array([float(one["needed"][0]) for one in moments]),
        own=_shares(moments, "own", seed),
        kept=_shares(moments, "last", seed),
        random=np.stack([one["random"] for one in moments]),
        overlap=np.array([last.overlap(Circuit(last.graph, torch.from_numpy(mask))) for mask in own]),
        by_chance=_chance(last, seed),
        rank=np.array([spearman(one["worth"], following.worth).statistic for one in moments]),
        changes=changes_of(clean - corrupted, seed),
    )


def since(has: Bool[np.ndarray, " moment"]) -> int | None:
    """The moment from which on something always holds; None where it does not hold at the last.

    Args:
        has: at which moments it holds.
    """
    if not has[-1]:
        return None
    return 0 if has.all() else int(len(has) - np.argmin(has[::-1]))


def _shares(moments: Sequence[Arrays], name: str, seed: int) -> Interval:
    """What a circuit keeps at every moment, a ratio of means over pairs; NaN where there is nothing to keep."""
    kept, whole = (np.stack([one[f"{name}_{part}"] for one in moments], -1) for part in ("kept", "whole"))
    return bootstrap_ratio(kept, whole, seed, 2000)


def _chance(circuit: Circuit, seed: int) -> float:
    generator = torch.Generator().manual_seed(seed)
    return float(np.mean([circuit.overlap(random_circuit(circuit, generator)) for _ in range(_CHANCE_DRAWS)]))
