"""Two directions into one alignment: grow-diagonal (Koehn, Och and Marcu 2003).

Start with the links that both directions give. As long as something changes, add a link that one direction gives, if it touches
a link already there (also corner to corner) and its source word or its target word has no link yet.
"""

from collections.abc import Sequence

from analyses.cross_attention_focus.alignment.gold import Links

_NEIGHBOURS = ((-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1))


def both_directions(forward: Sequence[Links], backward: Sequence[Links]) -> list[Links]:
    """Merge the links of two runs over the same pairs, the second of which translated the other way.

    Args:
        forward: links as (source word, target word).
        backward: links of the reversed pairs, whose source words are the target words of `forward`.
    """
    return [
        grow_diagonal(one, frozenset((target, source) for source, target in other))
        for one, other in zip(forward, backward, strict=True)
    ]


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
