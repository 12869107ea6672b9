"""The graph of an encoder-decoder: who writes to its two streams, who reads from them, and the edges from one to the other.

    writers      the embeddings of both stacks, every head, every MLP
    receivers    the queries, keys and values of every head, every MLP, the logits
    edges        from a writer to everything that reads its stream later; from every writer of the encoder, through the encoder's
                 last norm, to the keys and values of every cross-attention head

Heads write side by side, and so do not read each other. Embeddings are what enters the first layer: with positions, and behind
the norm of the embedding where a family has them. Biases and position biases are the same in every run, and no edges.

Nodes have the labels of heads and components: `source embedding`, `embedding` (the decoder's), `EL0H1`, `DL2MLP`, `XL0H3`;
receivers that belong to a head name its input, `XL0H3.k`; edges are written `EL0H1 -> XL0H3.k`.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interp.axes import AttentionKind, Stack
from interp.errors import InputError, nearest
from interp.families.config import ModelConfig
from interp.families.residual_stream import Step, last_norm, steps
from interp.hooks.names import HeadId

SOURCE_EMBEDDING, TARGET_EMBEDDING, LOGITS = "source embedding", "embedding", "logits"

HeadInput = Literal["q", "k", "v"]
Slot = Literal["q", "k", "v", "mlp", "logits"]

_ARROW = " -> "


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """One edge, by the labels of its ends."""

    writer: str
    receiver: str

    def __str__(self) -> str:
        return f"{self.writer}{_ARROW}{self.receiver}"

    @classmethod
    def parse(cls, text: str) -> "Edge":
        """The edge that a text names.

        Args:
            text: `EL0H1 -> XL0H3.k`.

        Raises:
            InputError: if the text is no edge.
        """
        writer, arrow, receiver = (part.strip() for part in text.partition("->"))
        if not (writer and arrow and receiver):
            raise InputError(f"{text!r} is no edge; write a writer and a receiver, `EL0H1 -> XL0H3.k`.")
        return cls(writer, receiver)

    @property
    def node(self) -> str:
        """The node that receives: the head of a query, key or value."""
        return self.receiver.partition(".")[0]


@dataclass(frozen=True, slots=True)
class WriterStep:
    """A step of a stream at which nodes write, side by side.

    Attributes:
        stack: whose stream.
        name: the step's path, as in `residual_stream.steps`; of the embedding, its hook point.
        writers: the labels of its nodes: all heads of an attention, or one.
        first: number of the first among all writers of the graph.
        layer: its layer; None for the embedding.
        attention: the kind of attention, where it is one.
    """

    stack: Stack
    name: str
    writers: tuple[str, ...]
    first: int
    layer: int | None = None
    attention: AttentionKind | None = None

    @property
    def span(self) -> slice:
        """Where its writers are among all writers of the graph."""
        return slice(self.first, self.first + len(self.writers))


@dataclass(frozen=True, slots=True)
class Port:
    """Receivers that read the same stream at the same place, side by side.

    Attributes:
        name: path of the sublayer that reads, `decoder.0.cross_attn`; `logits`.
        slot: as what.
        receivers: their labels: one for every head of an attention, or one.
        first: number of the first among all receivers of the graph.
        reads: the stack whose stream is read.
        course: what happened to that stream before, in order: writer steps, and the paths of norms in the way, the reader's own
            last.
        layer: the layer of the reader; None for the logits.
        attention: the kind of attention, where it is one.
    """

    name: str
    slot: Slot
    receivers: tuple[str, ...]
    first: int
    reads: Stack
    course: tuple[WriterStep | str, ...]
    layer: int | None = None
    attention: AttentionKind | None = None

    @property
    def span(self) -> slice:
        """Where its receivers are among all receivers of the graph."""
        return slice(self.first, self.first + len(self.receivers))

    def writer_steps(self) -> tuple[WriterStep, ...]:
        """The steps whose writes it reads."""
        return tuple(step for step in self.course if isinstance(step, WriterStep))


@dataclass(frozen=True, eq=False)
class Graph:
    """The graph of one model.

    Attributes:
        steps: where nodes write, in the order of the pass, encoder first.
        ports: where receivers read, in the order of the pass.
    """

    steps: tuple[WriterStep, ...]
    ports: tuple[Port, ...]
    writers: tuple[str, ...] = field(init=False)
    receivers: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "writers", tuple(label for step in self.steps for label in step.writers))
        object.__setattr__(self, "receivers", tuple(label for port in self.ports for label in port.receivers))

    @cached_property
    def allowed(self) -> Bool[Tensor, "receiver writer"]:
        """Which receiver reads which writer."""
        found = torch.zeros(len(self.receivers), len(self.writers), dtype=torch.bool)
        for port in self.ports:
            for step in port.writer_steps():
                found[port.span, step.span] = True
        return found

    @cached_property
    def places(self) -> Int[Tensor, "edge two"]:
        """Receiver and writer of every edge, by number."""
        return self.allowed.nonzero()

    @cached_property
    def edges(self) -> tuple[Edge, ...]:
        """All edges, in the order of `places`: receiver by receiver, in the order of the pass."""
        return tuple(Edge(self.writers[w], self.receivers[r]) for r, w in self.places.tolist())

    @cached_property
    def numbers(self) -> dict[Edge, int]:
        """Edge -> its number."""
        return {edge: number for number, edge in enumerate(self.edges)}

    def __len__(self) -> int:
        return len(self.places)

    def number(self, edge: Edge | str) -> int:
        """The number of an edge.

        Args:
            edge: the edge, or its text.

        Raises:
            InputError: if the graph has no such edge.
        """
        wanted = Edge.parse(edge) if isinstance(edge, str) else edge
        if wanted not in self.numbers:
            known = {"writer": self.writers, "receiver": self.receivers}
            unknown = [
                f"no {role} is called {label!r} (near: {', '.join(nearest(label, known[role], most=3)) or 'none'})"
                for role, label in (("writer", wanted.writer), ("receiver", wanted.receiver))
                if label not in known[role]
            ]
            raise InputError(
                f"There is no edge {str(wanted)!r}: {'; '.join(unknown) or 'the receiver does not come after the writer'}."
            )
        return self.numbers[wanted]

    def port_of(self, receiver: int) -> Port:
        """The port that a receiver belongs to.

        Args:
            receiver: its number.
        """
        return next(port for port in self.ports if port.span.start <= receiver < port.span.stop)


def why_no_graph(cfg: ModelConfig) -> str | None:
    """What circuits need and a model lacks, naming its attributes; None for models that have a graph.

    Args:
        cfg: the model's facts.
    """
    if cfg.write_norms or cfg.positions == "rotary":
        return (
            "heads whose writes are added to the stream as they are and scores that are products of what is read; this model has "
            f"write_norms={cfg.write_norms} and positions={cfg.positions!r}"
        )
    if cfg.n_experts:
        return f"MLPs that read with the same matrices whatever they read; this model chooses among n_experts={cfg.n_experts}"
    return None


def graph_of(cfg: ModelConfig) -> Graph:
    """The graph of a model of any family.

    Args:
        cfg: the model's facts.

    Raises:
        InputError: if the model norms what a sublayer writes, rotates queries and keys, or has experts.
    """
    why = why_no_graph(cfg)
    if why is not None:
        raise InputError(f"Circuits need {why}. Patch heads or streams instead.")
    found: list[WriterStep] = []
    courses: dict[Stack, tuple[WriterStep | str, ...]] = {}
    stacks: tuple[Stack, ...] = ("encoder", "decoder")
    for stack in stacks:
        courses[stack] = _course(cfg, stack, sum(len(step.writers) for step in found))
        found += [step for step in courses[stack] if isinstance(step, WriterStep)]
    ports: list[Port] = []
    for stack in stacks:
        for port in _ports(cfg, stack, courses):
            ports.append(_numbered(port, sum(len(one.receivers) for one in ports)))
    return Graph(tuple(found), tuple(ports))


def _numbered(port: Port, first: int) -> Port:
    return Port(port.name, port.slot, port.receivers, first, port.reads, port.course, port.layer, port.attention)


def _course(cfg: ModelConfig, stack: Stack, first: int) -> tuple[WriterStep | str, ...]:
    """What happens to a stack's stream from where it enters the first layer."""
    found: list[WriterStep | str] = []
    for step in steps(cfg, stack):
        if (
            step.kind == "norm" and step.name != f"{stack}.ln_embed"
        ):  # which comes before the stream enters the first layer
            found.append(step.name)
        elif step.kind in ("embedding", "attention", "mlp"):
            found.append(WriterStep(stack, step.name, _labels(cfg, step), first, step.layer, step.attention))
            first += len(_labels(cfg, step))
    return tuple(found)


