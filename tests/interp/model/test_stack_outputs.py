"""Both stacks without the vocabulary: what they leave is what the whole pass leaves, in every family."""

import torch

from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.stack_outputs import decoder_outputs, encoder_memory, run_stacks
from tests.support.models import random_batch

NAMES = ("decoder.*.cross_attn.hook_pattern", "encoder.0.attn.hook_z")


def test_outputs_and_activations_are_those_of_the_whole_pass(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model)
    with torch.no_grad():
        logits, cache = tiny_model.run_with_cache(batch, NAMES)
        run = run_stacks(tiny_model, batch, NAMES)
        scored = tiny_model.module("unembed.hook_out")(run.outputs * tiny_model.cfg.logit_scale)
        bias = getattr(tiny_model.hf, "final_logits_bias", torch.zeros(1))
    torch.testing.assert_close(scored + bias, logits, atol=2e-5, rtol=1e-5)
    assert list(run.cache) == list(cache)
    assert all(torch.equal(run.cache[name], cache[name]) for name in cache)
    assert not run.outputs.requires_grad


def test_copies_stand_one_after_another_and_have_gradients(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model)
    run = run_stacks(tiny_model, batch, NAMES, copies=2, gradients=True)
    run.outputs[len(batch) :].square().sum().backward()
    first, second = run.cache.grad[NAMES[0].replace("*", "0")].split(len(batch))  # type: ignore[union-attr]
    assert not bool(first.any())
    assert bool(second.any())


def test_a_known_memory_is_read_in_place_of_the_sources(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model)
    with torch.no_grad():
        memory, outputs = decoder_outputs(tiny_model, batch, memory=encoder_memory(tiny_model, batch))
        assert torch.equal(outputs, decoder_outputs(tiny_model, batch)[1])
        assert not torch.equal(outputs, decoder_outputs(tiny_model, batch, memory=torch.zeros_like(memory))[1])
