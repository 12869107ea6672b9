"""Observing who computes which tokens, prompt by prompt; padding is left out.

    kinds        of the tokens of a kind, the share that an expert computes        NaN for kinds that a prompt lacks
    tokens       of all tokens, the share that an expert computes
    probability  its mean where it computes                                        NaN where it computes nothing
    nobody       of all tokens, the share that no expert computes
    preference   P(two tokens share an expert | one kind) - P(... | two kinds)     NaN unless there are pairs of both

A preference is 0 on average where experts are chosen whatever the kind is, however few tokens there are. The kind of a decoder
row is that of the token which it predicts. Tokens that no expert computes share none.
"""

import numpy as np
import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn.functional import one_hot

from analyses.core.contract import Arrays, Pass
from analyses.expert_routing.arrays import STACKS
from interp.axes import Stack
from interp.families.config import ModelConfig
from interp.text.batch import Batch
from interp.text.words import CATEGORIES, PAD


def hooks_on(cfg: ModelConfig) -> tuple[str, ...]:
    """The activations that the atlas needs.

    Args:
        cfg: the model's facts.
    """
    return ("*.mlp.hook_expert_weights", "*.mlp.hook_expert_indices") if cfg.n_experts else ()


def observe(run: Pass) -> Arrays:
    """The shares of one batch, of every stack that has experts.

    Args:
        run: one forward pass.
    """
    found: dict[str, np.ndarray] = {}
    for stack in STACKS:
        layers = [_layer(run, stack, layer) for layer in run.model.cfg.expert_layers(stack)]
        if layers:
            found |= {f"{stack}.{name}": np.stack([one[name] for one in layers], 1) for name in layers[0]}
    return found


def _layer(run: Pass, stack: Stack, layer: int) -> dict[str, np.ndarray]:
    kinds, real = _kinds(run.batch, stack)
    weights = run.cache[f"{stack}.{layer}.mlp.hook_expert_weights"].double()
    index = run.cache[f"{stack}.{layer}.mlp.hook_expert_indices"].squeeze(-1)
    computes = (one_hot(index.clamp_min(0), weights.shape[-1]) * (index >= 0).unsqueeze(-1)).double() * real.unsqueeze(
        -1
    )
    of_kind = one_hot(kinds, len(CATEGORIES)).double() * real.unsqueeze(-1)
    n_tokens = real.sum(1).double()
    together = torch.einsum("bpe,bpc->bec", computes, of_kind)
    shares = {
        "kinds": together / of_kind.sum(1).unsqueeze(1),
        "tokens": computes.sum(1) / n_tokens.unsqueeze(-1),
        "probability": (weights * computes).sum(1) / computes.sum(1),
        "nobody": 1 - computes.sum((1, 2)) / n_tokens,
        "preference": preference(together, of_kind.sum(1)),
    }
    return {name: share.cpu().numpy() for name, share in shares.items()}


def preference(
    together: Float[Tensor, "prompt expert category"], counts: Float[Tensor, "prompt category"]
) -> Float[Tensor, " prompt"]:
    """How much more often two tokens of one kind share an expert than two of different kinds; see the module's docstring.

    Args:
        together: tokens of every kind that every expert computes.
        counts: tokens of every kind.
    """
    same = (together * (together - 1)).sum((1, 2)) / (counts * (counts - 1)).sum(1)
    across = together.sum(2).square().sum(1) - together.square().sum((1, 2))
    return same - across / (counts.sum(1).square() - counts.square().sum(1))


def _kinds(batch: Batch, stack: Stack) -> tuple[Int[Tensor, "prompt pos"], Bool[Tensor, "prompt pos"]]:
    """The kind of every token, and whether it is one; of decoder rows that of the token they predict."""
    if stack == "encoder":
        return batch.source_categories, batch.source_mask
    kinds = torch.full_like(batch.labels, PAD)
    for row, text in zip(kinds, batch.target_texts, strict=True):
        own = torch.tensor(text.category_of_token, device=row.device)
        row[: len(own)] = own
    return kinds, batch.target_mask
