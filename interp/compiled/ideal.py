"""A program run by hand: every node's write as numbers between 0 and 1, without a model, norms or buckets.

What compiled models are held to, and where the truth about edges comes from: an edge is patched by giving one receiver the
corrupted write of one writer. Attention is a softmax over sharpness times matches, tables and levels are those of `weights`.
"""

from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from interp.axes import Stack
from interp.circuits.graph import LOGITS, Edge
from interp.compiled.language import Attend, Level, Match, Table, Token, Variable
from interp.compiled.plan import Plan
from interp.compiled.weights import steps_of

Values = NDArray[np.float64]
"""[pos value]"""


@dataclass(frozen=True, eq=False)
class Run:
    """One run of a program.

    Attributes:
        written: (variable, node) -> what the node writes of it.
        output: how much of every token is written at every decoder row, [row vocab].
        patterns: head -> where it looks, [query key].
    """

    written: Mapping[tuple[Variable, str], Values]
    output: Values
    patterns: Mapping[str, Values]


def run(
    plan: Plan,
    source: Sequence[str],
    target: Sequence[str],
    corrupted: Run | None = None,
    patched: AbstractSet[Edge] = frozenset(),
) -> Run:
    """One run of a program on tokens.

    Args:
        plan: the program and its places.
        source: tokens of the source, with its end.
        target: tokens that the decoder reads, its start first.
        corrupted: the run whose writes go along patched edges; of inputs of the same lengths.
        patched: the edges.
    """
    written: dict[tuple[Variable, str], Values] = {}
    patterns: dict[str, Values] = {}

    def read(variable: Variable, receiver: str) -> Values:
        parts = []
        for node in plan.places[variable].nodes:
            taken = written if corrupted is None or Edge(node, receiver) not in patched else corrupted.written
            parts.append(taken[variable, node])
        total: Values = np.sum(parts, axis=0)
        return total

    def length(stack: Stack) -> int:
        return len(source if stack == "encoder" else target)

    for variable, place in plan.places.items():
        for node in place.nodes:
            if isinstance(variable, Token):
                tokens = source if variable.stack == "encoder" else target
                written[variable, node] = _one_hot(tokens, variable.values)
            elif isinstance(variable, Attend):
                keys = length("encoder" if variable.kind == "cross" else variable.stack)
                scores = np.zeros((length(variable.stack), keys))
                for match in variable.matches:
                    strength = _strengths(match)
                    asked = np.ones((len(scores), 1)) if match.query is None else read(match.query, f"{node}.q")
                    scores += asked @ strength @ read(match.key, f"{node}.k").T
                patterns[node] = _pattern(variable, scores, plan.program.sharpness)
                found = patterns[node] @ read(variable.value, f"{node}.v")
                written[variable, node] = found @ _relabeling(variable) / len(place.nodes)
            elif isinstance(variable, Table):
                written[variable, node] = _entries(variable, [read(one, node) for one in variable.inputs])
            elif isinstance(variable, Level):
                written[variable, node] = _levels(variable, read(variable.input, node))
    vocabulary = plan.program.vocabulary
    output = np.zeros((len(target), len(vocabulary)))
    for variable in plan.program.outputs:
        for value, amount in zip(variable.values, read(variable, LOGITS).T, strict=True):
            if value in vocabulary:
                output[:, vocabulary.index(value)] += amount
    return Run(written, output, patterns)


def _one_hot(tokens: Sequence[str], values: tuple[str, ...]) -> Values:
    rows: Values = np.eye(len(values))[[values.index(token) for token in tokens]]
    return rows


@cache
def _strengths(match: Match) -> Values:
    matrix = np.zeros((1 if match.query is None else len(match.query.values), len(match.key.values)))
    for (asked, found), strength in match.strengths.items():
        matrix[0 if match.query is None else match.query.values.index(asked), match.key.values.index(found)] = strength
    return matrix


def _pattern(variable: Attend, matches: Values, sharpness: float) -> Values:
    distance = np.arange(matches.shape[1]) - np.arange(len(matches))[:, None]
    scores = matches.copy()
    for offset, strength in variable.offsets.items():
        scores[distance == offset] += strength
    if variable.kind == "decoder":
        scores[distance > 0] = -np.inf
    weights = np.exp(sharpness * (scores - scores.max(1, keepdims=True)))
    pattern: Values = weights / weights.sum(1, keepdims=True)
    return pattern


@cache
def _relabeling(variable: Attend) -> Values:
    matrix = np.zeros((len(variable.value.values), len(variable.values)))
    for value, own in variable.relabel.items():
        matrix[variable.value.values.index(value), variable.values.index(own)] = 1.0
    return matrix


@cache
def _neurons(variable: Table) -> tuple[list[list[int]], Values]:
    """For each input the value that every neuron reads, and what every neuron writes."""
    entries = list(variable.entries.items())
    read = [[one.values.index(values[place]) for values, _ in entries] for place, one in enumerate(variable.inputs)]
    return read, np.eye(len(variable.values))[[variable.values.index(own) for _, own in entries]]


def _entries(variable: Table, inputs: list[Values]) -> Values:
    read, writes = _neurons(variable)
    total: Values = np.sum([amount[:, places] for amount, places in zip(inputs, read, strict=True)], axis=0)
    return (total if len(inputs) == 1 else np.maximum(2 * total - 3, 0)) @ writes


def _levels(variable: Level, amounts: Values) -> Values:
    found, amount = np.zeros((len(amounts), len(variable.values))), amounts[:, variable.input.values.index(variable.of)]
    for own, below, threshold, width in steps_of(variable):
        share = np.clip((amount - threshold) / width + 0.5, 0, 1)
        found[:, variable.values.index(own)] += share
        if below is not None:
            found[:, variable.values.index(below)] -= share
    return found
