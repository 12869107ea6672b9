"""How much does a source token really add to what a cross-attention head writes?

A weight says how much of a token is read, not how much there is to read. T5 has no value bias, so a head's write at
decoder row t is exactly a sum over source tokens s (Kobayashi et al. 2020, there with a bias; Ferrando et al. 2022):

    result[h, t] = sum_s a[h, t, s] f_h(M_s),     f_h(M_s) = M_s W_V[h] W_O[h] = v[h, s] W_O[h]

    of a head    || a[h, t, s] f_h(M_s) ||          = a[h, t, s] || f_h(M_s) ||, because a >= 0
    of a layer   || sum_h a[h, t, s] f_h(M_s) ||    the norm of the sum: heads may cancel

Only norms are formed: the layer's norm is the quadratic form a G a with G[h, g] = <f_h(M_s), f_g(M_s)>, so the cost is that
of H x H numbers a source token, and no [head target source d_model] tensor ever exists.
"""

import torch
from einops import einsum
from jaxtyping import Float
from torch import Tensor

from interp.hooks.attention import of_every_head


def source_vectors(
    values: Float[Tensor, "batch source group d_head"], W_O: Float[Tensor, "head d_head d_model"]
) -> Float[Tensor, "batch source head d_model"]:
    """f_h(M_s): what each head would write if it put all its weight on one source token.

    Args:
        values: `hook_v` of one attention layer; several heads may share one group of values.
        W_O: the output matrix of that layer.
    """
    values = of_every_head(values, len(W_O), 2)
    vectors: Tensor = einsum(values, W_O, "batch source head d_head, head d_head d_model -> batch source head d_model")
    return vectors


def head_norms(
    pattern: Float[Tensor, "batch head target source"], vectors: Float[Tensor, "batch source head d_model"]
) -> Float[Tensor, "batch head target source"]:
    """Length of every head's term of every source token, || a f(M_s) ||, in units of the residual stream.

    Args:
        pattern: attention weights.
        vectors: of `source_vectors`.
    """
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=-1)
    return pattern * lengths.transpose(1, 2)[:, :, None, :]


def layer_norms(
    pattern: Float[Tensor, "batch head target source"], vectors: Float[Tensor, "batch source head d_model"]
) -> Float[Tensor, "batch target source"]:
    """Length of the layer's term of every source token, || sum_h a_h f_h(M_s) ||.

    Args:
        pattern: attention weights.
        vectors: of `source_vectors`.
    """
    gram = vectors @ vectors.mT
    weights = pattern.permute(0, 3, 2, 1)  # batch source target head
    # Rounding can push a sum of squares that cancels to just below zero.
    squares = ((weights @ gram) * weights).sum(-1).clamp(min=0.0)
    return squares.sqrt().transpose(1, 2)


def shares(lengths: Float[Tensor, "*leading target source"]) -> Float[Tensor, "*leading target source"]:
    """Lengths as shares of their row, so that rows sum to 1 as attention weights do; NaN for a row of zeros.

    Args:
        lengths: of heads or layers.
    """
    total = lengths.sum(-1, keepdim=True)
    return torch.where(total > 0, lengths / total, torch.nan)
