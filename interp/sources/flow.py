"""From the mixing of single sublayers to the mixing of a whole encoder-decoder (Ferrando et al. 2022, section 3).

A sublayer's step is a matrix whose rows say of what each output token is made; rows of real tokens sum to 1. In the decoder
the residual of cross-attention is one more column, so C_x is [target source+1]:

    encoder          R = C_L ... C_1
    decoder layer    C' = C_x[:, -1] * C_self            what cross-attention leaves of the stream, row by row
                     src <- C' src + C_x[:, :-1] R       from the source tokens;  src = 0 before the first layer
                     tgt <- C' tgt                       from the target tokens;  tgt = I before the first layer

so every row of [src | tgt] sums to 1 after every layer, and tgt is 0 above its diagonal because C_self is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float
from torch import Tensor


@dataclass(frozen=True, slots=True, eq=False)
class Flow:
    """Of which input tokens every decoder row is made, after every decoder layer.

    Attributes:
        source: shares of the source tokens.
        target: shares of the decoder's input tokens; 0 for later ones. A row of both sums to 1; padded rows are 0.
    """

    source: Float[Tensor, "batch layer target source"]
    target: Float[Tensor, "batch layer target prefix"]


@dataclass(frozen=True, slots=True, eq=False)
class Steps:
    """The mixing of every sublayer; a list entry is a layer.

    Attributes:
        encoder: of encoder self-attention.
        decoder: of decoder self-attention.
        cross: of cross-attention, the decoder's own stream in the last column.
    """

    encoder: Sequence[Float[Tensor, "batch source source"]]
    decoder: Sequence[Float[Tensor, "batch target target"]]
    cross: Sequence[Float[Tensor, "batch target source_and_residual"]]


def compose(steps: Steps) -> Flow:
    """The steps of both stacks multiplied, with the result after every decoder layer.

    Args:
        steps: the mixing of every sublayer.
    """
    first = steps.encoder[0]
    memory = torch.eye(first.shape[-1], dtype=first.dtype, device=first.device).expand(first.shape)
    for step in steps.encoder:
        memory = step @ memory
    n_target = steps.decoder[0].shape[-1]
    target = torch.eye(n_target, dtype=first.dtype, device=first.device).expand(first.shape[0], -1, -1)
    source = torch.zeros_like(steps.cross[0][..., :-1])
    sources, targets = [], []
    for own, cross in zip(steps.decoder, steps.cross, strict=True):
        kept = cross[..., -1:] * own
        source = kept @ source + cross[..., :-1] @ memory
        target = kept @ target
        sources.append(source)
        targets.append(target)
    return Flow(torch.stack(sources, 1), torch.stack(targets, 1))


def real_rows(
    step: Float[Tensor, "batch query key"], mask: Bool[Tensor, "batch query"]
) -> Float[Tensor, "batch query key"]:
    """The step with rows of padding set to 0, so that nothing odd that happens there can spread.

    Args:
        step: of one sublayer.
        mask: True at real rows.
    """
    return torch.where(mask[..., None], step, 0.0)
