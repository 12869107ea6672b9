"""Does a head look for the rarest token of its sentence?

Share of rows whose strongest key is the least frequent source token, or one of the two least frequent (Voita et al. 2019, who
found one such head, in layer 1: 66 % and 83 %). As there, only sentences whose least frequent token is outside the 500 most
frequent of the vocabulary count. Frequencies are the log-probabilities of the unigram tokenizer (SentencePiece), which come
from its training corpus; other tokenizers keep none, and their models get no score.
"""

import json
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from interp.axes import Pattern
from interp.measures import masked_mean, strongest_key
from interp.model import HookedEncoderDecoder
from interp.tokens import Batch

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


def rarest_keys(
    model: HookedEncoderDecoder, batch: Batch, ordinary: Bool[Tensor, "batch source"]
) -> Bool[Tensor, "two batch source"] | None:
    """The rarest, and the two rarest ordinary source tokens of every prompt; none in prompts of frequent tokens alone."""
    known = None if model.tokenizer is None else ranks(model.tokenizer)
    if known is None:
        return None
    table = torch.full((max(model.cfg.d_vocab, len(known)),), -1, device=batch.input_ids.device)
    table[: len(known)] = torch.from_numpy(known).to(table.device)
    rank = torch.where(ordinary, table[batch.input_ids], -1)
    order = rank.argsort(stable=True, dim=-1, descending=True)
    counted = rank.amax(-1, keepdim=True) >= COMMON
    first = torch.zeros_like(ordinary).scatter_(-1, order[:, :1], counted)
    both = torch.zeros_like(ordinary).scatter_(-1, order[:, :2], counted.expand(-1, min(2, order.shape[1])))
    return torch.stack([first, both & (rank >= 0)])


def rare_share(
    pattern: Pattern, legal: Bool[Tensor, "batch query key"], keys: Bool[Tensor, "batch source"]
) -> Float[Tensor, "batch head"]:
    """Share of rows whose strongest key is one of these; NaN in prompts without any."""
    strongest = strongest_key(pattern, legal[:, None]).key.clamp(min=0)
    hit = keys[:, None].expand(-1, strongest.shape[1], -1).gather(-1, strongest)
    share = masked_mean(hit.to(pattern.dtype), legal.any(-1)[:, None])
    return torch.where(keys.any(-1)[:, None], share, torch.nan)
