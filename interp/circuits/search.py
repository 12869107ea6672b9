"""From minimal pairs to a circuit with its evidence: scored on one half of the pairs, judged on the other.

pairs     that the model can tell apart: the answer leads by `LEAST_LEAD` on the clean side, and by twice that less on the
corrupted one
scores    on the first, third, ... pair; the circuit is the smallest, greedily grown, that keeps enough of the metric there
judged    on the other pairs: what the circuit keeps, and what random circuits of its size and of its degrees keep
exact     a sample of edges, as many of every kind of receiver, patched one by one: how well do scores rank and measure them
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from interp.circuits.circuit import Circuit
from interp.circuits.edge_attribution import EdgeScores, score_edges
from interp.circuits.edge_patching import patch_edges
from interp.circuits.evaluation import Curve, Judge, faithfulness_curve, smallest_circuit
from interp.circuits.graph import Graph
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.minimal_pairs import PromptPair, pair_batch
from interp.patching.partial_forward import record_pass
from interp.statistics.ranks import spearman

LEAST_LEAD = 0.5
"""Logits by which the answer must lead on the clean side."""

_RESAMPLES = 1000
_AT_ONCE = 16


@dataclass(frozen=True, eq=False)
class Agreement:
    """How scores agree with exact patching on a sample of edges.

    Attributes:
        edges: how many.
        rank: Spearman's correlation of the means over pairs.
        low: lower end of its 95 % interval over resampled pairs.
        high: upper end.
        error: Euclidean distance of the scores from the exact effects, over the size of these.
    """

    edges: int
    rank: float
    low: float
    high: float
    error: float


@dataclass(frozen=True, eq=False)
class CircuitSearch:
    """A circuit, and how good it is.

    Attributes:
        scores: of all edges, on the pairs that the circuit was found on.
        circuit: the circuit.
        kept: its faithfulness on these pairs.
        judged: its faithfulness on the other pairs.
        same_size: faithfulness of random circuits of its size, on the other pairs.
        same_degree: of random circuits of its degrees.
        signed: faithfulness over size, edges that harm the answer last.
        absolute: the same, edges by size of their scores alone.
        agreement: with exact patching; None where no edge was sampled.
        found_on: the pairs that it was found on.
        judged_on: the other pairs; the same ones where there are fewer than four.
        refused: pair's id -> why it was left out.
    """

    scores: EdgeScores
    circuit: Circuit
    kept: float
    judged: float
    same_size: Float[Tensor, " draw"]
    same_degree: Float[Tensor, " draw"]
    signed: Curve
    absolute: Curve
    agreement: Agreement | None
    found_on: tuple[PromptPair, ...]
    judged_on: tuple[PromptPair, ...]
    refused: dict[str, str]


def usable_pairs(
    model: HookedEncoderDecoder, pairs: Sequence[PromptPair]
) -> tuple[tuple[PromptPair, ...], dict[str, str]]:
    """The pairs whose corruption costs the answer its lead, and id -> why not, of the others.

    Args:
        model: the model.
        pairs: candidates.
    """
    comparable, usable, refused = [], [], {}
    for pair in pairs:
        try:
            pair_batch(model, [pair])
        except InputError as error:
            refused[pair.id] = str(error)
        else:
            comparable.append(pair)
    for some in _batches(comparable, _AT_ONCE):
        batch = pair_batch(model, some)
        sides = [
            batch.difference(model, record_pass(model, side, (), batch.rows).outputs)
            for side in (batch.clean, batch.corrupted)
        ]
        for pair, clean, corrupted in zip(some, *(side.tolist() for side in sides), strict=True):
            if clean > LEAST_LEAD and clean - corrupted > 2 * LEAST_LEAD:
                usable.append(pair)
            else:
                refused[pair.id] = (
                    f"Pair {pair.id!r} does not turn on the corruption: the answer leads by {clean:+.2f} logits on the clean and "
                    f"{corrupted:+.2f} on the corrupted side; it must lead by {LEAST_LEAD:g}, and lose {2 * LEAST_LEAD:g}."
                )
    return tuple(usable), refused


def _batches(pairs: Sequence[PromptPair], size: int) -> Iterator[Sequence[PromptPair]]:
    return (pairs[at : at + size] for at in range(0, len(pairs), size))


def score_in_batches(
    model: HookedEncoderDecoder,
    pairs: Sequence[PromptPair],
    method: str = "eap-ig",
    metric: str = "logit-difference",
    batch_size: int = 16,
) -> EdgeScores:
    """Scores of all edges, for as many pairs as there are.

    Args:
        model: the model.
        pairs: the pairs.
        method: see `score_edges`.
        metric: see `Metric`.
        batch_size: pairs that run at once.
    """
    parts = [score_edges(model, pair_batch(model, some), method, metric) for some in _batches(pairs, batch_size)]
    first = max(parts, key=lambda part: part.steps)
    change = max(part.change for part in parts)
    return EdgeScores(
        first.graph, torch.cat([part.values for part in parts]), first.method, first.steps, change, first.metric
    )


def find_circuit(
    model: HookedEncoderDecoder,
    pairs: Sequence[PromptPair],
    method: str = "eap-ig",
    metric: str = "logit-difference",
    keeps: float = 0.9,
    sample: int = 300,
    draws: int = 100,
    seed: int = 0,
    batch_size: int = 16,
) -> CircuitSearch:
    """The smallest circuit that keeps enough of an answer, with its evidence.

    Args:
        model: the model.
        pairs: candidates, see `usable_pairs`.
        method: see `score_edges`.
        metric: see `Metric`.
        keeps: faithfulness that is enough.
        sample: edges that are patched exactly; 0 for none. There are none where the method is exact itself.
        draws: random circuits of each kind.
        seed: of samples and random circuits.
        batch_size: pairs scored at once.

    Raises:
        InputError: if no pair is of use.
    """
    usable, refused = usable_pairs(model, pairs)
    if not usable:
        reason = next(iter(refused.values()), "There are none.")
        raise InputError(f"None of {len(pairs)} pairs is of use for this model. {reason}")
    found_on, judged_on = (usable[::2], usable[1::2]) if len(usable) >= 4 else (usable, usable)
    scores = score_in_batches(model, found_on, method, metric, batch_size)
    finder, judge = (Judge.of(model, pair_batch(model, half), metric) for half in (found_on, judged_on))
    circuit = smallest_circuit(finder, scores, keeps)
    exact = sample and method != "exact"
    return CircuitSearch(
        scores=scores,
        circuit=circuit,
        kept=finder.faithfulness(circuit),
        judged=judge.faithfulness(circuit),
        same_size=judge.null(circuit, draws, seed, "size"),
        same_degree=judge.null(circuit, draws, seed, "degree"),
        signed=faithfulness_curve(judge, scores, absolute=False),
        absolute=faithfulness_curve(judge, scores),
        agreement=_agreement(model, found_on, scores, sample, seed, batch_size) if exact else None,
        found_on=found_on,
        judged_on=judged_on,
        refused=refused,
    )


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


def _agreement(
    model: HookedEncoderDecoder,
    pairs: Sequence[PromptPair],
    scores: EdgeScores,
    sample: int,
    seed: int,
    batch_size: int,
) -> Agreement:
    numbers = sampled_edges(scores.graph, sample, seed)
    edges = [scores.graph.edges[number] for number in numbers]
    parts = [patch_edges(model, pair_batch(model, some), edges, scores.metric) for some in _batches(pairs, batch_size)]
    exact = torch.cat(parts).double().cpu().numpy()
    found = scores.values[:, numbers].double().cpu().numpy()
    generator = np.random.default_rng(seed)

    def rank(rows: np.ndarray) -> float:
        return spearman(found[rows].mean(0), exact[rows].mean(0)).statistic

    draws = [rank(generator.integers(len(exact), size=len(exact))) for _ in range(_RESAMPLES)]
    low, high = np.nanquantile(draws, [0.025, 0.975])
    error = np.linalg.norm(found.mean(0) - exact.mean(0)) / np.linalg.norm(exact.mean(0))
    return Agreement(len(numbers), rank(np.arange(len(exact))), float(low), float(high), float(error))
