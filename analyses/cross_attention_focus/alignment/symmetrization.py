"""Two directions into one alignment (Och and Ney 2003; Koehn et al. 2003).

intersection      links that both directions give: precise, few
union             links that either gives: many, imprecise
grow-diag         from the intersection on, as long as something changes, add a link that one direction gives, if it touches a
link already there (also corner to corner) and its source word or its target word has no link yet
grow-diag-final   then add every link of the first direction, and of the second, whose source word or target word still
has no link
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal, get_args

from interp.text.word_links import Links

Merge = Literal["intersection", "union", "grow-diag", "grow-diag-final"]
MERGES: tuple[Merge, ...] = get_args(Merge)

_NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


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


def grow_diagonal(forward: Links, backward: Links) -> Links:
    """Merge the links of both directions, each given as (source word, target word)."""
    candidates = forward | backward
    grown = set(forward & backward)
    sources, targets = {source for source, _ in grown}, {target for _, target in grown}
    changed = True
    while changed:
        changed = False
        for source, target in sorted(grown):
            for down, right in _NEIGHBOURS:
                link = (source + down, target + right)
                if link in candidates and link not in grown and (link[0] not in sources or link[1] not in targets):
                    grown.add(link)
                    sources.add(link[0])
                    targets.add(link[1])
                    changed = True
    return frozenset(grown)


def grow_diagonal_final(forward: Links, backward: Links) -> Links:
    """`grow_diagonal`, then links of either direction for words that have none yet."""
    grown = set(grow_diagonal(forward, backward))
    sources, targets = {source for source, _ in grown}, {target for _, target in grown}
    for direction in (forward, backward):
        for source, target in sorted(direction):
            if source not in sources or target not in targets:
                grown.add((source, target))
                sources.add(source)
                targets.add(target)
    return frozenset(grown)


_MERGED: Mapping[Merge, Callable[[Links, Links], Links]] = {
    "intersection": frozenset.intersection,
    "union": frozenset.union,
    "grow-diag": grow_diagonal,
    "grow-diag-final": grow_diagonal_final,
}
