"""How much does a head move when it looks at a special token?

A head's write from key k is its weight times f(k) = W_O W_V x_k, so a sink may carry mass and write nothing: large weight, small
norm (Kobayashi et al. 2020). The number is ||f|| on the keys of a category over ||f|| on all keys, means over keys of one prompt.
"""

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from interp.axes import HeadVectors

HOOKS = ("encoder.*.attn.hook_v", "decoder.*.attn.hook_v", "decoder.*.cross_attn.hook_v")


def value_norms(v: HeadVectors, W_O: Float[Tensor, "head d_head d_model"]) -> Float[Tensor, "batch head pos"]:
    """||W_O v|| at every position, through the d_head x d_head matrix W_O W_O^T."""
    gram = torch.einsum("hkd,hjd->hkj", W_O, W_O).to(v.dtype)
    squared = torch.einsum("bphk,hkj,bphj->bhp", v, gram, v)
    return squared.clamp(min=0.0).sqrt()


def relative_norm(
    norms: Float[Tensor, "batch head pos"], members: Bool[Tensor, "batch pos"], keys: Bool[Tensor, "batch pos"]
) -> Float[Tensor, "batch head"]:
    """Mean norm on some keys over the mean norm on all real keys; NaN without such keys."""
    inside = members & keys
    some, every = ((norms * chosen[:, None]).sum(-1) / chosen.sum(-1)[:, None] for chosen in (inside, keys))
    return torch.where(inside.any(-1)[:, None], some / every, torch.nan)
