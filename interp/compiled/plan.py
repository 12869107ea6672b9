"""Where a program is put: layers, heads and subspaces of its variables, and thereby its true circuit.

Variables are computed as early as what they read allows: an attention reads what was written before its layer, cross-attention
also the whole encoder, a feed-forward layer also the attention of its own layer. Offsets are made by position biases, which T5
has once for all layers of a stack, by the number of the head: every set of offsets takes a number to itself in its stack.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from interp.axes import Stack
from interp.circuits.graph import LOGITS, SOURCE_EMBEDDING, TARGET_EMBEDDING, Edge
from interp.compiled.language import Attend, Table, Token, Variable
from interp.compiled.program import Program, reads
from interp.hooks.names import HeadId

_SUBLAYERS = {"encoder": ("attention", "mlp"), "decoder": ("attention", "cross", "mlp")}


@dataclass(frozen=True, eq=False)
class Place:
    """Where a variable is computed and kept.

    Attributes:
        variable: the variable.
        layer: layer of its stack; -1 for tokens.
        nodes: the labels of the nodes that write it, each an equal share.
        heads: the heads among them.
        first: first dimension of its values in the stream.
    """

    variable: Variable
    layer: int
    nodes: tuple[str, ...]
    heads: tuple[int, ...]
    first: int

    def dimension(self, value: str) -> int:
        """The dimension of one of its values.

        Args:
            value: the value.
        """
        return self.first + self.variable.values.index(value)


@dataclass(eq=False)
class Plan:
    """The places of all variables of a program.

    Attributes:
        program: the program.
        places: variable -> its place.
        offsets: stack -> number of the head -> its offsets and their strengths.
    """

    program: Program
    places: dict[Variable, Place] = field(default_factory=dict)
    offsets: dict[Stack, dict[int, Mapping[int, float]]] = field(default_factory=lambda: {"encoder": {}, "decoder": {}})
    _used: set[tuple[str, int, int]] = field(default_factory=set)

    def layers(self, stack: Stack) -> int:
        """How many layers a stack needs; at least one.

        Args:
            stack: which stack.
        """
        return max([place.layer + 1 for place in self.places.values() if place.variable.stack == stack] + [1])

    def heads(self) -> int:
        """How many heads a layer needs; as many in both stacks."""
        return 1 + max([head for _, _, head in self._used] + [-1])

    def width(self) -> int:
        """Dimensions of the stream: the constant, the tokens, and the variables of the wider stack."""
        return max(place.first + len(place.variable.values) for place in self.places.values())

    def edges(self) -> frozenset[Edge]:
        """The true circuit: from whoever writes a variable to whoever reads it."""
        return frozenset(
            Edge(node, receiver) for receiver, variable in self.readings() for node in self.places[variable].nodes
        )

    def readings(self) -> Iterator[tuple[str, Variable]]:
        """Every receiver with the variables that it reads."""
        for place in self.places.values():
            variable = place.variable
            if isinstance(variable, Attend):
                for node in place.nodes:
                    yield f"{node}.v", variable.value
                    for match in variable.matches:
                        yield f"{node}.k", match.key
                        if match.query is not None:
                            yield f"{node}.q", match.query
            elif not isinstance(variable, Token):
                inputs = variable.inputs if isinstance(variable, Table) else (variable.input,)  # type: ignore[attr-defined]
                yield from ((place.nodes[0], read) for read in inputs)
        yield from ((LOGITS, output) for output in self.program.outputs)

    def take_heads(self, variable: Attend, layer: int) -> tuple[int, ...]:
        """The heads of a layer that a variable gets.

        Args:
            variable: the variable.
            layer: its layer.
        """
        taken = self.offsets[variable.stack] if variable.kind != "cross" else {}
        same = [head for head, offsets in taken.items() if offsets == variable.offsets]
        free = [head for head in range(64) if head not in taken and (variable.kind, layer, head) not in self._used]
        if variable.offsets:
            free = [head for head in free if not any(h == head for k, _, h in self._used if k == variable.kind)]
            unused = [head for head in same if (variable.kind, layer, head) not in self._used]
            chosen = (*unused, *free)[: variable.heads]
            taken.update(dict.fromkeys(chosen, variable.offsets))
        else:
            chosen = tuple(free[: variable.heads])
        self._used |= {(variable.kind, layer, head) for head in chosen}
        return chosen


def plan_of(program: Program) -> Plan:
    """The places of a program's variables.

    Args:
        program: the program.
    """
    made = Plan(program)
    done: dict[Variable, int] = {}
    ends: dict[Stack, int] = dict.fromkeys(("encoder", "decoder"), 1)
    for variable in program.variables():
        if isinstance(variable, Token):
            label = SOURCE_EMBEDDING if variable.stack == "encoder" else TARGET_EMBEDDING
            made.places[variable] = Place(variable, -1, (label,), (), 1)
            ends[variable.stack] = 1 + len(variable.values)
            done[variable] = -1
            continue
        sublayers = _SUBLAYERS[variable.stack]
        sublayer = sublayers.index(_sublayer(variable))
        after = max([done[read] for read in _own_stack(variable)], default=-1) + 1
        layer = -(-(after - sublayer) // len(sublayers)) if after > sublayer else 0
        heads = made.take_heads(variable, layer) if isinstance(variable, Attend) else ()
        nodes = tuple(str(HeadId(variable.kind, layer, head)) for head in heads) if isinstance(variable, Attend) else ()
        nodes = nodes or (f"{variable.stack[0].upper()}L{layer}MLP",)
        made.places[variable] = Place(
            variable, layer, nodes, heads, max(ends[variable.stack], 1 + len(program.vocabulary))
        )
        ends[variable.stack] = made.places[variable].first + len(variable.values)
        done[variable] = layer * len(sublayers) + sublayer
    return made


def _sublayer(variable: Variable) -> str:
    if not isinstance(variable, Attend):
        return "mlp"
    return "cross" if variable.kind == "cross" else "attention"


def _own_stack(variable: Variable) -> list[Variable]:
    return [read for read in reads(variable) if read.stack == variable.stack]
