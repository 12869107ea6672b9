"""Does a head attend at a fixed distance?

For every offset o = key - query of a window, over the rows q of one prompt that have a legal key q + o:

    share(o) = mean_q [argmax_k a(q, k) = q + o]      Voita et al. 2019: positional if some share reaches 0.90
    mass(o)  = mean_q a(q, q + o)                     Clark et al. 2019: previous / next if above 0.50
    chance(o)                                         the share if rows were exchanged

The chance level is the row-permutation null in closed form: row q chooses the key k as often as the other rows that may
choose it do. A head that always looks at the first token has share 1 at the largest offset of its prompt and chance 1 there.
Ties of the strongest key are counted and support no offset [ours; to the lowest index, a head that spreads evenly over a bucket
of several distances would seem to sit at its far end].

A row whose key at an offset is also a sink (the first token, the end of the sentence, the prefix) cannot tell a positional head
from a sink; for roles such rows are left out (`targets`): of a target of one word nothing is left that could tell them apart.
"""

from typing import NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.attention_metrics import strongest_key


class OffsetStatistics(NamedTuple):
    """Statistics of every offset from -window to +window, for each prompt and head; NaN where no row has such a key."""

    share: Float[Tensor, "batch head offset"]
    chance: Float[Tensor, "batch head offset"]
    mass: Float[Tensor, "batch head offset"]
    tied: Float[Tensor, "batch head"]


def eligible_rows(legal: Bool[Tensor, "batch query key"], window: int) -> Float[Tensor, "batch offset"]:
    """Number of rows of each prompt that have a legal key at each offset."""
    return torch.stack([_diagonal(legal, offset).sum(-1) for offset in range(-window, window + 1)], -1).float()


def offset_statistics(
    pattern: Float[Tensor, "batch head query key"],
    legal: Bool[Tensor, "batch query key"],
    window: int,
    targets: Bool[Tensor, "batch query key"] | None = None,
) -> OffsetStatistics:
    """Share, chance and mass of every offset of one layer.

    Args:
        pattern: attention weights.
        legal: legal keys of the rows that count; other rows are empty.
        window: largest offset looked at.
        targets: legal keys that may stand at an offset; a row whose key there is not among them is left out for that offset.
    """
    targets = legal if targets is None else targets
    batch, n_heads = pattern.shape[:2]
    strongest = strongest_key(pattern, legal[:, None])
    row = legal.any(-1)[:, None]
    rows = eligible_rows(targets, window)[:, None].expand(batch, n_heads, 2 * window + 1)
    chosen = torch.zeros_like(pattern).scatter_(-1, strongest.key.clamp(min=0)[..., None], 1.0)
    chosen = torch.where(legal[:, None] & ~strongest.tied[..., None], chosen, 0.0)
    # How often a key is chosen by the rows that may choose it.
    popularity = chosen.sum(-2) / legal.sum(-2).clamp(min=1)[:, None]
    expected = torch.where(legal[:, None], popularity[:, :, None, :].expand_as(pattern), 0.0)
    counted = torch.where(legal[:, None], pattern, 0.0)
    parts = [torch.where(targets[:, None], part, 0.0) for part in (chosen, expected, counted)]
    totals = [
        torch.stack([_diagonal(part, offset).sum(-1) for offset in range(-window, window + 1)], -1) for part in parts
    ]
    share, chance, mass = (torch.where(rows > 0, total / rows.clamp(min=1), torch.nan) for total in totals)
    tied = (strongest.tied & row).sum(-1) / row.sum(-1).clamp(min=1)
    return OffsetStatistics(share, chance, mass, tied)


def _diagonal(matrix: Tensor, offset: int) -> Tensor:
    """Entries (q, q + offset) of the last two axes; empty outside the matrix."""
    if -matrix.shape[-2] < offset < matrix.shape[-1]:
        return matrix.diagonal(offset, -2, -1)
    return matrix[..., 0, :0]
