"""The host's `generate` with our settings, and what it wrote: its texts, where tokens came from, and which were no choice."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from transformers import GenerationConfig, GenerationMixin, PreTrainedModel
from transformers.modeling_outputs import MoEModelOutput

from interp.axes import Residual
from interp.families.config import ModelConfig
from interp.model.generation import Decoding
from interp.text.batch import Batch
from interp.text.generation_settings import empty_cache, own_settings


@dataclass(frozen=True, slots=True, eq=False)
class Written:
    """What the host wrote, ends of sentence included.

    Attributes:
        tokens: of every prompt.
        rows: row of the host's batch that every token came from, -1 after a text's end.
        logits: of every step; 0 after a text's end and where it was begun.
        forced: of every prompt the indices of tokens that were no choice.
        unfinished: prompts whose end was the limit's.
        others: of every prompt all texts that beam search kept, with their scores, best first.
        begun: how many tokens every text was begun with, which are no step of the model's.
    """

    tokens: list[list[int]]
    rows: Int[Tensor, "batch step"]
    logits: Float[Tensor, "batch step vocab"]
    forced: list[tuple[int, ...]]
    unfinished: tuple[int, ...]
    others: list[list[tuple[list[int], float]]]
    begun: int = 0


def write(
    hf: PreTrainedModel,
    config: ModelConfig,
    sources: Batch,
    decoding: Decoding,
    max_new_tokens: int,
    begun: Sequence[Sequence[int]] | None = None,
    memory: Residual | None = None,
) -> Written:
    """What the host's `generate` writes to the sources of a batch; the global random state is left as it was.

    Args:
        hf: the host model.
        config: its facts.
        sources: the batch.
        decoding: how tokens are chosen.
        max_new_tokens: most tokens to write.
        begun: the tokens that every target begins with, equally many each.
        memory: what the decoder reads in place of what the encoder makes of the sources.
    """
    settings = decoding.host_settings(hf, config, max_new_tokens)
    read: dict[str, Any] = dict(sources.source_fields)
    if memory is not None:
        for name in ("input_ids", "input_features"):
            read.pop(name, None)
        # Of all that hosts take for an encoder's output this one has every field that any of them reads.
        read["encoder_outputs"] = MoEModelOutput(memory)
    if begun is not None:
        start = [[config.decoder_start_token_id, *ids] for ids in begun]
        read["decoder_input_ids"] = torch.tensor(start, device=hf.device)
    with torch.no_grad(), torch.random.fork_rng(enabled=decoding.method == "sampling"), own_settings(hf, settings):
        if decoding.method == "sampling":
            torch.manual_seed(decoding.seed)
        # Of the class that all hosts share: Whisper's own cuts sounds and texts in pieces of its choice.
        output = GenerationMixin.generate(hf, **read, **empty_cache(), generation_config=settings)
    return _written(output, config, settings, 0 if begun is None else len(begun[0]), len(sources))


def _written(output: Any, config: ModelConfig, settings: GenerationConfig, begun: int, prompts: int) -> Written:
    eos, copies = config.eos_token_id, output.sequences.shape[0] // prompts
    texts = [
        row[: row.index(eos, begun) + 1] if eos in row[begun:] else row for row in output.sequences[:, 1:].tolist()
    ]
    tokens = texts[::copies]
    rows = torch.full((prompts, max(map(len, tokens))), -1, device=output.sequences.device)
    for prompt, ids in enumerate(tokens):
        new = len(ids) - begun
        rows[prompt, begun : len(ids)] = (
            output.beam_indices[prompt * copies, :new] if settings.num_beams > 1 else prompt
        )
        rows[prompt, :begun] = rows[prompt, begun]
    steps = [
        step[rows[:, begun + index].clamp_min(0)] for index, step in enumerate(output.logits[: rows.shape[1] - begun])
    ]
    steps = [torch.zeros_like(steps[0])] * begun + steps
    logits = torch.stack(steps, 1).masked_fill((rows < 0).unsqueeze(-1), 0.0)
    limit = begun + settings.max_new_tokens - 1
    forced = [_forced(len(ids), settings, begun) for ids in tokens]
    unfinished = tuple(
        prompt
        for prompt, ids in enumerate(tokens)
        if ids[-1] != eos or (limit in forced[prompt] and int(logits[prompt, limit].argmax()) != eos)
    )
    scores = [] if settings.num_beams == 1 else output.sequences_scores.tolist()
    kept = list(zip(texts, scores, strict=True)) if scores else []
    others = [kept[place : place + copies] for place in range(0, len(kept), copies)]
    return Written(tokens, rows, logits, forced, unfinished, others, begun)


def _forced(length: int, settings: GenerationConfig, begun: int) -> tuple[int, ...]:
    """The places of tokens that were no choice, in a text of so many tokens."""
    first = [0] if not begun and settings.forced_bos_token_id is not None else []
    limit = begun + settings.max_new_tokens
    last = [length - 1] if settings.forced_eos_token_id is not None and length == limit else []
    return tuple(dict.fromkeys([*range(begun), *first, *last]))
