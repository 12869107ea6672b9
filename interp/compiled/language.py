"""A small language of programs for encoder-decoders: variables at positions, in the spirit of RASP (Weiss et al. 2021).

A variable has one of finitely many values at every position of a stack. There are four kinds:

    Token    the token itself
    Attend   what one finds where queries match keys, or at an offset (self- and cross-attention)
    Table    a value for every value of another variable, or for every pair of values of two (feed-forward)
    Level    a value for how much there is of another variable's value, such as the share of keys that have it (feed-forward)

Matches add up, so that a weak match is a default; a key that nothing prefers is as good as any other, and what is then found is a
mixture. Programs are run by hand in `ideal` and compiled to T5 in `weights`.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from interp.axes import AttentionKind, Stack

PAD, EOS, UNKNOWN = "<pad>", "</s>", "<unk>"

ANYTHING = ""
"""The value of a query that asks the same at every position."""


@dataclass(frozen=True, eq=False)
class Variable:
    """A variable of one stack.

    Attributes:
        name: its name in the program.
        stack: where it lives.
        values: what it can be.
    """

    name: str
    stack: Stack
    values: tuple[str, ...]


@dataclass(frozen=True, eq=False)
class Token(Variable):
    """The token at every position."""


@dataclass(frozen=True, eq=False)
class Match:
    """What makes a query like a key: strengths of pairs of their values, in units of the program's sharpness.

    Attributes:
        query: the variable at the attending position; None asks `ANYTHING` everywhere.
        key: the variable at the attended position.
        strengths: (query's value, key's value) -> strength.
    """

    query: Variable | None
    key: Variable
    strengths: Mapping[tuple[str, str], float]


@dataclass(frozen=True, eq=False)
class Attend(Variable):
    """What is found at the keys that match best.

    Attributes:
        kind: of the attention.
        value: the variable that is read there.
        relabel: value's value -> own value; what is not named is not read.
        matches: what decides, besides offsets.
        offsets: key's position less query's -> strength, as of matches; up to 7 tokens either way.
        heads: over how many heads the work is split, each writing its share.
    """

    kind: AttentionKind
    value: Variable
    relabel: Mapping[str, str]
    matches: tuple[Match, ...] = ()
    offsets: Mapping[int, float] = field(default_factory=dict)
    heads: int = 1


@dataclass(frozen=True, eq=False)
class Table(Variable):
    """A value for every value of one variable, or pair of values of two.

    Attributes:
        inputs: one or two variables of the same stack.
        entries: their values -> own value; what is not named gives nothing.
    """

    inputs: tuple[Variable, ...]
    entries: Mapping[tuple[str, ...], str]


@dataclass(frozen=True, eq=False)
class Level(Variable):
    """A value for how much there is of another variable's value.

    Attributes:
        input: the other variable.
        of: which of its values is measured.
        levels: own value -> amount, between 0 and 1; amounts in between count as the nearest, half of the least as nothing.
    """

    input: Variable
    of: str
    levels: Mapping[str, float]


def shift(name: str, variable: Variable, offset: int, heads: int = 1) -> Attend:
    """The value that a variable has so many positions further on, in the same stack.

    Args:
        name: of the new variable.
        variable: the variable.
        offset: -1 for the position before.
        heads: over how many heads it is split.
    """
    same = dict(zip(variable.values, variable.values, strict=True))
    kind: AttentionKind = variable.stack
    return Attend(name, variable.stack, variable.values, kind, variable, same, offsets={offset: 1.0}, heads=heads)


def look_up(
    name: str, kind: AttentionKind, value: Variable, relabel: Mapping[str, str], *matches: Match, heads: int = 1
) -> Attend:
    """What a variable is where the matches are best.

    Args:
        name: of the new variable.
        kind: of the attention.
        value: the variable that is read.
        relabel: its value -> the new one.
        matches: what decides.
        heads: over how many heads it is split.
    """
    own = tuple(dict.fromkeys(relabel.values()))
    stack: Stack = "encoder" if kind == "encoder" else "decoder"
    return Attend(name, stack, own, kind, value, relabel, matches, heads=heads)


def table(name: str, inputs: tuple[Variable, ...], entries: Mapping[tuple[str, ...], str]) -> Table:
    """A table over one or two variables.

    Args:
        name: of the new variable.
        inputs: the variables.
        entries: their values -> the new one.
    """
    return Table(name, inputs[0].stack, tuple(dict.fromkeys(entries.values())), inputs, entries)


def equal(values: Iterable[str]) -> dict[tuple[str, str], float]:
    """The strengths of a match by equality, one pair for each of the values.

    Args:
        values: which values count.
    """
    return {(value, value): 1.0 for value in values}


def each(queries: Iterable[str], keys: Iterable[str], strength: float = 1.0) -> dict[tuple[str, str], float]:
    """The strengths of a match of every query of a set with every key of another.

    Args:
        queries: values of the query; `(ANYTHING,)` for a query that asks the same everywhere.
        keys: values of the key.
        strength: of every pair.
    """
    keys = tuple(keys)
    return {(query, key): strength for query in queries for key in keys}
