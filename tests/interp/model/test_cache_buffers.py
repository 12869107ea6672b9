"""Buffers: caches of one loop share memory, hold what caches without buffers hold, and cannot be read when they are over."""

import pytest
import torch

from interp.errors import InputError
from interp.model.cache_buffers import CacheBuffers
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch
from tests.support.models import random_batch, tiny


def _batches(model: HookedEncoderDecoder) -> list[Batch]:
    """Growing, shrinking and equal shapes."""
    return [
        random_batch(model, source_lengths=(15, 12), target_lengths=(13, 12), seed=1),
        random_batch(model, source_lengths=(12, 19, 14), target_lengths=(16, 12, 13), seed=2),
        random_batch(model, source_lengths=(13, 12), target_lengths=(12, 14), seed=3),
        random_batch(model, source_lengths=(13, 12), target_lengths=(12, 14), seed=4),
    ]


@pytest.mark.parametrize("family", ["t5", "umt5", "bart", "marian", "mbart"])
def test_a_cache_in_buffers_equals_one_without(family: str) -> None:
    model, buffers = tiny(family), CacheBuffers()
    for batch in _batches(model):
        plain_logits, plain = model.run_with_cache(batch)
        logits, cache = model.run_with_cache(batch, buffers=buffers)
        assert torch.equal(logits, plain_logits)
        assert list(cache) == list(plain)
        for name in plain:
            assert torch.equal(cache[name], plain[name]), name
        torch.testing.assert_close(cache["decoder.0.attn.hook_result"], plain["decoder.0.attn.hook_result"])


def test_the_memory_is_taken_once_for_the_largest_batch(tiny_t5: HookedEncoderDecoder) -> None:
    buffers = CacheBuffers()
    _, large, small, _ = _batches(tiny_t5)
    _, cache = tiny_t5.run_with_cache(large, buffers=buffers)
    places = {name: cache[name].data_ptr() for name in cache}
    held = buffers.n_bytes()
    _, cache = tiny_t5.run_with_cache(small, buffers=buffers)
    assert {name: cache[name].data_ptr() for name in cache} == places
    assert buffers.n_bytes() == held == cache.n_bytes()


def test_activations_that_share_memory_in_the_host_do_not_in_buffers(tiny_t5: HookedEncoderDecoder) -> None:
    """An edit between two points that show the same tensor must not reach the first."""
    buffers = CacheBuffers()
    batch = random_batch(tiny_t5)
    _, clean = tiny_t5.run_with_cache(batch)
    tiny_t5.run_with_cache(batch, buffers=buffers)
    with tiny_t5.hooks([("encoder.1.hook_resid_pre", lambda tensor, hook: tensor + 1.0)]):
        _, cache = tiny_t5.run_with_cache(batch, buffers=buffers)
    assert torch.equal(cache["encoder.0.hook_resid_post"], clean["encoder.0.hook_resid_post"])
    assert torch.equal(cache["encoder.1.hook_resid_pre"], clean["encoder.1.hook_resid_pre"] + 1.0)


def test_the_type_may_change_between_runs(tiny_t5: HookedEncoderDecoder) -> None:
    buffers = CacheBuffers()
    batch = random_batch(tiny_t5)
    _, plain = tiny_t5.run_with_cache(batch, "*hook_z")
    for dtype in (torch.bfloat16, None):
        _, cache = tiny_t5.run_with_cache(batch, "*hook_z", device="cpu", dtype=dtype, buffers=buffers)
        for name in plain:
            assert torch.equal(cache[name], plain[name].to(dtype or torch.float32))


def test_reading_a_cache_whose_buffers_were_used_again_is_an_error(tiny_t5: HookedEncoderDecoder) -> None:
    buffers = CacheBuffers()
    first, second, *_ = _batches(tiny_t5)
    _, old = tiny_t5.run_with_cache(first, buffers=buffers)
    stays = old["decoder.0.attn.hook_z"].clone()
    _, new = tiny_t5.run_with_cache(second, buffers=buffers)
    for read in (lambda: old["decoder.0.attn.hook_z"], lambda: list(old), lambda: len(old), old.n_bytes):
        with pytest.raises(InputError, match="used again by a later run"):
            read()
    assert new["decoder.0.attn.hook_z"].shape != stays.shape


def test_gradients_and_buffers_exclude_each_other(tiny_t5: HookedEncoderDecoder) -> None:
    with pytest.raises(InputError, match="leave out `device`, `dtype` and `buffers`"):
        tiny_t5.run_with_cache(random_batch(tiny_t5), gradients=True, buffers=CacheBuffers())
