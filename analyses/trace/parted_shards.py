"""Where the shards of several models are kept apart: a run's folder (`analyses.runs.run_folder.Staging`), or a dictionary."""

from typing import Protocol

from analyses.core.contract import Arrays
from analyses.core.shards import Shards


class PartedShards(Shards, Protocol):
    """Shards of several models."""

    def for_part(self, part: str) -> "PartedShards":
        """The same place for one of them."""


class InMemory(dict[str, Arrays]):
    """Shards in a dictionary, those of several models apart by what their names begin with."""

    def __init__(self, kept: dict[str, Arrays], part: str = "") -> None:
        super().__init__()
        self.kept, self.part = kept, part

    def for_part(self, part: str) -> "InMemory":
        """The same dictionary for one of them."""
        return InMemory(self.kept, f"{part}-")

    def __contains__(self, name: object) -> bool:
        return f"{self.part}{name}" in self.kept

    def __getitem__(self, name: str) -> Arrays:
        return self.kept[f"{self.part}{name}"]

    def __setitem__(self, name: str, arrays: Arrays) -> None:
        self.kept[f"{self.part}{name}"] = arrays
