"""Do runs of other seeds end with the same heads? Heads are matched by what they look at, not by their index.

D[i, j] is the mean Jensen-Shannon divergence (bits, from 0 to 1; Lin 1991) of the rows of head i of one run and head j of
another, on the same texts and targets; the matching with the smallest sum is found exactly (Kuhn 1955; scipy's
linear_sum_assignment). What a T5 may exchange without a change is one permutation of head indices for the whole of a self-
attention stack, whose layers share their position biases by index, and one for every layer of cross-attention: so are they
matched.

A matching lowers the cost of unrelated heads too, so it is found on one half of the texts and judged on the other, both ways.
Beside it stand the mean over all pairings, which a matching without use would have, and the same for the first moment, at which
nothing is learned. Roles of matched heads are compared with those of random pairings of the same heads.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float
from scipy.optimize import linear_sum_assignment
from scipy.special import rel_entr

from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import HeadId

Patterns = Float[np.ndarray, "prompt layer head query key"]

_SHUFFLES = 999


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """How alike the heads of two runs are at one moment.

    Attributes:
        matched: kind -> divergence of matched heads on texts that did not match them, in bits.
        unmatched: kind -> mean over all pairings.
        pairs: every head of the first run with the head of the second that all texts match it with.
    """

    matched: Mapping[AttentionKind, float]
    unmatched: Mapping[AttentionKind, float]
    pairs: tuple[tuple[HeadId, HeadId], ...]


@dataclass(frozen=True, slots=True)
class SameRoles:
    """How many matched heads have the same role.

    Attributes:
        same: matched heads with the same role.
        counted: matched heads of which at least one has a role.
        by_chance: mean of `same` over random pairings that the architecture allows.
        p_value: share of random pairings with as many.
    """

    same: int
    counted: int
    by_chance: float
    p_value: float


def agreement(
    first: Mapping[AttentionKind, Patterns],
    second: Mapping[AttentionKind, Patterns],
    rows: Mapping[AttentionKind, Bool[np.ndarray, "prompt query"]],
) -> Agreement:
    """The agreement of two runs.

    Args:
        first: kind -> attention weights of one run.
        second: the same of the other, on the same texts.
        rows: kind -> rows that count.
    """
    matched, unmatched, pairs = {}, {}, []
    for kind in ATTENTION_KINDS:
        costs = head_divergences(first[kind], second[kind], rows[kind])
        halves = [_blocks(kind, costs[half::2].mean(0)) for half in (0, 1)]
        crossed = [_cost(halves[1 - half], _match(halves[half])) for half in (0, 1)]
        matched[kind], unmatched[kind] = float(np.mean(crossed)), float(costs.mean())
        order = _match(_blocks(kind, costs.mean(0)))
        for layer in range(costs.shape[1]):
            for head, other in enumerate(order[layer if kind == "cross" else 0]):
                pairs.append((HeadId(kind, layer, head), HeadId(kind, layer, int(other))))
    return Agreement(matched, unmatched, tuple(pairs))


def head_divergences(
    first: Patterns, second: Patterns, rows: Bool[np.ndarray, "prompt query"]
) -> Float[np.ndarray, "prompt layer head other"]:
    """Jensen-Shannon divergence of every two heads of one layer, mean over the rows of a prompt, in bits (Lin 1991).

    Args:
        first: attention weights of one model.
        second: of the other.
        rows: rows that count.
    """
    count = np.maximum(rows.sum(1), 1)[:, None, None]
    columns = []
    for other in range(second.shape[2]):
        beside = second[:, :, other : other + 1]
        middle = (first + beside) / 2
        parts = (rel_entr(first, middle) + rel_entr(beside, middle)).sum(-1) / 2
        columns.append((parts * rows[:, None, None]).sum(-1) / count)
    return np.asarray(np.stack(columns, -1) / np.log(2.0))


def same_roles(
    pairs: Sequence[tuple[HeadId, HeadId]], first: Mapping[HeadId, str], second: Mapping[HeadId, str], seed: int
) -> SameRoles:
    """How many matched heads have the same role, beside random pairings.

    Args:
        pairs: matched heads.
        first: head -> role in one run, heads without one left out.
        second: the same of the other.
        seed: of random pairings.
    """
    counted = [(one, two) for one, two in pairs if one in first or two in second]
    same = sum(first.get(one) == second.get(two) for one, two in counted)
    rng = np.random.default_rng(seed)
    draws = [_random_agreement(pairs, first, second, rng) for _ in range(_SHUFFLES)]
    p_value = (1 + sum(draw >= same for draw in draws)) / (1 + _SHUFFLES)
    return SameRoles(same, len(counted), float(np.mean(draws)), float(p_value))


def _random_agreement(
    pairs: Sequence[tuple[HeadId, HeadId]],
    first: Mapping[HeadId, str],
    second: Mapping[HeadId, str],
    rng: np.random.Generator,
) -> int:
    orders: dict[tuple[AttentionKind, int], np.ndarray] = {}
    same = 0
    for one, _ in pairs:
        heads = 1 + max(head.head for head, _ in pairs if head.kind == one.kind)
        block = (one.kind, one.layer if one.kind == "cross" else 0)
        if block not in orders:
            orders[block] = rng.permutation(heads)
        other = HeadId(one.kind, one.layer, int(orders[block][one.head]))
        same += one in first and first[one] == second.get(other)
    return same


def _blocks(kind: AttentionKind, costs: Float[np.ndarray, "layer head other"]) -> Float[np.ndarray, "block head other"]:
    """What is matched at once: a layer of cross-attention, or the whole of a self-attention stack."""
    return costs if kind == "cross" else costs.mean(0, keepdims=True)


def _match(blocks: Float[np.ndarray, "block head other"]) -> np.ndarray:
    return np.stack([linear_sum_assignment(block)[1] for block in blocks])


def _cost(blocks: Float[np.ndarray, "block head other"], order: np.ndarray) -> float:
    return float(
        np.mean([block[np.arange(len(block)), chosen].mean() for block, chosen in zip(blocks, order, strict=True)])
    )
