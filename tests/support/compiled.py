"""Compiled programs, made once: their models, and how far the right token leads on every input of the domain."""

from functools import cache

import torch
from torch import Tensor
from transformers import PreTrainedModel

from interp.compiled import Plan, Program, compiled, find_program, plan_of
from interp.model.hooked_model import HookedEncoderDecoder


@cache
def planned(name: str) -> Plan:
    return plan_of(find_program(name))


@cache
def compiled_model(name: str) -> HookedEncoderDecoder:
    return compiled(find_program(name))


def leads(program: Program, host: PreTrainedModel) -> Tensor:
    """By how much the right token leads at every judged row of every example; the host is run without any hook of ours."""
    examples = tuple(program.examples())
    ids = {word: number for number, word in enumerate(program.vocabulary)}
    sources = _padded([[*(ids[word] for word in one.source.split()), 1] for one in examples])
    labels = _padded([[*(ids[word] for word in one.target.split()), 1] for one in examples])
    inputs = torch.cat([torch.zeros(len(examples), 1, dtype=torch.long), labels[:, :-1].clamp_min(0)], 1)
    with torch.no_grad():
        logits = host(
            input_ids=sources.clamp_min(0), attention_mask=(sources >= 0).long(), decoder_input_ids=inputs
        ).logits
    judged = labels >= 0
    for row, one in enumerate(examples):
        judged[row, : one.given] = False
        if not one.ended:
            judged[row, len(one.target.split())] = False
    right = logits.gather(-1, labels.clamp_min(0).unsqueeze(-1))
    others = logits.scatter(-1, labels.clamp_min(0).unsqueeze(-1), -torch.inf).amax(-1)
    return (right.squeeze(-1) - others)[judged]


def _padded(rows: list[list[int]]) -> Tensor:
    width = max(map(len, rows))
    return torch.tensor([row + [-1] * (width - len(row)) for row in rows])
