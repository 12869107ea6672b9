"""Threads that share a model: each run sees itself alone, and a hook function may run its own model."""

from concurrent.futures import ThreadPoolExecutor

import torch

from interp.hooks.hook_point import HookPoint
from interp.text.batch import Batch
from tests.support.models import random_batch, tiny


def test_threads_that_share_a_model_see_their_own_runs() -> None:
    model = tiny("t5")
    batches = [
        random_batch(model, source_lengths=(5 + seed,), target_lengths=(3 + seed,), seed=seed) for seed in range(4)
    ]
    name = "decoder.1.cross_attn.hook_z"
    silence = [(name, lambda z, hook: torch.zeros_like(z))]

    def runs(batch: Batch) -> tuple[torch.Tensor, ...]:
        logits, cache = model.run_with_cache(batch, name)
        kept = model.run_with_cache(batch, name, dtype=torch.float64)[1]
        written = model.generate(batch, name, max_new_tokens=3)
        return logits, cache[name], kept[name], model.run_with_hooks(batch, silence), written.cache[name], model(batch)

    expected = [runs(batch) for batch in batches]
    with ThreadPoolExecutor(len(batches)) as threads:
        found = list(threads.map(runs, batches * 6))
    for number, run in enumerate(found):
        assert all(map(torch.equal, run, expected[number % len(batches)]))


def test_a_hook_function_may_run_its_own_model() -> None:
    model = tiny("t5")
    batch, inner = random_batch(model), list[torch.Tensor]()

    def run(value: torch.Tensor, hook: HookPoint) -> None:
        if not inner:
            inner.append(value)
            inner.append(model(batch))

    logits = model.run_with_hooks(batch, [("decoder.0.hook_resid_pre", run)])
    assert torch.equal(inner[1], logits)
