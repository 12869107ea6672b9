"""A model run with some edges only: along all others flows what was written in a corrupted run.

Every receiver reads the sum of the live writes along its own edges and of the corrupted writes along the others, through norms
taken anew; what nodes then write flows on. It is one forward pass of the host, with receivers' queries, keys, values and MLP
inputs put in.
"""

from collections.abc import Sequence

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.circuits.graph import Graph, Port, WriterStep, graph_of
from interp.circuits.streams import Reader, added_point, points_of, stream_read, write_point
from interp.errors import InputError
from interp.hooks.hook_point import HookFunction, HookPoint
from interp.hooks.names import NamesFilter
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import decoder_outputs
from interp.text.batch import Batch

Writes = dict[str, Tensor]
"""Hook point at which writers differ -> the corrupted run's value."""


def corrupted_writes(model: HookedEncoderDecoder, graph: Graph, batch: Batch) -> Writes:
    """What the writers of a graph write in one run.

    Args:
        model: the model.
        graph: its graph.
        batch: what is run.
    """
    kept: Writes = {}

    def keep(value: Tensor, hook: HookPoint) -> None:
        kept[hook.name] = value

    with torch.no_grad(), model.hooks([(name, keep) for name in {write_point(step) for step in graph.steps}]):
        decoder_outputs(model, batch)
    return kept


def circuit_outputs(
    model: HookedEncoderDecoder,
    graph: Graph,
    kept: Bool[Tensor, " edge"],
    clean: Batch,
    corrupted: Batch | Writes,
) -> Float[Tensor, "batch target d_model"]:
    """The decoder's output with the kept edges only.

    Args:
        model: the model.
        graph: its graph.
        kept: which edges carry what the clean run, so changed, writes.
        clean: the batch that is run.
        corrupted: the batch whose writes flow along the other edges, or these writes from `corrupted_writes`.

    Raises:
        InputError: if the model has another graph, or the batches differ in shape.
    """
    if len(kept) != len(graph) or graph_of(model.cfg).writers != graph.writers:
        raise InputError("This circuit is of a graph of another shape than the model's; find one for this model.")
    if isinstance(corrupted, Batch):
        shapes = [(tuple(side.input_ids.shape), tuple(side.decoder_input_ids.shape)) for side in (clean, corrupted)]
        if shapes[0] != shapes[1]:
            raise InputError(
                "The clean batch has {} source and {} decoder tokens, the corrupted one {} and {}; give batches of the same "
                "shape.".format(*shapes[0], *shapes[1])
            )
        corrupted = corrupted_writes(model, graph, corrupted)
    return _CircuitRun(model, graph, kept, corrupted).outputs(clean)


class _CircuitRun:
    """One run: what was written so far, and the receivers that read it."""

    def __init__(self, model: HookedEncoderDecoder, graph: Graph, kept: Tensor, corrupted: Writes) -> None:
        self.model, self.graph, self.corrupted = model, graph, corrupted
        self.added: dict[str, Tensor] = {}
        self.changes: dict[str, Tensor] = {}
        cut = graph.allowed.clone()
        cut[graph.places[kept.cpu(), 0], graph.places[kept.cpu(), 1]] = False
        self.cut = cut.to(model.device)
        self.steps: dict[str, list[WriterStep]] = {}
        for step in graph.steps:
            for point in {added_point(step), write_point(step)}:
                self.steps.setdefault(point, []).append(step)

    def outputs(self, clean: Batch) -> Tensor:
        hooks: list[tuple[NamesFilter, HookFunction]] = [(point, self._note) for point in points_of(self.graph)]
        for port in self.graph.ports:
            if port.slot != "logits" and self.cut[port.span].any():
                hooks += self._receiving(port)
        with torch.no_grad(), self.model.hooks(hooks):
            host = decoder_outputs(self.model, clean)[1]
        last = self.graph.ports[-1]
        return self._read(last)[0] if self.cut[last.span].any() else host

    def _note(self, value: Tensor, hook: HookPoint) -> None:
        for step in self.steps[hook.name]:
            if hook.name == write_point(step):
                self.changes[step.name] = self.corrupted[hook.name] - value
            if hook.name == added_point(step):
                self.added[step.name] = value

    def _read(self, port: Port) -> Tensor:
        read = stream_read(self.model, port, self.added, self.changes, self.cut[port.span])
        return read.expand(len(port.receivers), *read.shape[1:])

    def _receiving(self, port: Port) -> Sequence[tuple[NamesFilter, HookFunction]]:
        """What puts in the values of a port's receivers."""
        reader, everyone = Reader.of(self.model, port), range(len(port.receivers))

        def values(value: Tensor, hook: HookPoint) -> Tensor:
            shown = reader.shown(self._read(port), everyone)[reader.points.index(hook.name)]
            return shown[0] if value.ndim == 3 else shown.permute(1, 2, 0, 3)

        return [(point, values) for point in reader.points]
