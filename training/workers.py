"""Several processes, one model: each computes part of a batch, and sums are exchanged once a step.

On a few CPU cores two processes of one thread each do as many steps as one process of two threads on a quiet machine, and many
times more on a busy one, because threads wait for one another thousands of times a step and processes once. `torchrun` starts
them and sets the environment that `join` reads.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import distributed

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Workers:
    """The processes of a run, as seen by one of them.

    Attributes:
        rank: this process, counted from 0.
        size: how many there are.
    """

    rank: int = 0
    size: int = 1

    @property
    def first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def share(self, batch: Sequence[Item]) -> Sequence[Item]:
        """This process's part of `batch`; a batch smaller than the number of processes goes to the first alone."""
        if len(batch) < self.size:
            return batch if self.first else ()
        return batch[self.rank :: self.size]

    def sum(self, gradients: Sequence[torch.Tensor], *numbers: float) -> list[float]:
        """Sums `gradients` in place, and `numbers`, over all processes.

        Returns:
            The sums of `numbers`, the same in every process.
        """
        if self.size == 1:
            return list(numbers)
        flat = torch.cat([*(gradient.reshape(-1) for gradient in gradients), gradients[0].new_tensor(numbers)])
        distributed.all_reduce(flat)
        sizes = [gradient.numel() for gradient in gradients]
        *sums, totals = flat.split([*sizes, len(numbers)])
        for gradient, total in zip(gradients, sums, strict=True):
            gradient.copy_(total.view_as(gradient))
        return [float(total) for total in totals]

    def gather(self, state: torch.Tensor) -> list[torch.Tensor]:
        """The `state` of every process, by rank."""
        states: list[torch.Tensor] = [state] * self.size
        if self.size > 1:
            distributed.all_gather_object(states, state)
        return states

    def wait(self) -> None:
        """Returns when every process has come here."""
        if self.size > 1:
            distributed.barrier()


def join() -> Workers:
    """Joins the processes that `torchrun` started; alone without it."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size > 1:
        distributed.init_process_group("gloo")
    return Workers(int(os.environ.get("RANK", "0")), size)
