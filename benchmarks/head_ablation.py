"""How much time does shared computation save when every head is ablated?

A t5-small-shaped model with random weights, 64 prompts of 32 source and 16 target tokens, every head of the three kinds set to
zero: one full forward pass per head with a hook on z, against `RecordedPass`, which computes nothing before the edit again and
runs the heads of a layer side by side. The two run alternately, layer by layer, in one process, and must agree.

    python -m benchmarks.head_ablation [heads]

The bars are 0.40 (logit difference at one row of every prompt) and 0.60 (loss at all rows). Where the row stands matters, because
the decoder runs no further than to it: the first row, one in the middle, and the last, the worst case, are measured. With a
number of heads, that many are drawn from each kind, spread over the layers. Ratios are of processor time and of wall-clock time;
on a busy machine the former is steadier.
"""

import sys
import time

import numpy as np
import torch
from transformers import T5Config, T5ForConditionalGeneration

from analyses.head_specialization.measure.ablation import Outcome, all_heads, label_difference, loss
from interp.hooks.names import HeadId, attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.partial_forward import record_pass
from interp.text.batch import Batch, collate
from interp.text.tokenized_text import Text
from interp.text.words import CONTENT, NO_WORD

PROMPTS, SOURCE, TARGET = 64, 32, 16
BARS = {"logit difference at the first row": 0.40, "in the middle": 0.40, "at the last row": 0.40, "loss": 0.60}
ROWS = {"logit difference at the first row": 0, "in the middle": TARGET // 2, "at the last row": TARGET - 1}


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


def plain(model: HookedEncoderDecoder, batch: Batch, head: HeadId | None, row: int | None) -> torch.Tensor:
    """One full forward pass with one head's z set to zero, read from the logits as a user would: a label's lead, or the loss."""

    def zero(z: torch.Tensor, place: int) -> torch.Tensor:
        edited = z.clone()
        edited[:, :, place] = 0.0
        return edited

    edits = (
        []
        if head is None
        else [(f"{attention_path(head.kind, head.layer)}.hook_z", lambda z, hook: zero(z, head.head))]
    )
    with torch.no_grad():
        logits = model.run_with_hooks(batch, edits)
    if row is None:
        return torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch.labels, reduction="none").mean(-1)
    return logits[:, row]


def lead(scores: torch.Tensor, clean: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """The label's score less that of the token that is best beside it in clean scores, [prompt vocab]."""
    foils = clean.scatter(1, labels[:, None], -torch.inf).argmax(-1, keepdim=True)
    return (scores.gather(1, labels[:, None]) - scores.gather(1, foils))[:, 0]


class _Clock:
    """Processor and wall-clock seconds, added up."""

    def __init__(self) -> None:
        self.total = np.zeros(2)

    def __enter__(self) -> None:
        self._started = self._now()

    def __exit__(self, *exception: object) -> None:
        self.total += self._now() - self._started

    @staticmethod
    def _now() -> np.ndarray:
        return np.array([time.process_time(), time.perf_counter()])


def compare(model: HookedEncoderDecoder, batch: Batch, heads: list[HeadId], metric: str) -> np.ndarray:
    """Time of shared over time of plain, processor and wall clock, both over the same heads; the first passes are included."""
    row = ROWS.get(metric)
    first, plainly, shared = _Clock(), _Clock(), _Clock()
    with first:
        rows = None if row is None else torch.full((len(batch),), row)
        names = "*.hook_z"
        outcome: Outcome = (
            loss(record_pass(model, batch, names)) if rows is None else label_difference(model, batch, rows, (names,))
        )
    # Of a sample of heads the first pass carries only its share.
    shared.total += first.total * len(heads) / len(all_heads(model))
    clean = plain(model, batch, None, row)
    for kind, layer in dict.fromkeys((head.kind, head.layer) for head in heads):
        group = [head for head in heads if (head.kind, head.layer) == (kind, layer)]
        with plainly:
            expected = [plain(model, batch, head, row) for head in group]
        with shared:
            z = outcome.clean.cache[group[0].hook_name("z")]
            zeros = z.new_zeros(len(group), *z.shape[:2], z.shape[-1])
            found = outcome.change(group[0], [head.head for head in group], zeros)
        for head, change, after in zip(group, found, expected, strict=True):
            before = clean
            if row is not None:
                after, before = (lead(scores, clean, batch.labels[:, row]) for scores in (after, clean))
            wanted = (after - before).numpy()
            np.testing.assert_allclose(change.numpy(), wanted, rtol=1e-4, atol=2e-5, err_msg=str(head))
    return np.asarray(shared.total / plainly.total)


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
        processor, wall = compare(model, batch, heads, metric)
        print(
            f"{metric}: {processor:.2f} of the processor time and {wall:.2f} of the wall-clock time of the plain loop over "
            f"{len(heads)} heads (bar {bar:.2f})"
        )


if __name__ == "__main__":
    main()
