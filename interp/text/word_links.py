"""Word links between a text and its translation, and how gold ones are written: `3-4` is sure, `3p4` or `3?4` is possible.

Links are (source word, target word). The sure links of a sentence are among its possible ones (Och and Ney 2003).
"""

import re
from dataclasses import dataclass

Link = tuple[int, int]
"""(source word, target word), both counted from 0."""

Links = frozenset[Link]

_LINK = re.compile(r"(\d+)([-p?])(\d+)", re.ASCII)


@dataclass(frozen=True, slots=True)
class Gold:
    """The gold links of one sentence pair: those that must be found, and those that may be, the sure ones among them."""

    sure: Links
    possible: Links

    def outside(self, size: tuple[int, int]) -> Link | None:
        """The first link of a word that is not there, which would count as one that no aligner finds; None if all are.

        Args:
            size: how many words source and target have.
        """
        return next((link for link in sorted(self.possible) if link[0] >= size[0] or link[1] >= size[1]), None)


def read_link(entry: str) -> tuple[int, int, bool] | None:
    """The two numbers of a written link, in the order written, and whether it is sure; None if this is no link.

    Args:
        entry: for example `3-4`, `3p4` or `3?4`.
    """
    match = _LINK.fullmatch(entry)
    return None if match is None else (int(match[1]), int(match[3]), match[2] == "-")
