"""The activation cache: what is kept, what is computed on demand, gradients, and what it refuses."""

import re

import pytest
import torch

from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import random_batch


def test_by_default_everything_but_results_is_kept_and_results_are_computed_on_demand(
    tiny_model: HookedEncoderDecoder,
) -> None:
    _, cache = tiny_model.run_with_cache(random_batch(tiny_model))
    wanted = [name for name in tiny_model.hook_points() if not name.endswith("hook_result")]
    assert list(cache) == wanted
    result = cache["decoder.0.cross_attn.hook_result"]
    assert result.shape == (3, 17, 5, 24)
    torch.testing.assert_close(result.sum(-2), cache["decoder.0.hook_cross_attn_out"], atol=2e-6, rtol=1e-5)


def test_filters_and_spellings(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5), names_filter=re.compile("cross_attn.hook_pattern"))
    assert len(cache) == 3
    assert cache["pattern", 2, "cross_attn"] is cache["decoder.2.cross_attn.hook_pattern"]
    assert cache["decoder_blocks.2.cross_attn.hook_pattern"] is cache["decoder.2.cross_attn.hook_pattern"]
    with pytest.raises(KeyError, match="Did you mean"):
        cache["pattern", 3, "cross_attn"]
    with pytest.raises(KeyError, match="No hook point"):
        cache["decoder.0.cross_attn.hook_result"]


def test_the_logits_are_those_of_the_run(tiny_t5: HookedEncoderDecoder) -> None:
    logits, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    assert torch.equal(cache["unembed.hook_out"], logits)


def test_select_takes_one_prompt_and_leaves_what_the_batch_shares(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    one = cache.select(1)
    assert torch.equal(one["decoder.2.hook_resid_post"], cache["decoder.2.hook_resid_post"][1:2])
    assert torch.equal(one["encoder.position_bias"], cache["encoder.position_bias"])
    for prompt in (-1, 3):
        with pytest.raises(InputError, match=f"has 3 prompts, counted from 0; got {prompt}"):
            cache.select(prompt)


def test_stack_puts_layers_in_front(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    stacked = cache.stack_activation("pattern", "cross_attn")
    assert stacked.shape == (3, 3, 5, 17, 19)
    assert torch.equal(stacked[2], cache["decoder.2.cross_attn.hook_pattern"])


def test_bytes_held_count_shared_storage_once(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    total = sum(t.numel() * t.element_size() for t in cache.values())
    assert 0.4 * total < cache.n_bytes() < total


def test_moving_to_another_type(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5), names_filter="decoder.*.hook_resid_post")
    half = cache.to(dtype=torch.bfloat16)
    assert all(t.dtype is torch.bfloat16 for t in half.values())
    assert all(t.dtype is torch.float32 for t in cache.values())


def test_gradients_of_every_activation_after_one_backward(tiny_t5: HookedEncoderDecoder) -> None:
    """The gradient of a sum of logits with respect to an activation is what nudging that activation does."""
    batch = random_batch(tiny_t5)
    logits, cache = tiny_t5.run_with_cache(batch, gradients=True)
    metric = logits[0, 5, 7] - logits[0, 5, 8]
    metric.backward()
    for name, gradient in cache.grad.items():
        if name.startswith("decoder.2.ln3") or name.endswith(("hook_resid_pre", "hook_z", "hook_mlp_out")):
            assert gradient is not None, name
            assert gradient.shape == cache[name].shape
    name, step = "decoder.1.cross_attn.hook_z", 1e-2
    gradient = cache.grad[name]
    assert gradient is not None
    direction = torch.randn(gradient.shape)

    def value(amount: float) -> float:
        logits = tiny_t5.run_with_hooks(batch, [(name, lambda z, hook: z + amount * direction)])
        return float((logits[0, 5, 7] - logits[0, 5, 8]).detach())

    quotient = (value(step) - value(-step)) / (2 * step)
    assert quotient == pytest.approx(float((gradient * direction).sum()), rel=2e-2, abs=1e-3)


def test_gradients_were_not_asked_for(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    with pytest.raises(InputError, match="kept no gradients; run with `gradients=True`"):
        _ = cache.grad
