"""Gradients made into scores of edges while the backward pass runs, so that none is kept."""

from dataclasses import dataclass
from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor

from interp.circuits.graph import LOGITS, Port, WriterStep
from interp.circuits.streams import Changes, Reader, Streams, gradient_read, gradients_at_writers, products
from interp.hooks.hook_point import HookPoint
from interp.model.hooked_model import HookedEncoderDecoder


@dataclass(eq=False)
class Gathering:
    """Gradients at ports that read one stream, each made into scores as soon as the backward pass has brought all of them.

    Attributes:
        model: the model.
        ports: the ports.
        added: what steps added in this run.
        changes: by how much their writes differ in the corrupted run.
        only: the step whose edges are scored; None for all.
        points: hook point -> the receivers' matrix there, of every port but the logits.
        gradient: at what all receivers read, as far as it has come.
        missing: points that have not come.
        scores: of every receiver and writer, once all have come.
    """

    model: HookedEncoderDecoder
    ports: tuple[Port, ...]
    added: Streams
    changes: Changes
    only: WriterStep | None
    points: dict[str, tuple[Port, Float[Tensor, "receiver d_model out"]]]
    missing: set[str]
    gradient: Float[Tensor, "batch receiver pos d_model"] | None = None
    scores: Float[Tensor, "batch receiver writer"] | None = None

    @classmethod
    def of(
        cls,
        model: HookedEncoderDecoder,
        ports: tuple[Port, ...],
        added: Streams,
        changes: Changes,
        only: WriterStep | None = None,
    ) -> "Gathering":
        """A gathering to which nothing has come yet.

        Args:
            model: the model.
            ports: ports that read one stream at one place.
            added: what steps added in this run; filled when gradients come.
            changes: by how much writes differ; filled by then too.
            only: the step whose edges are scored; all by default.
        """
        points: dict[str, tuple[Port, Tensor]] = {}
        for port in ports:
            if port.slot != LOGITS:
                reader = Reader.of(model, port)
                points |= {point: (port, weight) for point, weight in zip(reader.points, reader.weights, strict=True)}
        return cls(model, ports, added, changes, only, points, set(points) or {LOGITS})

    def listen(self, value: Tensor, hook: HookPoint) -> None:
        """Wait for the gradient at a hook point; a hook function.

        Args:
            value: the value there.
            hook: the point.
        """
        self.listen_to(hook.name, value)

    def listen_to(self, point: str, value: Tensor) -> None:
        """Wait for the gradient at a value.

        Args:
            point: its hook point, or `logits` for the decoder's output.
            value: the value.
        """
        value.register_hook(partial(self._arrived, point))

    @torch.no_grad()
    def _arrived(self, point: str, gradient: Tensor) -> None:
        port, part = self.ports[-1], gradient.unsqueeze(1)
        if point in self.points:
            port, weight = self.points[point]
            part = gradient_read(gradient, weight)
        if self.gradient is None:
            receivers = sum(len(one.receivers) for one in self.ports)
            self.gradient = part.new_zeros(part.shape[0], receivers, *part.shape[2:])
        start = port.first - self.ports[0].first
        self.gradient[:, start : start + len(port.receivers)] += part
        self.missing.discard(point)
        if not self.missing:
            self._score()

    def _score(self) -> None:
        assert self.gradient is not None
        model, found = self.model, dict[str, Tensor]()
        for step, gradient in gradients_at_writers(model, self.ports[0], self.added, self.gradient):
            if self.only is None or step.name == self.only.name:
                found[step.name] = products(model, step, self.changes[step.name], gradient)
            else:
                found[step.name] = gradient.new_zeros(*gradient.shape[:2], len(step.writers))
        self.gradient = None
        self.scores = torch.cat([found[step.name] for step in self.ports[0].writer_steps()], -1)

    def blocks(self, pairs: int) -> list[Float[Tensor, "pair edge"]]:
        """The scores of every port's edges; 0 where the metric does not hang on it.

        Args:
            pairs: how many there are.
        """
        receivers = [len(port.receivers) for port in self.ports]
        if self.scores is None:
            writers = sum(len(step.writers) for step in self.ports[0].writer_steps())
            self.scores = torch.zeros(pairs, sum(receivers), writers, device=self.model.device)
        return [part.flatten(1) for part in self.scores.split(receivers, 1)]
