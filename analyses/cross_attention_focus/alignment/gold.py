"""Gold alignments in the usual text format: one sentence a line, links such as `3-4` (sure) and `3p4` (possible).

Numbers count words from 0 or from 1; which of the two cannot be told from the file, so the caller says. Links are kept as
(source word, target word) counted from 0; a file written target first is flipped.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from interp.errors import InputError
from interp.text.word_links import Gold, Link, Links, read_link

ScoredLinks = Mapping[Link, float]
"""Link -> share of the target word's reading that lies on the source word."""


def read_gold(text: str, first: Literal[0, 1], target_first: bool = False) -> tuple[Gold, ...]:
    """Read a gold file.

    Args:
        text: its content; an empty line is a sentence pair without links.
        first: the number of the first word, 0 or 1.
        target_first: whether links are written target-source.

    Raises:
        InputError: naming line and link, if something is no link or its number is below `first`.
    """
    lines = text.removeprefix("\ufeff").splitlines()
    if not any(line.strip() for line in lines):
        raise InputError("The gold file has no links; expected lines such as `0-0 1-2 2p3`.")
    return tuple(_sentence(line, number, first, target_first) for number, line in enumerate(lines, start=1))


def write_links(
    links: Sequence[Links | ScoredLinks], first: int = 0, target_first: bool = False, scores: bool = False
) -> str:
    """Links as `read_gold` reads them, all of them sure, one sentence a line; with scores `3-4:0.871`.

    Args:
        links: of every sentence.
        first: the number of the first word, 0 or 1.
        target_first: whether links are written target-source.
        scores: whether each is followed by its share; then all sentences have some.
    """

    def written(link: Link, given: Links | ScoredLinks) -> str:
        left, right = reversed(link) if target_first else link
        score = f":{given[link]:.3f}" if scores and isinstance(given, Mapping) else ""
        return f"{left + first}-{right + first}{score}"

    return "".join(" ".join(written(link, given) for link in sorted(given)) + "\n" for given in links)


def _sentence(line: str, number: int, first: int, target_first: bool) -> Gold:
    links = list(_links(line, number, first, target_first))
    return Gold(frozenset(link for link, sure in links if sure), frozenset(link for link, _ in links))


def _links(line: str, number: int, first: int, target_first: bool) -> Iterator[tuple[Link, bool]]:
    for entry in line.split():
        found = read_link(entry)
        if found is None:
            raise InputError(
                f"Line {number} of the gold file has {entry!r}; a link is written `3-4` (sure), `3p4` or `3?4` (possible)."
            )
        left, right, sure = found[0] - first, found[1] - first, found[2]
        if left < 0 or right < 0:
            raise InputError(
                f"Line {number} of the gold file has {entry!r}, but words were said to count from {first}; count them from 0."
            )
        yield ((right, left) if target_first else (left, right)), sure
