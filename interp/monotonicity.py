"""Which way does reading move through the source, and how evenly does it cover it?

Read from the center of mass mu_t of every decoder row t on the content span:

    monotonicity   Kendall's tau-b of mu_t with t: 1 if the reader only moves forward
    diagonality    Pearson's r of mu_t with t: 1 if it moves at a constant pace
    coverage       c_s = sum_t a[t, s], the attention a source token gets in all; its evenness is the entropy of c_s over
                   the span divided by ln n, 1 if every token gets the same (the evenness is our summary of c_s)

Rows without a center (too little weight on the span, padding) are left out; fewer than three rows have no direction.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.statistics import NEAR_TIE

_FEWEST_ROWS = 3


def monotonicity(
    centers: Float[Tensor, "*leading target"], mask: Bool[Tensor, "*#leading target"]
) -> Float[Tensor, "*leading"]:
    """Kendall's tau-b of the centers with their row number; NaN for fewer than three rows or if all centers are equal.

    A pair of centers nearer than `NEAR_TIE` counts in part, so that rounding cannot turn it round.

    Args:
        centers: center of mass of every row, in tokens; NaN where a row has none.
        mask: rows that count.
    """
    defined = mask & ~centers.isnan()
    known = torch.where(defined, centers, 0.0)
    pairs = (defined[..., :, None] & defined[..., None, :]).triu(1)
    steps = torch.where(pairs, ((known[..., None, :] - known[..., :, None]) / NEAR_TIE).clamp(-1.0, 1.0), 0.0)
    total, untied = pairs.sum((-1, -2)), steps.abs().sum((-1, -2))
    tau = steps.sum((-1, -2)) / (total * untied).sqrt()
    return torch.where((defined.sum(-1) >= _FEWEST_ROWS) & (untied > 0), tau, torch.nan)


def diagonality(
    centers: Float[Tensor, "*leading target"], mask: Bool[Tensor, "*#leading target"]
) -> Float[Tensor, "*leading"]:
    """Pearson's correlation of the centers with their row number; NaN where `monotonicity` is.

    Args:
        centers: center of mass of every row, in tokens; NaN where a row has none.
        mask: rows that count.
    """
    defined = (mask & ~centers.isnan()).expand(centers.shape)
    number = defined.sum(-1, keepdim=True).clamp(min=1)
    rows = torch.arange(centers.shape[-1], dtype=centers.dtype, device=centers.device).expand(centers.shape)

    def centered(values: Tensor) -> Tensor:
        inside = torch.where(defined, values, 0.0)
        return torch.where(defined, values - inside.sum(-1, keepdim=True) / number, 0.0)

    places, times = centered(centers), centered(rows)
    lengths = torch.linalg.vector_norm(places, dim=-1) * torch.linalg.vector_norm(times, dim=-1)
    # Equal centers leave a length of rounding size, whose correlation would be noise.
    enough = (defined.sum(-1) >= _FEWEST_ROWS) & (lengths > 1e-6)
    return torch.where(enough, ((places * times).sum(-1) / lengths).clamp(-1.0, 1.0), torch.nan)


def coverage(
    pattern: Float[Tensor, "*leading target source"], target_mask: Bool[Tensor, "*#leading target"]
) -> Float[Tensor, "*leading source"]:
    """c_s = sum over real rows of the weight on source token s; undefined rows count as none.

    Args:
        pattern: attention.
        target_mask: real rows.
    """
    return torch.where(target_mask[..., None], pattern, 0.0).nan_to_num(0.0).sum(-2)
