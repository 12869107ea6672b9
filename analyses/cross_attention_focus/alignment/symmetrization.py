"""Two directions into one alignment (Och and Ney 2003; Koehn et al. 2003).

intersection            links that both directions give: precise, few
union                   links that either gives: many, imprecise
grow-diag               from the intersection on, as long as something changes, add a link that one direction gives, if it touches
                        a link already there (also corner to corner) and neither its source word nor its target word has a link
grow-diag-final         then add every link of the first direction, and of the second, neither of whose words has a link
grow-diag-either,       the same for links of which at least one word has no link yet, as Koehn et al. 2003 describe it: there are
grow-diag-final-either  more of them

The published tables of neural aligners (Zenkel et al. 2019) are made by scripts that ask for both words to be free.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import product
from typing import Literal, get_args

from interp.text.word_links import Link, Links

Merge = Literal["intersection", "union", "grow-diag", "grow-diag-final", "grow-diag-either", "grow-diag-final-either"]
MERGES: tuple[Merge, ...] = get_args(Merge)

Free = Literal["both", "either"]
"""Which words of a link must have none before it is added."""

_NEIGHBORS = ((0, 1), (-1, -1), (-1, 1), (1, 1), (1, -1), (-1, 0), (1, 0), (0, -1))
"""In the order in which the scripts behind the published tables come to try them, which decides between rivals."""


def both_directions(forward: Sequence[Links], backward: Sequence[Links], merge: Merge = "grow-diag") -> list[Links]:
    """Merge the links of two runs over the same pairs, the second of which translated the other way.

    Args:
        forward: links as (source word, target word).
        backward: links of the reversed pairs, whose source words are the target words of `forward`.
        merge: how.
    """
    return [_MERGED[merge](one, flipped(other)) for one, other in zip(forward, backward, strict=True)]


def flipped(links: Links) -> Links:
    """The same links seen from the other side."""
    return frozenset((target, source) for source, target in links)


def grow_diagonal(forward: Links, backward: Links, free: Free = "both") -> Links:
    """Links of both directions, and their neighbors whose words are free.

    Args:
        forward: as (source word, target word).
        backward: the same.
        free: whether both words of a new link must be without a link, or one of them.
    """
    candidates, grown = forward | backward, set(forward & backward)
    places = [1 + max((link[side] for link in candidates), default=-1) for side in (0, 1)]
    size = -1
    while size < len(grown):
        size = len(grown)
        for source, target in product(*map(range, places)):
            if (source, target) in grown:
                for down, right in _NEIGHBORS:
                    link = (source + down, target + right)
                    if link in candidates and _is_free(link, grown, free):
                        grown.add(link)
    return frozenset(grown)


def grow_diagonal_final(forward: Links, backward: Links, free: Free = "both") -> Links:
    """`grow_diagonal`, then links of either direction whose words are still free.

    Args:
        forward: as (source word, target word).
        backward: the same.
        free: whether both words of a new link must be without a link, or one of them.
    """
    grown = set(grow_diagonal(forward, backward, free))
    for direction in (forward, backward):
        for link in sorted(direction):
            if _is_free(link, grown, free):
                grown.add(link)
    return frozenset(grown)


def _is_free(link: Link, grown: set[Link], free: Free) -> bool:
    without = (all(link[side] != other[side] for other in grown) for side in (0, 1))
    return all(without) if free == "both" else any(without)


_MERGED: Mapping[Merge, Callable[[Links, Links], Links]] = {
    "intersection": frozenset.intersection,
    "union": frozenset.union,
    "grow-diag": grow_diagonal,
    "grow-diag-final": grow_diagonal_final,
    "grow-diag-either": partial(grow_diagonal, free="either"),
    "grow-diag-final-either": partial(grow_diagonal_final, free="either"),
}
