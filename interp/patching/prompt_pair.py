"""One minimal pair as texts; alone here, so that files of pairs are read before torch comes."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PromptPair:
    """Texts of one minimal pair.

    Attributes:
        id: its name.
        kind: what differs, e.g. `gender`.
        clean: the clean source, task prefix included.
        corrupted: the corrupted source.
        clean_target: how the clean source's target begins, up to the answer at least.
        corrupted_target: how the corrupted source's target begins.
        row: which target token answers, from 0, where it is not the first one that differs; what comes before may differ too.
    """

    id: str
    kind: str
    clean: str
    corrupted: str
    clean_target: str
    corrupted_target: str
    row: int | None = None
