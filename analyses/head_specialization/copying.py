"""Which heads raise the logit of the token they read?

The circuit of a head from an embedding to the logits is OV = E diag(g) W_V W_O diag(g_F) W_U^T. Its eigenvalues say whether
tokens raise themselves (positive) or lower themselves (negative): score = Re sum(lambda) / sum |lambda|, from -1 to 1 (Elhage
et al. 2021). The nonzero ones are those of the d_head x d_head matrix W_O diag(g_F) G diag(g) W_V with G = W_U^T E; E is
centred over the vocabulary, because its mean is one large direction that every head shares. g is the gain before the
attention (cross-attention: of the encoder's final norm). The scales of the norms are positive and left out: they change no
sign, but they do change sizes.

The null keeps the singular values of W_V and W_O and turns both by random orthogonal matrices [ours, methods A.6].

`copy_hits` asks it of real states: is the token among the five most raised by its own write? (Wang et al. 2022, for
cross-attention from the encoder memory [ours]).
"""

from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Complex, Float
from torch import Tensor

from interp.axes import AttentionKind
from interp.model import HookedEncoderDecoder
from interp.names import HeadId
from interp.statistics import false_discovery
from interp.tokens import Batch
from interp.weights import attention_weights, embedding, final_gain, unembedding
from interp.words import EOS, PAD, PREFIX

THRESHOLD = 0.5
"""Score from which a head with a significant score is called a copying head [ours]."""

TOP = 5
_KINDS: tuple[AttentionKind, ...] = ("decoder", "cross")


@dataclass(frozen=True, slots=True, eq=False)
class CopyScores:
    """Eigenvalue scores of the heads of one kind.

    Attributes:
        score: of every head.
        null: of the same head with its matrices turned at random.
    """

    score: Float[np.ndarray, "layer head"]
    null: Float[np.ndarray, "draw layer head"]


def copy_scores(model: HookedEncoderDecoder, kind: AttentionKind, draws: int = 200, seed: int = 0) -> CopyScores:
    """Scores of all decoder self- or cross-attention heads with their nulls.

    Args:
        model: any model; only weights are read.
        kind: `decoder` or `cross`; encoder heads have no direct path to the logits.
        draws: random turns of every head.
        seed: of the turns.

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
            gains = final_gain(model, "decoder")[:, None] * gram * _gain(model, kind, layer)
            W_V, W_O = weights.W_V.float(), weights.W_O.float()
            scores.append(_score(W_O @ gains.float() @ W_V))
            nulls.append(_turned(W_V, W_O, gains.float(), draws, generator))
    return CopyScores(torch.stack(scores).cpu().numpy(), torch.stack(nulls, 1).cpu().numpy())


def _gain(model: HookedEncoderDecoder, kind: AttentionKind, layer: int) -> Float[Tensor, " d_model"]:
    if kind == "cross":
        return final_gain(model, "encoder")
    gain = model.module(f"decoder.{layer}.ln1").weight
    assert isinstance(gain, Tensor)
    return gain


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
    head, d_model, d_head = W_V.shape
    right = torch.linalg.svd(W_V, full_matrices=False)
    left = torch.linalg.svd(W_O, full_matrices=False)
    reads, writes = right.S[..., None] * right.Vh, left.U * left.S[:, None]
    scores = []
    for _ in range(draws):
        first, second = (
            torch.linalg.qr(torch.randn(d_model, d_head, generator=generator)).Q.to(W_V.device) for _ in range(2)
        )
        scores.append(_score(writes @ (first.T @ gains @ second) @ reads))
    return torch.stack(scores) if draws else W_V.new_zeros((0, head))


def copying_frame(model: HookedEncoderDecoder, draws: int = 200, seed: int = 0) -> pd.DataFrame:
    """One row for every decoder head: score, null, p, and whether it is a copying head; the highest scores first.

    p = (1 + null draws at least as high) / (1 + draws), adjusted by Benjamini and Hochberg over all heads.
    """
    rows = []
    for kind in _KINDS:
        found = copy_scores(model, kind, draws, seed)
        p_values = (1 + (found.null >= found.score).sum(0)) / (1 + draws)
        for layer, head in np.ndindex(*found.score.shape):
            null = found.null[:, layer, head]
            rows.append({
                "head": str(HeadId(kind, layer, head)),
                "copying score": float(found.score[layer, head]),
                "null mean": float(null.mean()),
                "null 95 %": float(np.quantile(null, 0.95)),
                "p": float(p_values[layer, head]),
            })
    frame = pd.DataFrame(rows)
    frame["adjusted p"] = false_discovery(frame["p"].to_numpy())
    frame["copying"] = (frame["adjusted p"] <= 0.05) & (frame["copying score"] >= THRESHOLD)
    return frame.sort_values("copying score", ascending=False, ignore_index=True, kind="stable")


def copy_hits(model: HookedEncoderDecoder, batch: Batch, top: int = TOP) -> Float[np.ndarray, "prompt layer head"]:
    """Share of source words whose own token is among the `top` logits that a cross head writes when it reads them.

    The write of head h from source position s is read as s W_U diag(g_F) W_O W_V M_s, with the memory of this batch.
    Prefix, end of sentence and padding are left out; chance is top / vocabulary.
    """
    words = batch.source_mask & ~torch.isin(
        batch.source_categories, torch.tensor([PREFIX, EOS, PAD], device=model.device)
    )
    with torch.no_grad():
        memory = model.hf.get_encoder()(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask
        ).last_hidden_state
        states, tokens = memory[words], batch.input_ids[words]
        read = unembedding(model) * final_gain(model, "decoder")
        hits = torch.stack(
            [_hits(model, layer, states, tokens, read, top) for layer in range(model.cfg.n_decoder_layers)], 1
        )
    prompt = words.nonzero()[:, 0]
    total = torch.zeros(len(batch), *hits.shape[1:], device=hits.device).index_add_(0, prompt, hits)
    return np.asarray((total / words.sum(-1)[:, None, None]).cpu().numpy())


def _hits(
    model: HookedEncoderDecoder, layer: int, states: Tensor, tokens: Tensor, read: Tensor, top: int
) -> Float[Tensor, "word head"]:
    weights = attention_weights(model, "cross", layer)
    found = []
    for head in range(model.cfg.n_decoder_heads):
        logits = states @ weights.W_V[head] @ weights.W_O[head] @ read.T
        own = logits.gather(1, tokens[:, None])
        # Fewer than `top` tokens are raised more, and a head that writes nothing copies nothing.
        found.append(((logits > own).sum(-1) < top) & (logits.amax(-1) > logits.amin(-1)))
    return torch.stack(found, 1).float()
