"""How much time does shared computation save when every head is ablated?

A t5-small-shaped model with random weights, 64 prompts of 32 source and 16 target tokens, every head of the three kinds set to
zero: one full forward pass per head with a hook on z, against `Replay`, which computes nothing before the edit again. The two run
alternately, head by head, in one process, and must agree.

    python -m benchmarks.head_ablation [heads]

The bars are 0.40 (logit difference at one row of every prompt) and 0.60 (loss at all rows). With a number of heads, that many are
drawn from each kind, spread over the layers.
"""

import sys
import time

import numpy as np
import torch
from transformers import T5Config, T5ForConditionalGeneration

from analyses.head_specialization.ablation import all_heads, first_answer, logit_difference_of, loss_of
from analyses.head_specialization.replay import ReadOut, Replay
from interp.model import HookedEncoderDecoder
from interp.names import HeadId, attention_path
from interp.tokens import Batch, Text, collate
from interp.words import CONTENT, NO_WORD

PROMPTS, SOURCE, TARGET = 64, 32, 16
BARS = {"logit difference": 0.40, "loss": 0.60}


def small_model() -> HookedEncoderDecoder:
    """T5-small's shape with random weights."""
    torch.manual_seed(0)
    config = T5Config(
        num_layers=6,
        num_decoder_layers=6,
        d_model=512,
        d_kv=64,
        d_ff=2048,
        num_heads=8,
        vocab_size=32128,
        decoder_start_token_id=0,
    )
    return HookedEncoderDecoder(T5ForConditionalGeneration(config).eval().requires_grad_(False))


def random_prompts(model: HookedEncoderDecoder) -> Batch:
    """Random tokens of equal lengths."""
    generator = torch.Generator().manual_seed(0)

    def text(length: int) -> Text:
        ids = torch.randint(3, 32000, (length,), generator=generator).tolist()
        return Text("random", tuple(ids), tuple(map(str, ids)), (), (NO_WORD,) * length, (CONTENT,) * length)

    sources, targets = ([text(length) for _ in range(PROMPTS)] for length in (SOURCE, TARGET))
    return collate(sources, targets, model.cfg, model.hf._shift_right, "given")


def plain(model: HookedEncoderDecoder, batch: Batch, head: HeadId, metric: str, replay: Replay) -> torch.Tensor:
    """One full forward pass with one head's z set to zero, read from the logits as a user would."""

    def zero(z: torch.Tensor, hook: object) -> torch.Tensor:
        edited = z.clone()
        edited[:, :, head.head] = 0.0
        return edited

    with torch.no_grad():
        logits = model.run_with_hooks(batch, [(f"{attention_path(head.kind, head.layer)}.hook_z", zero)])
    if metric == "loss":
        return torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch.labels, reduction="none").mean(-1)
    answer = first_answer(replay)
    rows = logits[torch.arange(len(batch)), answer.rows]
    return (rows.gather(1, answer.tokens[:, None]) - rows.gather(1, answer.foils[:, None]))[:, 0]


def compare(model: HookedEncoderDecoder, batch: Batch, heads: list[HeadId], metric: str) -> float:
    """Time of shared over time of plain, both over the same heads; the shared time includes the first pass."""
    plain_seconds = shared_seconds = 0.0
    started = time.perf_counter()
    replay = Replay(model, batch)
    read: ReadOut = loss_of(model, batch) if metric == "loss" else logit_difference_of(model, first_answer(replay))
    # Of a sample of heads the first pass carries only its share.
    shared_seconds += (time.perf_counter() - started) * len(heads) / len(all_heads(model))
    for head in heads:
        started = time.perf_counter()
        expected = plain(model, batch, head, metric, replay)
        middle = time.perf_counter()
        z = torch.zeros_like(replay.z(head.kind, head.layer)[:, :, head.head])
        found = replay.with_head(head, z, read)
        ended = time.perf_counter()
        plain_seconds += middle - started
        shared_seconds += ended - middle
        np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5, atol=1e-5, err_msg=str(head))
    return shared_seconds / plain_seconds


def main() -> None:
    """Print both ratios beside their bars."""
    model = small_model()
    batch = random_prompts(model)
    heads = all_heads(model)
    if len(sys.argv) > 1:
        third = len(heads) // 3
        places = np.linspace(0, third - 1, int(sys.argv[1])).round().astype(int)
        heads = [heads[start + place] for start in (0, third, 2 * third) for place in places]
    for metric, bar in BARS.items():
        ratio = compare(model, batch, heads, metric)
        print(f"{metric}: {ratio:.2f} of the plain loop over {len(heads)} heads (bar {bar:.2f})")


if __name__ == "__main__":
    main()
