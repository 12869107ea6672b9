"""What was found: the runs, their histories, how the heads stand to the loss, and how far seeds agree."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from analyses.trace.agreement import Agreement, SameRoles
from analyses.trace.circuit_histories import CircuitsFound
from analyses.trace.histories import RoleHistory, leading, role_histories
from analyses.trace.order import Order, order_of
from analyses.trace.snapshots import Snapshot
from interp.families.config import ModelConfig
from interp.hooks.names import HeadId
from interp.statistics.change_points import Changes, changes_of

Part = Literal["main", "seed", "control"]
"""What a run is there for: the one that is watched, one of another seed, or one with nothing to learn."""


@dataclass(frozen=True, slots=True, eq=False)
class RunTrace:
    """One training run.

    Attributes:
        name: of the run.
        part: what it is there for.
        snapshots: its moments, in the order of their steps.
        histories: of every head and role.
        leading: head -> the history that stands for it.
        loss: where its loss changes.
    """

    name: str
    part: Part
    snapshots: tuple[Snapshot, ...]
    histories: tuple[RoleHistory, ...]
    leading: Mapping[HeadId, RoleHistory]
    loss: Changes

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps of its moments."""
        return tuple(one.step for one in self.snapshots)

    def roles_at(self, place: int) -> dict[HeadId, str]:
        """Head -> its strongest role at one moment, heads without a role left out.

        Args:
            place: which moment.
        """
        found: dict[HeadId, str] = {}
        for label in sorted(self.snapshots[place].labels, key=lambda one: (one.strength != "threshold", -one.effect)):
            found.setdefault(label.head, label.leading)
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Beside:
    """Another run beside the main one.

    Attributes:
        run: name of the other run.
        part: what it is there for.
        steps: steps that both have.
        agreements: at each of them.
        roles: of matched heads at the last of them; None where no head of either run has a role.
    """

    run: str
    part: Part
    steps: tuple[int, ...]
    agreements: tuple[Agreement, ...]
    roles: SameRoles | None


@dataclass(frozen=True, slots=True, eq=False)
class Trace:
    """How heads came to be while a model learned.

    Attributes:
        runs: the main run first, then other seeds, then controls.
        order: heads against the loss in the main run; None if nothing changes.
        beside: every other run beside the main one.
        cfg: the facts of all models.
        prompts: how many were asked.
        sentences: independent ones among them.
        target_origin: `given`, or `generated` by the last moment of the main run.
        fault: why targets say nothing; empty if they do.
        twins: untrained twins beside which roles were judged.
        circuits: of the main run, or why there are none; None where they were not asked for.
    """

    runs: tuple[RunTrace, ...]
    order: Order | None
    beside: tuple[Beside, ...]
    cfg: ModelConfig
    prompts: int
    sentences: int
    target_origin: str
    fault: str
    twins: int
    circuits: CircuitsFound | None = None

    @property
    def main(self) -> RunTrace:
        """The run that is watched."""
        return self.runs[0]

    def __str__(self) -> str:
        main = self.main
        had = {one.head for one in main.histories if one.has.any()}
        heads = len(main.leading)
        return (
            f"{len(had)} of {heads} heads have a role at some of {len(main.steps)} moments of {main.name} (steps "
            f"{main.steps[0]} to "
            f"{main.steps[-1]}), {len(main.roles_at(-1))} of them at the last."
        )


def run_trace(name: str, part: Part, snapshots: Sequence[Snapshot], seed: int) -> RunTrace:
    """The trace of one run.

    Args:
        name: of the run.
        part: what it is there for.
        snapshots: its moments, in the order of their steps.
        seed: of resampling.
    """
    histories = role_histories(snapshots, seed)
    losses = np.stack([one.numbers["loss"] for one in snapshots], -1).astype(np.float64)
    return RunTrace(name, part, tuple(snapshots), histories, leading(histories), changes_of(losses, seed))


def head_order(run: RunTrace, seed: int) -> Order | None:
    """Heads of one run against its loss, see `order.order_of`."""
    return order_of(run.snapshots, run.leading, seed)
