"""Shards: where what models gave is kept, a few prompts at a time, and read back one analysis at a time."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from analyses.core.arrays import joined
from analyses.core.contract import Arrays, Observed


@runtime_checkable
class Shards(Protocol):
    """Where observations of shards are kept: a run's folder, or memory."""

    def has_shard(self, name: str) -> bool:
        """Whether a shard is there, whole."""

    def read_shard(self, name: str, prefix: str = "") -> dict[str, np.ndarray] | None:
        """The arrays of a shard whose names begin with a prefix, or None if the shard is not there whole."""

    def write_shard(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a shard."""


class MemoryShards:
    """Keeps shards in memory, where all is computed in one go."""

    def __init__(self) -> None:
        self._shards: dict[str, Mapping[str, np.ndarray]] = {}

    def has_shard(self, name: str) -> bool:
        """Whether a shard was written."""
        return name in self._shards

    def read_shard(self, name: str, prefix: str = "") -> dict[str, np.ndarray] | None:
        """The arrays of a shard whose names begin with a prefix."""
        return {key: values for key, values in self._shards[name].items() if key.startswith(prefix)}

    def write_shard(self, name: str, arrays: Mapping[str, np.ndarray]) -> None:
        """Keep a shard."""
        self._shards[name] = arrays


@dataclass(frozen=True, slots=True, eq=False)
class Observations(Mapping[str, Observed]):
    """What one model gave to every analysis: analysis name -> what was observed, prompts in order.

    Numbers of prompts are read from the shards when an analysis is looked up, so that a run holds one analysis at a time.

    Attributes:
        store: where the shards are.
        shards: their names, in the order of the prompts.
        weights: analysis -> numbers from the weights alone.
        experiments: analysis -> numbers of its experiment.
    """

    store: Shards
    shards: tuple[str, ...]
    weights: Mapping[str, Arrays]
    experiments: Mapping[str, Arrays]

    def __getitem__(self, analysis: str) -> Observed:
        prefix = f"{analysis}/"
        weights = self.weights[analysis]
        parts = [self.store.read_shard(shard, prefix) for shard in self.shards]
        whole = [part for part in parts if part is not None]
        assert len(whole) == len(parts), f"a shard of {analysis} was lost while the run was going on"
        numbers = {name.removeprefix(prefix): values for name, values in joined(whole).items()}
        return Observed(numbers, weights, self.experiments[analysis])

    def __iter__(self) -> Iterator[str]:
        return iter(self.weights)

    def __len__(self) -> int:
        return len(self.weights)
