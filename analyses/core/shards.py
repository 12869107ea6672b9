"""Shards: where what models gave is kept, a few prompts at a time, and read back one analysis at a time."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from analyses.core.contract import Arrays, Observed

WEIGHTS, EXPERIMENT = "weights", "experiment"
"""Of a model's label and an analysis, between them: the names of what hangs on no prompt and of what hangs on all."""

_TEXT = ":text"
"""Behind the name of an array of texts, which shards keep as the bytes of their JSON."""


@runtime_checkable
class Shards(Protocol):
    """Where the observations of shards are kept by name: a run's folder, or a dictionary."""

    def __contains__(self, name: str, /) -> bool:
        """Whether a shard is there, whole."""

    def __getitem__(self, name: str, /) -> Arrays:
        """The arrays of a shard."""

    def __setitem__(self, name: str, arrays: Arrays, /) -> None:
        """Keep a shard."""


@dataclass(frozen=True, slots=True, eq=False)
class Observations:
    """What one model gave to every analysis, all of it in shards.

    Attributes:
        store: where the shards are.
        label: what the names of the model's shards begin with.
        shards: those of prompts without the name of the analysis, in the order of the prompts.
        examined: analyses that have numbers from the weights alone.
        experimented: analyses that have numbers of an experiment.
    """

    store: Shards
    label: str
    shards: tuple[str, ...]
    examined: tuple[str, ...]
    experimented: tuple[str, ...]

    def of(self, analysis: str) -> Observed:
        """What one analysis observed; its shards are read now, so that a run holds one analysis at a time."""
        parts = [dict(self.store[shard_name(shard, analysis)]) for shard in self.shards]
        # Parts are let go as soon as they are joined.
        prompts = {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
        weights, experiment = (
            unpacked(self.store[shard_name(f"{self.label}-{kind}", analysis)]) if analysis in there else {}
            for kind, there in ((WEIGHTS, self.examined), (EXPERIMENT, self.experimented))
        )
        return Observed(prompts, weights, experiment)


def shard_name(shard: str, analysis: str) -> str:
    """The name of what one analysis gave in one shard."""
    return f"{shard}-{analysis}"


def make_missing(store: Shards, place: str, make: Callable[[], Arrays]) -> None:
    """Makes a shard, numbers and texts, unless it is there.

    Args:
        store: where it is kept.
        place: its name.
        make: gives its arrays.
    """
    if place not in store:
        store[place] = packed(make())


def packed(arrays: Arrays) -> dict[str, np.ndarray]:
    """Arrays as shards keep them: numbers as they are, texts as the bytes of their JSON.

    Args:
        arrays: numbers and texts.
    """
    found = {}
    for name, values in arrays.items():
        array = np.asarray(values)
        if array.dtype.kind in "OU":
            kept = json.dumps([list(array.shape), array.dtype.str, array.ravel().tolist()])
            found[name + _TEXT] = np.frombuffer(kept.encode(), np.uint8)
        else:
            found[name] = array
    return found


def unpacked(arrays: Arrays) -> Arrays:
    """What `packed` was given.

    Args:
        arrays: as a shard has them.
    """
    found = {}
    for name, values in arrays.items():
        if name.endswith(_TEXT):
            shape, kind, texts = json.loads(values.tobytes())
            found[name.removesuffix(_TEXT)] = np.array(texts, dtype=kind).reshape(shape)
        else:
            found[name] = values
    return found
