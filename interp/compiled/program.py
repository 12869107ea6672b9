"""A program: what it computes, on which inputs, and with which constants it is compiled."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from interp.axes import Stack
from interp.compiled.language import EOS, PAD, UNKNOWN, Attend, Level, Table, Token, Variable


@dataclass(frozen=True, slots=True)
class Example:
    """One input of a program and what is right.

    Attributes:
        source: source text.
        target: target text, without its end.
        given: how many target tokens are given to the decoder and not judged.
        ended: whether the target ends there; the end is then judged too.
    """

    source: str
    target: str
    given: int = 0
    ended: bool = True


@dataclass(frozen=True, slots=True)
class Noise:
    """What a noisy version adds; every number is the deviation of normal weights.

    Attributes:
        heads: random heads in every attention layer.
        head_weights: of their matrices.
        all_weights: of all matrices but the embeddings.
        seed: of the draw.
    """

    heads: int = 2
    head_weights: float = 0.05
    all_weights: float = 0.01
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Program:
    """One program.

    Attributes:
        name: its name.
        task: what it does, in a sentence with an example.
        words: its vocabulary beside padding, end and unknown.
        outputs: variables of the decoder; those of their values that are tokens are written.
        examples: every input of its domain, and what is right.
        sharpness: difference of attention scores between a match and none, in nats.
        constant: size of the channel that is the same everywhere, beside which a variable's value is 1.
        margin: logits by which the compiled model's right token leads at least, in every judged row of every example.
        noise: None for a program and nothing else.
    """

    name: str
    task: str
    words: tuple[str, ...]
    outputs: tuple[Variable, ...]
    examples: Callable[[], Iterator[Example]]
    sharpness: float = 10.0
    constant: float = 64.0
    margin: float = 9.9
    noise: Noise | None = None

    @property
    def vocabulary(self) -> tuple[str, ...]:
        """All tokens, in the order of their ids."""
        return vocabulary(self.words)

    def variables(self) -> tuple[Variable, ...]:
        """All variables, each after those that it reads; the tokens of both stacks first."""
        found: dict[int, Variable] = {}
        tokens: dict[Stack, Variable] = {}

        def visit(variable: Variable) -> None:
            if id(variable) in found:
                return
            for read in reads(variable):
                visit(read)
            found[id(variable)] = variable
            if isinstance(variable, Token):
                tokens[variable.stack] = variable

        for output in self.outputs:
            visit(output)
        return tuple(sorted(found.values(), key=lambda variable: not isinstance(variable, Token)))


def vocabulary(words: tuple[str, ...]) -> tuple[str, ...]:
    """The tokens of a vocabulary in the order of their ids.

    Args:
        words: the words beside padding, end and unknown.
    """
    return (PAD, EOS, UNKNOWN, *words)


def reads(variable: Variable) -> tuple[Variable, ...]:
    """The variables that another is made from.

    Args:
        variable: the other.
    """
    if isinstance(variable, Attend):
        of_matches = [read for match in variable.matches for read in (match.query, match.key) if read is not None]
        return (*of_matches, variable.value)
    if isinstance(variable, Table):
        return variable.inputs
    return (variable.input,) if isinstance(variable, Level) else ()
