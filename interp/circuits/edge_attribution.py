"""All edges from a few gradients: edge attribution patching (EAP, Syed et al. 2023) and its integral (EAP-IG, Hanna et al. 2024).

    score of an edge u -> v = sum over positions of (z_u corrupted - z_u clean) . dm / dx_v       ~  m(edge corrupted) - m(clean)

with x_v what the receiver reads, before its norm, which the gradient passes through. The gradient is taken

    eap                  in the clean run
    eap-ig               in runs whose embeddings, of both stacks, lie between corrupted and clean; mean over i / steps, i from 0
    eap-ig-activations   of every writer in runs in which its own step's write lies between corrupted and clean, all else clean
                         (the published code averages over the runs of all writers)

Where a softmax or a ReLU is saturated in the clean run, plain EAP is blind to what feeds it; EAP-IG sees it if its steps are many
enough. Steps are doubled until the scores stay twice in a row, because few steps can miss a sharp softmax more than once; the new
places lie between the old ones, so no gradient is taken twice. Where several inputs of a node change together (keys and values of
one head), scores along the path of all of them are not the effects of single edges, however many the steps: compare with `exact`
on a sample.
With a metric that is smallest at the model itself (KL divergence) the clean gradient is 0, and plain EAP says nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import groupby
from typing import Literal, get_args

import torch
from jaxtyping import Float
from torch import Tensor

from interp.circuits.edge_patching import patch_edges
from interp.circuits.gathering import Gathering
from interp.circuits.graph import LOGITS, Graph, Port, WriterStep, graph_of
from interp.circuits.metric import Metric, MetricName, at_rows
from interp.circuits.streams import (
    added_point,
    points_of,
    write_point,
)
from interp.errors import InputError, did_you_mean
from interp.hooks.hook_point import HookFunction, HookPoint
from interp.hooks.names import NamesFilter
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import decoder_outputs
from interp.patching.minimal_pairs import PairBatch
from interp.text.batch import Batch

Method = Literal["eap", "eap-ig", "eap-ig-activations", "exact"]

METHODS: tuple[Method, ...] = get_args(Method)

_STAYED = 2

_EMBEDDINGS = ("encoder.hook_embed", "decoder.hook_embed")


@dataclass(frozen=True, eq=False)
class EdgeScores:
    """Scores of all edges.

    Attributes:
        graph: the graph.
        values: of every pair, in the metric's unit; what the corruption of the edge does to the metric, or an estimate of it.
        method: how they were found.
        steps: gradients that were averaged; 0 where none was taken.
        change: relative change of the mean scores when the steps were last doubled; NaN where they were not.
        metric: of what the scores are.
    """

    graph: Graph
    values: Float[Tensor, "pair edge"]
    method: Method
    steps: int
    change: float = float("nan")
    metric: MetricName = "logit-difference"

    @property
    def worth(self) -> Float[Tensor, " edge"]:
        """The mean over pairs, signed so that it is above 0 where the answer needs the edge."""
        return self.mean if self.metric == "kl" else -self.mean

    @property
    def mean(self) -> Float[Tensor, " edge"]:
        """The mean over pairs."""
        return self.values.mean(0)


def score_edges(
    model: HookedEncoderDecoder,
    pairs: PairBatch,
    method: str = "eap-ig",
    metric: str = "logit-difference",
    steps: int = 5,
    most_steps: int = 320,
    tolerance: float = 0.02,
) -> EdgeScores:
    """Scores of all edges by one method.

    Args:
        model: the model; its weights may stay frozen.
        pairs: the pairs, as many as shall run at once.
        method: one of `METHODS`; `exact` patches every edge by itself.
        metric: see `Metric`.
        steps: of the integrated methods, to begin with.
        most_steps: where doubling ends.
        tolerance: doubling ends when the mean scores twice change by less, relative to their size (both as Euclidean norms).

    Raises:
        InputError: if there is no such method, the steps are none, or the method is blind to the metric.
    """
    if method not in METHODS:
        raise InputError(
            f"No method is called {method!r}{did_you_mean(method, METHODS)}; there are {', '.join(METHODS)}."
        )
    if steps < 1 or most_steps < steps:
        raise InputError(f"Got {steps} steps, and at most {most_steps}; give at least one, and no more than at most.")
    if method == "eap" and metric == "kl":
        raise InputError(
            "The gradient of the KL divergence is 0 in the clean run, so `eap` gives 0 for every edge; use `eap-ig`, or the "
            "logit difference."
        )
    if method == "exact":
        effects, name = patch_edges(model, pairs, None, metric), Metric.of(model, pairs, metric).name
        return EdgeScores(graph_of(model.cfg), effects, "exact", 0, metric=name)
    work = _Attribution.of(model, pairs, metric, method)
    if method == "eap":
        return EdgeScores(work.graph, work.of_run({}), "eap", 1)
    total, taken, change, stayed = torch.zeros(()), 0, float("nan"), 0
    one_place = work.at_embeddings if method == "eap-ig" else work.at_activations
    for count in _doubled(steps, most_steps):
        before = total / max(taken, 1)
        new = [i / count for i in range(count) if taken == 0 or i % 2]
        total = total + torch.stack([one_place(place) for place in new]).sum(0)
        taken = count
        if before.ndim:
            now = total / taken
            change = float((now.mean(0) - before.mean(0)).norm() / now.mean(0).norm().clamp_min(1e-30))
            stayed = stayed + 1 if change < tolerance else 0
            if stayed == _STAYED:
                break
    kind: Method = "eap-ig" if method == "eap-ig" else "eap-ig-activations"
    return EdgeScores(work.graph, total / taken, kind, taken, change, work.metric.name)


def _doubled(steps: int, most: int) -> list[int]:
    found = [steps]
    while found[-1] * 2 <= most:
        found.append(found[-1] * 2)
    return found


@dataclass(frozen=True, eq=False)
class _Attribution:
    """What all gradients of some pairs share: both runs' embeddings, and how their writes differ (plain EAP's own run says)."""

    model: HookedEncoderDecoder
    pairs: PairBatch
    metric: Metric
    graph: Graph
    changes: dict[str, Tensor]
    corrupted: dict[str, Tensor]
    clean: Mapping[str, Tensor]

    @classmethod
    def of(cls, model: HookedEncoderDecoder, pairs: PairBatch, metric: str, method: str) -> "_Attribution":
        graph, clean, changes = graph_of(model.cfg), dict[str, Tensor](), dict[str, Tensor]()
        points = sorted({write_point(step) for step in graph.steps} | set(_EMBEDDINGS))
        corrupted = _kept(model, pairs.corrupted, points)
        if method != "eap":
            clean = _kept(model, pairs.clean, points)
            for step in graph.steps:
                point = write_point(step)
                kept = clean[point] if method == "eap-ig-activations" else clean.pop(point)
                changes[step.name] = corrupted.pop(point) - kept
        return cls(model, pairs, Metric.of(model, pairs, metric), graph, changes, corrupted, clean)

    def at_embeddings(self, place: float) -> Float[Tensor, "pair edge"]:
        """Scores with the gradient between corrupted (0) and clean (1) embeddings."""
        return self.of_run({name: torch.lerp(self.corrupted[name], self.clean[name], place) for name in _EMBEDDINGS})

    def at_activations(self, place: float) -> Float[Tensor, "pair edge"]:
        """Scores with the gradient, for a step's writers, where its writes are between corrupted (0) and clean (1)."""
        total: Tensor | None = None
        for step in self.graph.steps:
            if not self.changes[step.name].any():
                continue
            moved = self.clean[write_point(step)] + (1 - place) * self.changes[step.name]
            part = self.of_run({write_point(step): moved}, step)
            total = part if total is None else total + part
        if total is None:
            return torch.zeros(len(self.pairs), len(self.graph), device=self.model.device)
        return total

    def of_run(self, replaced: Mapping[str, Tensor], only: WriterStep | None = None) -> Float[Tensor, "pair edge"]:
        """Scores with the gradient of one run in which some activations are replaced; of one step's edges only, the others 0."""
        model, added, leaves = self.model, dict[str, Tensor](), list[Tensor]()
        gathering = [Gathering.of(model, ports, added, self.changes, only) for ports in self._ports_side_by_side()]

        def leaf(value: Tensor, hook: HookPoint) -> Tensor:
            leaves.append(replaced.get(hook.name, value).detach().requires_grad_())
            return leaves[-1]

        def keep(value: Tensor, hook: HookPoint) -> None:
            for step in self.graph.steps:
                if added_point(step) == hook.name:
                    added[step.name] = value.detach()
                # Plain EAP has no clean run of its own: this is it.
                if write_point(step) == hook.name and step.name not in self.changes:
                    self.changes[step.name] = self.corrupted.pop(hook.name) - value.detach()

        hooks: list[tuple[NamesFilter, HookFunction]] = [(name, leaf) for name in {*_EMBEDDINGS, *replaced}]
        hooks += [(point, keep) for point in points_of(self.graph)]
        hooks += [(point, group.listen) for group in gathering for point in group.points]
        with torch.enable_grad(), model.hooks(hooks):
            outputs = decoder_outputs(model, self.pairs.clean)[1]
            gathering[-1].listen_to(LOGITS, outputs)
            value = self.metric(model, at_rows(self.pairs, outputs).unsqueeze(2)).sum()
            torch.autograd.grad(value, leaves, allow_unused=True)
        return torch.cat([block for group in gathering for block in group.blocks(len(self.pairs))], 1)

    def _ports_side_by_side(self) -> list[tuple[Port, ...]]:
        """Ports that read the same stream at the same place, the graph's order kept: what is walked once."""
        return [tuple(ports) for _, ports in groupby(self.graph.ports, key=lambda port: (port.name, port.course))]


@torch.no_grad()
def _kept(model: HookedEncoderDecoder, batch: Batch, points: list[str]) -> dict[str, Tensor]:
    kept: dict[str, Tensor] = {}

    def keep(value: Tensor, hook: HookPoint) -> None:
        kept[hook.name] = value

    with model.hooks([(name, keep) for name in points]):
        decoder_outputs(model, batch)
    return kept
