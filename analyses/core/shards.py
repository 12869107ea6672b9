"""Shards: where what models gave is kept, a few prompts at a time, and read back one analysis at a time."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np

from analyses.core.contract import Arrays, Observed


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
    """What one model gave to every analysis.

    Attributes:
        store: where the shards are.
        shards: their names without that of the analysis, in the order of the prompts.
        weights: analysis -> numbers from the weights alone.
        experiments: analysis -> numbers of its experiment.
    """

    store: Shards
    shards: tuple[str, ...]
    weights: Mapping[str, Arrays]
    experiments: Mapping[str, Arrays]

    def of(self, analysis: str) -> Observed:
        """What one analysis observed; its shards are read now, so that a run holds one analysis at a time."""
        parts = [dict(self.store[shard_name(shard, analysis)]) for shard in self.shards]
        # Parts are let go as soon as they are joined.
        prompts = {name: np.concatenate([part.pop(name) for part in parts]) for name in list(parts[0])}
        return Observed(prompts, self.weights[analysis], self.experiments[analysis])


def shard_name(shard: str, analysis: str) -> str:
    """The name of what one analysis gave in one shard."""
    return f"{shard}-{analysis}"
