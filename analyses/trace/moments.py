"""The moments of a training run: which checkpoints, in which order.

Moments are named by optimizer steps, `step-512`, `checkpoint-512` as the Trainer of transformers writes them or, as on the hub,
`step512` (Biderman et al. 2023), and sorted as numbers. A run is a folder of such folders, a list of them, or a hub id whose
revisions are called so in the local cache.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path

from interp.errors import InputError
from interp.model.checkpoints import Checkpoint, find_checkpoint

LEAST = 3
"""Moments below which there is nothing to watch."""

_STEP = re.compile(r"(?:step|checkpoint)[-_]?(\d{1,12})")


@dataclass(frozen=True, slots=True)
class Moment:
    """A checkpoint of a run.

    Attributes:
        step: optimizer steps taken.
        checkpoint: where its files are.
    """

    step: int
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """The moments of one training run.

    Attributes:
        name: what it is called: the name of its folder, or its hub id.
        moments: in the order of their steps.
    """

    name: str
    moments: tuple[Moment, ...]

    @property
    def steps(self) -> tuple[int, ...]:
        """The steps of its moments."""
        return tuple(moment.step for moment in self.moments)


def find_run(names: Sequence[str]) -> TrainingRun:
    """A run by one name, or by the folders of its moments.

    Args:
        names: one folder of `step-N` or `checkpoint-N` folders, one hub id, or several folders called so.

    Raises:
        InputError: if there are too few moments, one is twice there, or one is no checkpoint.
    """
    found = _of_one(names[0]) if len(names) == 1 else _of_folders([Path(name).expanduser() for name in names])
    if len(found.moments) < LEAST:
        raise InputError(
            f"{found.name!r} has {len(found.moments)} checkpoints called step-N or checkpoint-N; give a folder that holds "
            f"at least {LEAST}, or a hub id with revisions stepN in the local cache."
        )
    ordered = tuple(sorted(found.moments, key=lambda moment: moment.step))
    for one, two in pairwise(ordered):
        if one.step == two.step:
            raise InputError(f"{found.name!r} has step {one.step} twice; give every moment once.")
    return TrainingRun(found.name, ordered)


def _of_one(name: str) -> TrainingRun:
    folder = Path(name).expanduser()
    if not folder.is_dir():
        return TrainingRun(name, tuple(_of_hub(name)))
    inside = [path for path in sorted(folder.iterdir()) if path.is_dir() and _step_of(path.name) is not None]
    return TrainingRun(folder.resolve().name, tuple(map(_moment, inside)))


def _of_folders(folders: Sequence[Path]) -> TrainingRun:
    for folder in folders:
        if not folder.is_dir() or _step_of(folder.resolve().name) is None:
            raise InputError(
                f"{str(folder)!r} is no folder called step-N or checkpoint-N; of several checkpoints each is named by its "
                "steps, such as run/step-0 run/step-512. Runs of other seeds are given by --seed-run."
            )
    return TrainingRun(folders[0].resolve().parent.name or "run", tuple(map(_moment, folders)))


def _moment(folder: Path) -> Moment:
    step = _step_of(folder.resolve().name)
    assert step is not None
    return Moment(step, replace(find_checkpoint(folder), name=f"step-{step}"))


def _of_hub(name: str) -> Iterator[Moment]:
    """The revisions of a hub id that are in the local cache and named by steps."""
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise InputError(f"There is no folder {name!r}; give a folder of step-N folders, or a hub id.")
    from huggingface_hub.constants import HF_HUB_CACHE

    refs = Path(HF_HUB_CACHE) / f"models--{name.replace('/', '--')}" / "refs"
    revisions = sorted(path.name for path in refs.iterdir()) if refs.is_dir() else []
    for revision in revisions:
        step = _step_of(revision)
        if step is not None:
            yield Moment(step, replace(find_checkpoint(name, revision), name=f"step-{step}"))


def _step_of(name: str) -> int | None:
    match = _STEP.fullmatch(name)
    return None if match is None else int(match[1])
