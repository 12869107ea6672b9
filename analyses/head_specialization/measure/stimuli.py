"""Random repeated sequences: which tokens, which periods, and which keys a copying head would look at.

A period is drawn anew for every sequence, so that nothing stands at a fixed distance, and lies beyond the distances that T5's
position buckets tell apart: 7 in the encoder, 15 in the decoder.
In every family sources are tokens and an end of sentence alone: start tokens and language marks are left out.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Int
from torch import Generator, Tensor

from interp.axes import Stack
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder

RELATIONS: Mapping[str, int] = {"before": -1, "same": 0, "after": 1}
"""Relation -> offset of the scored key from the copy of the query's token."""

PERIODS: Mapping[Stack, range] = {"encoder": range(9, 17), "decoder": range(17, 25)}
COPIES = 4
LONGEST = COPIES * (PERIODS["decoder"].stop - 1) + 1
"""Tokens of the longest sequence, start token included."""

_UNKNOWN = 2
_LARGE_VOCABULARY = 1000
_NOWHERE = -1


@dataclass(frozen=True, slots=True, eq=False)
class Stimuli:
    """Sequences padded at the right.

    Attributes:
        ids: token ids.
        shuffled: the same sequences with the order inside every copy shuffled.
        token: the token of the repeats at every position, -1 at end of sentence and padding.
        mask: True at tokens, False at padding.
    """

    ids: Int[Tensor, "sample pos"]
    shuffled: Int[Tensor, "sample pos"]
    token: Int[Tensor, "sample pos"]
    mask: Bool[Tensor, "sample pos"]


def ordinary_tokens(model: HookedEncoderDecoder) -> Int[Tensor, " token"]:
    """Tokens for random text: no special ones, and of a large vocabulary neither the commonest nor the rarest tenth.

    Raises:
        InputError: if the vocabulary is too small for a sequence without repeats.
    """
    cfg, tokenizer = model.cfg, model.tokenizer
    special = {cfg.pad_token_id, cfg.eos_token_id, cfg.decoder_start_token_id, _UNKNOWN}
    special |= set() if tokenizer is None else set(tokenizer.all_special_ids)
    first, last = 0, cfg.d_vocab
    if cfg.d_vocab > _LARGE_VOCABULARY:
        first, last = cfg.d_vocab // 10, cfg.d_vocab * 9 // 10
    words = [token for token in range(first, last) if token not in special]
    if len(words) < PERIODS["decoder"].stop:
        raise InputError(
            f"The vocabulary has {len(words)} ordinary tokens; random repeated sequences need {PERIODS['decoder'].stop}."
        )
    return torch.tensor(words)


def repeated(
    words: Int[Tensor, " token"], stack: Stack, samples: int, ending: int | None, generator: Generator
) -> Stimuli:
    """Random tokens without repeats, four times over; with `ending` after them if it is given."""
    plain, shuffled = [], []
    for _ in range(samples):
        period = _pick(PERIODS[stack], generator)
        drawn = words[torch.randperm(len(words), generator=generator)[:period]]
        plain.append(drawn.repeat(COPIES))
        shuffled.append(torch.cat([drawn[torch.randperm(period, generator=generator)] for _ in range(COPIES)]))
    token = _padded(plain, _NOWHERE, None)
    return Stimuli(
        ids=_padded(plain, 0, ending),
        shuffled=_padded(shuffled, 0, ending),
        token=token if ending is None else torch.nn.functional.pad(token, (0, 1), value=_NOWHERE),
        mask=_padded([torch.ones_like(row) for row in plain], 0, None if ending is None else 1).bool(),
    )


def sources_of(stimuli: Stimuli, eos_token_id: int, generator: Generator) -> Stimuli:
    """Sources for repeats in the decoder: for every second sequence end of sentence alone, else one period, rotated."""
    plain = []
    for index, row in enumerate(stimuli.token):
        period = int((row != _NOWHERE).sum()) // COPIES
        turn = _pick(range(1, period), generator)
        plain.append(row[:period].roll(turn) if index % 2 else row[:0])
    ids = _padded(plain, 0, eos_token_id)
    token = torch.nn.functional.pad(_padded(plain, _NOWHERE, None), (0, 1), value=_NOWHERE)
    mask = _padded([torch.ones_like(row) for row in plain], 0, 1).bool()
    return Stimuli(ids, ids, token, mask)


def _pick(choices: range, generator: Generator) -> int:
    return choices[int(torch.randint(len(choices), (1,), generator=generator))]


def _padded(rows: list[Tensor], value: int, ending: int | None) -> Int[Tensor, "sample pos"]:
    if ending is not None:
        rows = [torch.cat([row, torch.tensor([ending])]) for row in rows]
    return torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=value)


def relation_mask(
    query: Int[Tensor, "sample query"], key: Int[Tensor, "sample key"], relation: str, own: bool
) -> Bool[Tensor, "sample query key"]:
    """Keys that are a copy of the query's token, or stand just before or after one.

    Args:
        query: token at every query, -1 where there is none.
        key: token at every key.
        relation: `same`, `before` or `after`.
        own: whether queries and keys are the same positions, so that the query's own token is no copy.
    """
    copies = (query[:, :, None] == key[:, None, :]) & (query[:, :, None] != _NOWHERE)
    if own:
        copies &= ~torch.eye(query.shape[1], dtype=torch.bool)
    offset = RELATIONS[relation]
    moved = torch.zeros_like(copies)
    if offset > 0:
        moved[..., offset:] = copies[..., :-offset]
    elif offset < 0:
        moved[..., :offset] = copies[..., -offset:]
    else:
        moved = copies
    return moved & (key != _NOWHERE)[:, None, :]
