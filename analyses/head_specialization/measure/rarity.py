"""Does a head look for the rarest token of its sentence?

Share of rows whose strongest key is the least frequent source token, or one of the two least frequent (Voita et al. 2019, who
found one such head, in layer 1: 66 % and 83 %). As there, only sentences whose least frequent token is outside the 500 most
frequent of the vocabulary count. Frequencies are the log-probabilities of the unigram tokenizer (SentencePiece), which come
from its training corpus; other tokenizers keep none, and their models get no score.

Rarity goes with place and with the size of values, so three rank correlations (Spearman) over the ordinary tokens of a prompt
stand beside the share: of the mass that a token receives with its rarity and with its place, and of ||W_O v|| with rarity.
"""

import json
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from interp.attention_metrics import masked_mean, strongest_key
from interp.axes import Pattern
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch

COMMON = 500
"""Ranks that count as frequent."""


@lru_cache(maxsize=4)
def log_probabilities(tokenizer: PreTrainedTokenizerBase) -> tuple[float, ...] | None:
    """Log-probability of every piece by id, or None if the tokenizer is no unigram model.

    Pieces without a probability of their own (special tokens, which have 0 there) are NaN.
    """
    backend: Any = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    model = json.loads(backend.to_str())["model"]
    if model["type"] != "Unigram":
        return None
    return tuple(float(score) if score < 0 else float("nan") for _, score in model["vocab"])


@lru_cache(maxsize=4)
def ranks(tokenizer: PreTrainedTokenizerBase) -> np.ndarray | None:
    """Rank of every piece by frequency, 0 the most frequent; -1 for pieces without a probability."""
    scores = log_probabilities(tokenizer)
    if scores is None:
        return None
    values = np.array(scores)
    order = np.argsort(-np.nan_to_num(values, nan=np.inf), kind="stable")
    found = np.empty(len(values), dtype=np.int64)
    known = order[~np.isnan(values[order])]
    found[:] = -1
    found[known] = np.arange(len(known))
    return found


def rarity_ranks(
    model: HookedEncoderDecoder, batch: Batch, ordinary: Bool[Tensor, "batch source"]
) -> Int[Tensor, "batch source"] | None:
    """Rank of every ordinary source token by frequency, 0 the most frequent; -1 elsewhere. None if frequencies are not known."""
    known = None if model.tokenizer is None else ranks(model.tokenizer)
    if known is None:
        return None
    table = torch.full((max(model.cfg.d_vocab, len(known)),), -1, device=batch.input_ids.device)
    table[: len(known)] = torch.from_numpy(known).to(table.device)
    return torch.where(ordinary, table[batch.input_ids], -1)


def rarest_keys(rank: Int[Tensor, "batch source"]) -> Bool[Tensor, "two batch source"]:
    """The rarest, and the two rarest ordinary source tokens of every prompt; none in prompts of frequent tokens alone."""
    order = rank.argsort(stable=True, dim=-1, descending=True)
    counted = rank.amax(-1, keepdim=True) >= COMMON
    first = torch.zeros_like(rank, dtype=torch.bool).scatter_(-1, order[:, :1], counted)
    both = torch.zeros_like(first).scatter_(-1, order[:, :2], counted.expand(-1, min(2, order.shape[1])))
    return torch.stack([first, both & (rank >= 0)])


def rare_share(
    pattern: Pattern, legal: Bool[Tensor, "batch query key"], keys: Bool[Tensor, "batch source"]
) -> Float[Tensor, "batch head"]:
    """Share of rows whose strongest key is one of these; NaN in prompts without any."""
    strongest = strongest_key(pattern, legal[:, None]).key.clamp(min=0)
    hit = keys[:, None].expand(-1, strongest.shape[1], -1).gather(-1, strongest)
    share = masked_mean(hit.to(pattern.dtype), legal.any(-1)[:, None])
    return torch.where(keys.any(-1)[:, None], share, torch.nan)


def rarity_correlations(
    received: Float[Tensor, "batch head source"],
    norms: Float[Tensor, "batch head source"],
    rank: Int[Tensor, "batch source"],
) -> dict[str, Float[Tensor, "batch head"]]:
    """The three rank correlations of the module's docstring; NaN where fewer than three tokens have a frequency."""
    known = (rank >= 0)[:, None]
    rarity, place = rank.float()[:, None], torch.arange(rank.shape[1], device=rank.device).float().expand(rank.shape)
    return {
        "rarity_correlation": _rank_correlation(received, rarity, known),
        "place_correlation": _rank_correlation(received, place[:, None], known),
        "norm_correlation": _rank_correlation(norms, rarity, known),
    }


def _rank_correlation(
    first: Float[Tensor, "batch head item"],
    second: Float[Tensor, "batch one item"],
    mask: Bool[Tensor, "batch one item"],
) -> Float[Tensor, "batch head"]:
    """Spearman's correlation over the items of a mask, ties at their mean rank."""
    centered = []
    for values in (first, second):
        below = (values[..., None, :] < values[..., :, None]).float() + 0.5 * (
            values[..., None, :] == values[..., :, None]
        ).float()
        rank = (below * mask[..., None, :]).sum(-1)
        count = mask.sum(-1, keepdim=True).clamp(min=1)
        centered.append(torch.where(mask, rank - (rank * mask).sum(-1, keepdim=True) / count, 0.0))
    product = (centered[0] * centered[1]).sum(-1)
    size = centered[0].square().sum(-1).sqrt() * centered[1].square().sum(-1).sqrt()
    return torch.where((mask.sum(-1) >= 3) & (size > 1e-6), product / size.clamp(min=1e-6), torch.nan)
