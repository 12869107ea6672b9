"""The hooked model computes what the host computes, and what T5's equations say, at every hook point (bar: 1e-6 relative).

Lengths matter: the encoder's and the decoder's position buckets first differ at distance 9, and a decoder of one token cannot
show a missing causal mask. The reference is a second model with the same weights and the host's own eager attention.
"""

import pytest
import torch

from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import FAMILIES, random_batch, tiny, tiny_hf
from tests.support.oracle import Oracle
from tests.support.oracle_checks import assert_host_logits
from tests.support.parity import DECODER_LENGTHS, relative_gap


@pytest.mark.parametrize("length", DECODER_LENGTHS)
@pytest.mark.parametrize("name", FAMILIES)
def test_logits_equal_the_eager_host_model(name: str, length: int) -> None:
    assert_host_logits(tiny(name), tiny_hf(name), length, bound=1e-6, sources=(21, 13, 1))


@pytest.mark.parametrize("name", FAMILIES)
def test_the_oracle_equals_the_host(name: str) -> None:
    reference = tiny_hf(name)
    batch = random_batch(tiny(name), target_lengths=(33, 17, 12))
    oracle = Oracle(reference)
    with torch.no_grad():
        logits = oracle.run(batch)
        host = reference(**batch, output_attentions=True, output_hidden_states=True)
    assert relative_gap(logits, host.logits) < 2e-6
    for kind, path in (
        ("encoder", "encoder.{}.attn"),
        ("decoder", "decoder.{}.attn"),
        ("cross", "decoder.{}.cross_attn"),
    ):
        attentions = host.cross_attentions if kind == "cross" else getattr(host, f"{kind}_attentions")
        for layer, attention in enumerate(attentions):
            pattern = oracle.values[f"{path.format(layer)}.hook_pattern"]
            torch.testing.assert_close(pattern, attention, atol=1e-6, rtol=1e-5)
    for stack, states in (("encoder", host.encoder_hidden_states), ("decoder", host.decoder_hidden_states)):
        for layer, state in enumerate(states[:-1]):
            assert relative_gap(oracle.values[f"{stack}.{layer}.hook_resid_pre"], state) < 2e-6


@pytest.mark.parametrize("name", FAMILIES)
def test_every_hook_point_holds_what_the_equations_say(name: str) -> None:
    model = tiny(name)
    batch = random_batch(model, target_lengths=(33, 17, 12))
    oracle = Oracle(tiny_hf(name))
    with torch.no_grad():
        oracle.run(batch)
        _, cache = model.run_with_cache(batch, names_filter="*")
    assert set(oracle.values) == set(model.hook_points()) == set(cache)
    for key, wanted in oracle.values.items():
        got = cache[key]
        assert got.shape == wanted.shape, key
        finite = wanted > -1e30
        assert torch.equal(got > -1e30, finite), key
        gap = (got - wanted)[finite].abs().max() / wanted[finite].abs().max()
        assert gap < 5e-6, f"{key} is off by {float(gap):.1e} of its largest value"


def test_the_host_without_our_attention_gives_the_same_logits_under_sdpa(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    reference = tiny_hf("t5")
    reference.set_attn_implementation("sdpa")
    with torch.no_grad():
        got = tiny_t5(batch)
        assert relative_gap(got[batch.target_mask], reference(**batch).logits[batch.target_mask]) < 1e-5


def test_wrapping_leaves_other_models_of_the_process_alone() -> None:
    reference = tiny_hf("t5")
    batch = random_batch(tiny("t5"))
    with torch.no_grad():
        outputs = reference(**batch, output_attentions=True)
    assert reference.config._attn_implementation == "eager"
    assert outputs.cross_attentions[0].shape == (3, 5, 17, 19)


@pytest.mark.parametrize("name", ["t5", "v1.1", "umt5"])
@pytest.mark.parametrize("dtype", [torch.float64, torch.bfloat16])
def test_other_floating_point_types_agree_with_the_host(name: str, dtype: torch.dtype) -> None:
    reference = tiny_hf(name).to(dtype)
    model = HookedEncoderDecoder(tiny_hf(name).to(dtype))
    batch = random_batch(model)
    with torch.no_grad():
        wanted = reference(**batch).logits
        got, cache = model.run_with_cache(batch)
    assert got.dtype is dtype
    assert cache["decoder.0.hook_resid_post"].dtype is dtype
    assert relative_gap(got, wanted) < 1e-6
