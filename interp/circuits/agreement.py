"""Do scores agree with exact patching? On a sample of edges, as many of every kind of receiver.

An edge has two exact effects, which need not be alike: corrupted in a run that is clean otherwise, and restored in a run that is
corrupted otherwise. The gradient of the clean run, plain EAP, estimates the first. EAP-IG averages gradients on the way from one
run to the other, so it estimates neither but what lies between; it is compared with the first, and with the mean of both.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from jaxtyping import Float
from scipy.stats import rankdata
from torch import Tensor

from interp.circuits.edge_attribution import EdgeScores
from interp.circuits.edge_patching import patch_edges
from interp.circuits.graph import Graph
from interp.circuits.pairs import batch_of, in_batches
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.minimal_pairs import PromptPair
from interp.statistics import merge_ties

_RESAMPLES = 1000


@dataclass(frozen=True, slots=True)
class RankCorrelation:
    """Spearman's correlation of means over pairs.

    Attributes:
        point: the correlation.
        low: lower end of its 95 % interval over resampled pairs.
        high: upper end.
    """

    point: float
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Agreement:
    """How scores agree with exact patching on a sample of edges.

    Attributes:
        numbers: the edges, by their numbers in the graph.
        exact: what corrupting each of them does to the clean run, of every pair.
        restored: what the corrupted run lacks of the metric for want of each of them; NaN of KL divergence.
        rank: of the scores with `exact`.
        both: of the scores with the mean of `exact` and `restored`.
        error: Euclidean distance of the scores from `exact`, over the size of that, means over pairs.
    """

    numbers: tuple[int, ...]
    exact: Float[Tensor, "pair sampled"]
    restored: Float[Tensor, "pair sampled"]
    rank: RankCorrelation
    both: RankCorrelation
    error: float

    @property
    def edges(self) -> int:
        """How many edges."""
        return len(self.numbers)


def sampled_edges(graph: Graph, count: int, seed: int) -> list[int]:
    """Edges drawn so that every kind of receiver (q, k, v, MLP, logits) has as many, as far as it has them.

    Args:
        graph: the graph.
        count: how many in all.
        seed: of the draw.
    """
    generator, by_slot = torch.Generator().manual_seed(seed), dict[str, list[int]]()
    slots = [port.slot for port in graph.ports for _ in port.receivers]
    for number, receiver in enumerate(graph.places[:, 0].tolist()):
        by_slot.setdefault(slots[receiver], []).append(number)
    shuffled = [
        [numbers[place] for place in torch.randperm(len(numbers), generator=generator).tolist()]
        for numbers in by_slot.values()
    ]
    found: list[int] = []
    for place in range(max(map(len, shuffled))):
        found += [numbers[place] for numbers in shuffled if place < len(numbers)]
    return sorted(found[:count])


def agreement_of(
    model: HookedEncoderDecoder,
    pairs: Sequence[PromptPair],
    scores: EdgeScores,
    sample: int,
    seed: int = 0,
    batch_size: int = 16,
    swapped: Collection[PromptPair] = (),
) -> Agreement:
    """Some edges patched exactly, beside their scores.

    Args:
        model: the model.
        pairs: the pairs of the scores.
        scores: of all edges.
        sample: edges that are patched.
        seed: of the sample and of resampled pairs.
        batch_size: pairs that run at once.
        swapped: see `batch_of`.
    """
    numbers = sampled_edges(scores.graph, sample, seed)
    edges = [scores.graph.edges[number] for number in numbers]
    batches = [batch_of(model, some, swapped) for some in in_batches(pairs, batch_size)]
    exact = torch.cat([patch_edges(model, batch, edges, scores.metric) for batch in batches]).double().cpu()
    restored = torch.full_like(exact, torch.nan)
    if scores.metric != "kl":  # which is of one run's words, so that there is no other way round
        turned = [replace(batch, clean=batch.corrupted, corrupted=batch.clean) for batch in batches]
        restored = -torch.cat([patch_edges(model, batch, edges, scores.metric) for batch in turned]).double().cpu()
    found = scores.values[:, numbers].double().cpu()
    error = float((found.mean(0) - exact.mean(0)).norm() / exact.mean(0).norm())
    both = (exact + restored) / 2
    return Agreement(tuple(numbers), exact, restored, _rank(found, exact, seed), _rank(found, both, seed), error)


def _rank(found: Tensor, other: Tensor, seed: int) -> RankCorrelation:
    if other.isnan().any():
        return RankCorrelation(float("nan"), float("nan"), float("nan"))
    values, generator = (found.numpy(), other.numpy()), np.random.default_rng(seed)
    pairs = len(found)
    drawn = generator.multinomial(pairs, np.full(pairs, 1 / pairs), size=_RESAMPLES)
    weights = np.concatenate([np.ones((1, pairs)), drawn]) / pairs
    ranks = [rankdata(merge_ties(weights @ side), axis=1) for side in values]
    centered = [some - some.mean(1, keepdims=True) for some in ranks]
    with np.errstate(invalid="ignore"):  # where all ranks are equal there is no correlation
        one, second = (some / np.linalg.norm(some, axis=1, keepdims=True) for some in centered)
    point, *draws = (one * second).sum(1)
    known = [value for value in draws if not np.isnan(value)] or [np.nan]
    low, high = np.quantile(known, [0.025, 0.975])
    return RankCorrelation(float(point), float(low), float(high))
