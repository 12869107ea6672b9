"""Which heads move when one source token is exchanged, where, and by how much? Minimal pairs.

Two texts that differ in a single token, with the same decoder inputs, so that every difference comes from that token:

    language   the language in the task prefix: German for French and back
    word       one content word for another of its kind (man for woman, chair for table), the first that the text has

Token for token the two texts correspond, so patterns can be compared entry by entry. Per prompt and head, means over rows of

    moved      Jensen-Shannon divergence of the two patterns over ln 2: 0 if nothing moved, 1 if no token is shared
    gained     weight on the exchanged token after minus before: does the head look at it more or less
    start      `moved` in the first row alone, before any target token says which language it is

A prompt without such a token, or a model whose vocabulary lacks the other one, gives NaN.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal, get_args

import torch
from jaxtyping import Bool
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from analyses.core.contract import Pass
from interp import attention_metrics as measures
from interp.axes import TokenIds
from interp.model.stack_outputs import run_stacks
from interp.text.batch import Batch
from interp.text.words import CONTENT, PREFIX

SwapKind = Literal["language", "word"]
SWAP_KINDS: tuple[SwapKind, ...] = get_args(SwapKind)
SWAP_STATISTICS = ("moved", "gained", "start")

_PAIRS: Mapping[SwapKind, str] = {
    "language": "German French",
    "word": "man woman boy girl dog cat horse cow chair table street garden car train book newspaper white black red blue "
    "old young big small",
}
_CATEGORY: Mapping[SwapKind, int] = {"language": PREFIX, "word": CONTENT}
_PATTERNS = "decoder.*.cross_attn.hook_pattern"


@dataclass(frozen=True, slots=True, eq=False)
class Swap:
    """A batch with one token exchanged in every prompt that has one to exchange.

    Attributes:
        batch: the changed batch; decoder inputs and labels are those of the original.
        changed: True at the exchanged token, one per prompt at most.
    """

    batch: Batch
    changed: Bool[Tensor, "batch source"]


def swapped(batch: Batch, exchange: Mapping[int, int], category: int) -> Swap:
    """Exchange the first token of a category that has a partner.

    Args:
        batch: the original.
        exchange: token id -> its partner.
        category: index into `CATEGORIES`; tokens of other categories stay.
    """
    known = torch.tensor(sorted(exchange), dtype=torch.long, device=batch.input_ids.device)
    candidates = torch.isin(batch.input_ids, known) & (batch.source_categories == category) & batch.source_mask
    changed = candidates & (candidates.cumsum(-1) == 1)
    ids: TokenIds = batch.input_ids.clone()
    for old, new in exchange.items():
        ids[changed & (batch.input_ids == old)] = new
    return Swap(replace(batch, input_ids=ids), changed)


def exchanges(tokenizer: PreTrainedTokenizerBase | None, kind: SwapKind) -> dict[int, int]:
    """Token id -> partner, for the pairs of a kind that are single tokens of this vocabulary; both ways."""
    if tokenizer is None:
        return {}
    found: dict[int, int] = {}
    ids = tokenizer.convert_tokens_to_ids([f"▁{word}" for word in _PAIRS[kind].split()])
    for first, second in zip(ids[::2], ids[1::2], strict=True):
        if tokenizer.unk_token_id not in (first, second) and None not in (first, second):
            found |= {first: second, second: first}
    return found


def observe_swaps(run: Pass) -> dict[str, Tensor]:
    """`swap.{kind}.{statistic}` of every kind of swap, [prompt layer head]."""
    arrays: dict[str, Tensor] = {}
    for kind in SWAP_KINDS:
        swap = swapped(run.batch, exchanges(run.model.tokenizer, kind), _CATEGORY[kind])
        arrays |= {f"swap.{kind}.{name}": values for name, values in compare(run, swap).items()}
    return arrays


def compare(run: Pass, swap: Swap) -> dict[str, Tensor]:
    """Run the changed batch and compare its cross-attention with the original's; NaN for prompts without a change."""
    before = run.cache.stack_activation("pattern", "cross_attn").transpose(0, 1).float()
    found = {name: torch.full_like(before[:, :, :, 0, 0], torch.nan) for name in SWAP_STATISTICS}
    has_swap = swap.changed.any(-1)
    if not bool(has_swap.any()):
        return found
    before, changed = before[has_swap], swap.changed[has_swap]
    cache = run_stacks(run.model, swap.batch.prompts(has_swap), _PATTERNS).cache
    after = cache.stack_activation("pattern", "cross_attn").transpose(0, 1).float()
    rows = run.batch.chosen_mask[has_swap][:, None, None]
    legal = run.batch.source_mask[has_swap][:, None, None, None].expand(-1, 1, 1, before.shape[-2], -1)
    divergence = measures.jensen_shannon(before, after, legal) / math.log(2)
    gained = torch.where(changed[:, None, None, None], after - before, 0.0).sum(-1)
    found["moved"][has_swap] = measures.masked_mean(divergence, rows)
    found["gained"][has_swap] = measures.masked_mean(gained, rows)
    found["start"][has_swap] = divergence[..., 0]
    return found