def _labels(cfg: ModelConfig, step: Step) -> tuple[str, ...]:
    if step.attention is None or step.layer is None:
        return (step.label,)
    heads = range(cfg.heads_of(step.attention))
    return tuple(str(HeadId(step.attention, step.layer, head)) for head in heads)


def _ports(cfg: ModelConfig, stack: Stack, courses: dict[Stack, tuple[WriterStep | str, ...]]) -> Iterator[Port]:
    course, place = courses[stack], dict.fromkeys(range(cfg.n_layers(stack)), 0)
    for index, step in enumerate(course):
        if isinstance(step, str) or step.layer is None:
            continue
        place[step.layer] += 1
        own = (f"{stack}.{step.layer}.ln{place[step.layer]}",) if cfg.norm_place == "pre" else ()
        before = (*course[:index], *own)
        if step.attention is None:
            yield Port(step.name, "mlp", step.writers, 0, stack, before, step.layer)
            continue
        slots: tuple[HeadInput, ...] = ("q", "k", "v")
        for slot in slots:
            memory = step.attention == "cross" and slot != "q"
            labels = tuple(f"{head}.{slot}" for head in step.writers)
            read: Stack = "encoder" if memory else stack
            seen = courses["encoder"] if memory else before
            yield Port(step.name, slot, labels, 0, read, seen, step.layer, step.attention)
    if stack == "decoder":
        end = course.index(last_norm(cfg, "decoder")) + 1
        yield Port(LOGITS, "logits", (LOGITS,), 0, "decoder", course[:end])
