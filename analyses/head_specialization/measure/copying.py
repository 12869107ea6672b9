"""Which heads raise the logit of the token they read?

The circuit of a head from an embedding to the logits is OV = E diag(g) W_V W_O diag(g_F) W_U^T. Its eigenvalues say whether
tokens raise themselves (positive) or lower themselves (negative): score = Re sum(lambda) / sum |lambda|, from -1 to 1 (Elhage
et al. 2021). The nonzero ones are those of the d_head x d_head matrix W_O diag(g_F) G diag(g) W_V with G = W_U^T E; E is
centered over the vocabulary, because its mean is one large direction that every head shares. g is the gain before the
attention (cross-attention: of the encoder's final norm). The scales of the norms are positive and left out: they change no
sign, but they do change sizes.

The null keeps the singular values of W_V and W_O and turns both by random orthogonal matrices [ours]. Ranks among
200 draws reach no p below 0.005, too coarse for a correction over all heads and roles, so p is Student's t for one more draw, of
arctanh(score) [ours]. Heads below the threshold cannot be copying heads; their null is not drawn unless it is asked for.

`copy_hits` asks it of real states, which need not lie where the embeddings do.
"""

import math
from dataclasses import dataclass

import numpy as np
import scipy.stats
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from interp.axes import AttentionKind
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights, embedding, norm_gain, unembedding

KINDS: tuple[AttentionKind, ...] = ("decoder", "cross")
"""Attention with a direct path from tokens to logits."""

_LARGEST = 1.0 - 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class CopyScores:
    """Eigenvalue scores of the heads of one kind.

    Attributes:
        score: of every head; NaN for heads that write nothing.
        null: of the same head with its matrices turned at random; NaN where it was not drawn.
    """

    score: Float[np.ndarray, "layer head"]
    null: Float[np.ndarray, "draw layer head"]

    @property
    def p_value(self) -> Float[np.ndarray, "layer head"]:
        """P of a score as high as this among turned matrices; 1 where the null was not drawn, NaN without a score."""
        draws = len(self.null)
        score, null = (np.arctanh(np.clip(values, -_LARGEST, _LARGEST)) for values in (self.score, self.null))
        with np.errstate(divide="ignore", invalid="ignore"):
            mean, spread = null.mean(0), null.std(0, ddof=1) * np.sqrt(1 + 1 / draws)
            p = scipy.stats.t.sf((score - mean) / spread, draws - 1)
        return np.asarray(np.where(np.isnan(self.score), np.nan, np.where(np.isnan(p), 1.0, p)))


def copy_scores(
    model: HookedEncoderDecoder, kind: AttentionKind, draws: int = 200, seed: int = 0, least: float = -math.inf
) -> CopyScores:
    """Scores of all decoder self- or cross-attention heads with their nulls.

    Args:
        model: any model; only weights are read.
        kind: `decoder` or `cross`; encoder heads have no direct path to the logits.
        draws: random turns of every head, at least 2.
        seed: of the turns.
        least: heads with a score below this get no null.

    Raises:
        ValueError: for encoder heads.
    """
    if kind == "encoder":
        raise ValueError("Encoder heads have no direct path to the logits; give 'decoder' or 'cross'.")
    generator = torch.Generator().manual_seed(seed)
    scores, nulls = [], []
    with torch.no_grad():
        table = embedding(model).float()
        gram = unembedding(model).float().T @ (table - table.mean(0))
        for layer in range(model.cfg.n_decoder_layers):
            weights = attention_weights(model, kind, layer)
            gains = norm_gain(model, "decoder.ln_final")[:, None] * gram * input_gain(model, kind, layer)
            W_V, W_O = weights.W_V.float(), weights.W_O.float()
            found = _score(W_O @ gains.float() @ W_V)
            drawn = found >= least
            null = found.new_full((draws, len(found)), torch.nan)
            if drawn.any():
                null[:, drawn] = _turned(W_V[drawn], W_O[drawn], gains.float(), draws, generator)
            scores.append(found)
            nulls.append(null)
    return CopyScores(torch.stack(scores).cpu().numpy(), torch.stack(nulls, 1).cpu().numpy())


def input_gain(model: HookedEncoderDecoder, kind: AttentionKind, layer: int) -> Float[Tensor, " d_model"]:
    """The gain of the norm that keys and values are made from."""
    if kind == "cross":
        return norm_gain(model, "encoder.ln_final")
    return norm_gain(model, f"decoder.{layer}.ln1")


def _score(circuit: Float[Tensor, "*leading d_head other"]) -> Float[Tensor, "*leading"]:
    values: Complex[Tensor, "*leading d_head"] = torch.linalg.eigvals(circuit)
    size = values.abs().sum(-1)
    return torch.where(size > 0, values.real.sum(-1) / size.clamp(min=1e-30), torch.nan)


def _turned(
    W_V: Float[Tensor, "head d_model d_head"],
    W_O: Float[Tensor, "head d_head d_model"],
    gains: Float[Tensor, "d_model other"],
    draws: int,
    generator: torch.Generator,
) -> Float[Tensor, "draw head"]:
    """Scores with W_V = U S V^T replaced by U' S V^T, U' of random orthonormal columns, and W_O likewise.

    One pair of random bases serves all heads of a layer, so that the large product is taken once for each draw.
    """
    d_model, d_head = W_V.shape[1:]
    right = torch.linalg.svd(W_V, full_matrices=False)
    left = torch.linalg.svd(W_O, full_matrices=False)
    reads, writes = right.S[..., None] * right.Vh, left.U * left.S[:, None]
    scores = []
    for _ in range(draws):
        first, second = (
            torch.linalg.qr(torch.randn(d_model, d_head, generator=generator)).Q.to(W_V.device) for _ in range(2)
        )
        scores.append(_score(writes @ (first.T @ gains @ second) @ reads))
    return torch.stack(scores)
