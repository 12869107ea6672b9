"""The registered attention: both registries know it, and it agrees with the host's eager function."""

import pytest
import torch
from transformers import AttentionInterface, AttentionMaskInterface
from transformers.masking_utils import eager_mask
from transformers.models.t5.modeling_t5 import eager_attention_forward

from interp.hooks.attention import IMPLEMENTATION, attention, register
from tests.support.models import tiny, tiny_hf


def test_both_registries_know_the_implementation() -> None:
    register()
    assert AttentionInterface()[IMPLEMENTATION] is attention
    assert AttentionMaskInterface()[IMPLEMENTATION] is eager_mask


def test_a_wrapped_model_uses_it_in_both_stacks() -> None:
    model = tiny("t5")
    configs = [model.hf.config, model.hf.encoder.config, model.hf.decoder.config]
    assert {config._attn_implementation for config in configs} == {IMPLEMENTATION}


@pytest.mark.parametrize("scaling", [1.0, 0.5, None])
@pytest.mark.parametrize("masked", [True, False])
def test_it_equals_the_eager_function_of_the_host(scaling: float | None, masked: bool) -> None:
    module = tiny_hf("t5").decoder.block[0].layer[1].EncDecAttention
    query, key, value = torch.randn(2, 5, 7, 4), torch.randn(2, 5, 9, 4), torch.randn(2, 5, 9, 4)
    bias = torch.randn(1, 5, 7, 9)
    mask = torch.zeros(2, 1, 7, 9).masked_fill(torch.rand(2, 1, 7, 9) < 0.3, torch.finfo(torch.float32).min)
    options = {"scaling": scaling, "position_bias": bias}
    before = [tensor.clone() for tensor in (query, key, value, bias, mask)]
    ours = attention(module, query, key, value, mask if masked else None, **options)
    theirs = eager_attention_forward(module, query, key, value, mask if masked else None, **options)
    for got, wanted in zip(ours, theirs, strict=True):
        torch.testing.assert_close(got, wanted, atol=1e-6, rtol=1e-6)
    for tensor, old in zip((query, key, value, bias, mask), before, strict=True):
        assert torch.equal(tensor, old), "the inputs belong to the host"
