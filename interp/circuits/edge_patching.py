"""Edges patched exactly, one by one: the corrupted write of one writer reaches one receiver, and everything behind it answers.

    effect of an edge = m(edge corrupted) - m(clean)

The receiver's input is put together from the writes (`streams`), its norms taken anew, and the recorded clean pass goes on from
there, many edges side by side. Edges into the logits need no further pass at all.
"""

from collections.abc import Sequence
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from interp.circuits.graph import Edge, Graph, Port, graph_of
from interp.circuits.metric import Metric
from interp.circuits.streams import Changes, Reader, Streams, added_point, points_of, stream_read, write_point
from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.minimal_pairs import PairBatch
from interp.patching.partial_forward import RecordedPass, record_pass


@torch.no_grad()
def patch_edges(
    model: HookedEncoderDecoder,
    pairs: PairBatch,
    edges: Sequence[Edge | str] | None = None,
    metric: str = "logit-difference",
) -> Float[Tensor, "pair edge"]:
    """What each edge alone, corrupted, does to the metric of every pair.

    Args:
        model: the model.
        pairs: the pairs.
        edges: the edges; all by default, in the order of the graph.
        metric: see `Metric`.

    Raises:
        InputError: if an edge is none of the graph, or no edge is given.
    """
    graph = graph_of(model.cfg)
    numbers = list(range(len(graph))) if edges is None else [graph.number(edge) for edge in edges]
    if not numbers:
        raise InputError("No edges were given; name at least one, such as `EL0H1 -> XL0H3.k`.")
    measure, points = Metric.of(model, pairs, metric), points_of(graph)
    clean, corrupted = (record_pass(model, side, points, pairs.rows) for side in (pairs.clean, pairs.corrupted))
    added, changes = added_and_changed(graph, clean, corrupted)
    base = measure(model, clean.outputs.unsqueeze(0))[0]
    effects = base.new_zeros(len(pairs), len(numbers))
    places = graph.places[numbers]
    for port in graph.ports:
        chosen = [
            at for at, (receiver, _) in enumerate(places.tolist()) if port.span.start <= receiver < port.span.stop
        ]
        step = clean.copies_at_once(port.reads) if port.slot != "logits" else len(chosen) or 1
        for first in range(0, len(chosen), step):
            part = chosen[first : first + step]
            outputs = _patched(model, graph, clean, port, added, changes, places[part])
            effects[:, part] = (measure(model, outputs) - base).t()
    return effects


def added_and_changed(graph: Graph, clean: RecordedPass, corrupted: RecordedPass) -> tuple[Streams, Changes]:
    """What every step added in the clean pass, and by how much its writes differ in the corrupted one.

    Args:
        graph: the model's graph.
        clean: the clean pass, with the activations of `points_of`.
        corrupted: the corrupted pass, with the same.
    """
    added = {step.name: clean.cache[added_point(step)] for step in graph.steps}
    changes = {step.name: corrupted.cache[write_point(step)] - clean.cache[write_point(step)] for step in graph.steps}
    return added, changes


def _patched(
    model: HookedEncoderDecoder,
    graph: Graph,
    clean: RecordedPass,
    port: Port,
    added: Streams,
    changes: Changes,
    places: Tensor,
) -> Float[Tensor, "edge batch row d_model"]:
    """The decoder's output with one edge of a port corrupted in every copy."""
    copies = len(places)
    cut = torch.zeros(copies, len(graph.writers), dtype=torch.bool)
    cut[torch.arange(copies), places[:, 1]] = True
    read = stream_read(model, port, added, changes, cut.to(model.device))
    if port.slot == "logits":
        rows = clean.rows
        assert rows is not None
        return read[:, torch.arange(len(rows), device=rows.device), rows].unsqueeze(2)
    reader, receivers = Reader.of(model, port), (places[:, 0] - port.span.start).tolist()
    shown = reader.shown(read, receivers)
    hooks = [
        (point, partial(_put, values=values, receivers=receivers))
        for point, values in zip(reader.points, shown, strict=True)
    ]
    return clean.edited(hooks, copies)


def _put(current: Tensor, hook: HookPoint, values: Tensor, receivers: Sequence[int]) -> Tensor:
    """A port's values with one receiver replaced in every copy."""
    edited = current.clone().unflatten(0, (len(values), -1))
    for copy, receiver in enumerate(receivers):
        if edited.ndim == 4:
            edited[copy] = values[copy]
        else:
            edited[copy, :, :, receiver] = values[copy]
    whole: Tensor = edited.flatten(0, 1)
    return whole
