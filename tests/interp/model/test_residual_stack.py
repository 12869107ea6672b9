"""Sums over the residual stream through a cache: each is an identity, so the bars are rounding."""

from typing import Any

import pytest
import torch

from interp.attribution.components import components_of
from interp.attribution.direct_logit_attribution import decompose
from interp.attribution.logit_readout import token_logit
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.token_sets import answer, last
from tests.support.array_types import unchecked
from tests.support.models import random_batch


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_accumulated_and_decomposed_streams_agree(tiny_model: HookedEncoderDecoder, stack: str) -> None:
    _, cache = tiny_model.run_with_cache(random_batch(tiny_model))
    depth = tiny_model.cfg.n_layers(stack)
    whole = cache.accumulated_resid(stack)
    assert whole.labels == (*[f"{layer}_pre" for layer in range(depth)], f"{depth - 1}_post")
    for layer in range(depth + 1):
        parts = cache.decompose_resid(stack, layer)
        torch.testing.assert_close(parts.sum(), whole.values[layer], atol=5e-6, rtol=1e-5)
    assert torch.equal(cache.accumulated_resid(stack, layer=1).values[-1], cache[f"{stack}.0.hook_resid_post"])
    attention, mlp = (cache.decompose_resid(stack, mode=mode) for mode in ("attn", "mlp"))
    both = attention.sum() + mlp.sum() - attention.values[0]
    torch.testing.assert_close(both, whole.values[-1], atol=5e-6, rtol=1e-5)


def test_mid_streams_are_listed_in_order(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    labels = cache.accumulated_resid("decoder", layer=1, incl_mid=True).labels
    assert labels == ("0_pre", "0_mid", "0_mid_cross", "1_pre")
    assert cache.accumulated_resid("encoder", layer=1, incl_mid=True).labels == ("0_pre", "0_mid", "1_pre")


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_head_results_and_the_remainder_are_the_stream(tiny_model: HookedEncoderDecoder, stack: str) -> None:
    _, cache = tiny_model.run_with_cache(random_batch(tiny_model))
    heads = cache.stack_head_results(stack, incl_remainder=True)
    torch.testing.assert_close(heads.sum(), cache.accumulated_resid(stack).values[-1], atol=5e-6, rtol=1e-5)
    if stack == "decoder":
        heads_only = [one.label for one in components_of(tiny_model.cfg, "decoder") if one.head is not None]
        assert list(heads.labels) == [*heads_only, "remainder"]
    index = heads.labels.index("EL0H3" if stack == "encoder" else "XL0H3")
    place = "encoder" if stack == "encoder" else "cross_attn"
    assert torch.equal(heads.values[index], cache["result", 0, place][:, :, 3])


def test_logit_attributions_sum_to_the_logit(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model)
    logits, cache = tiny_model.run_with_cache(batch)
    parts = cache.logit_attrs(cache.decompose_resid("decoder"), batch.labels)
    wanted = logits.gather(-1, batch.labels.clamp_min(0).unsqueeze(-1)).squeeze(-1)
    assert (parts.sum(0) - wanted).abs().max() < 2e-6 * logits.abs().max()
    difference = cache.logit_attrs(cache.decompose_resid("decoder", apply_ln=True), 7, 9).sum(0)
    assert (difference - (logits[..., 7] - logits[..., 9])).abs().max() < 2e-6 * logits.abs().max()


def test_attributions_of_heads_equal_those_without_forming_results(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    logits, cache = tiny_t5.run_with_cache(batch)
    heads = cache.stack_head_results("decoder")
    by_stack = cache.logit_attrs(heads, batch.labels)
    by_z = decompose(tiny_t5, cache, token_logit(tiny_t5, logits, batch.labels.clamp_min(0)))
    torch.testing.assert_close(by_stack[heads.labels.index("XL2H4")], by_z.of("XL2H4"), atol=2e-6, rtol=1e-5)


def test_what_makes_no_sense_is_refused(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    with pytest.raises(InputError, match="Logits read the decoder's stream; this is the encoder's"):
        cache.logit_attrs(cache.decompose_resid("encoder"), 7)
    with pytest.raises(InputError, match="already divided"):
        cache.apply_ln_to_stack(cache.decompose_resid("decoder", apply_ln=True))


def test_stack_activation_finds_the_depth(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    assert cache.stack_activation("pattern", "cross_attn").shape == (3, 3, 5, 17, 19)
    assert cache.stack_activation("resid_post", "encoder").shape == (2, 3, 19, 24)


def test_activations_at_a_token_set(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    _, cache = tiny_t5.run_with_cache(batch)
    eos = cache.at("encoder.1.hook_resid_post", last(batch, "source"))
    for row, length in enumerate((15, 12, 19)):
        assert torch.equal(eos[row], cache["encoder.1.hook_resid_post"][row, length - 1])
    rows = cache.at(("pattern", 2, "cross_attn"), answer(batch))
    assert rows.shape == (13 + 17 + 12 - 3, 5, 19)
    assert torch.equal(rows[0], cache["pattern", 2, "cross_attn"][0, :, 0])
    with pytest.raises(InputError, match="take a set of the same side"):
        cache.at("encoder.1.hook_resid_post", last(batch, "target"))
    with pytest.raises(InputError, match="no positions of a prompt"):
        cache.at("encoder.position_bias", last(batch, "source"))


def test_capture_in_another_type_and_place(tiny_t5: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_t5)
    logits, cache = tiny_t5.run_with_cache(batch, "decoder.*.hook_resid_post", device="cpu", dtype=torch.bfloat16)
    full_logits, full = tiny_t5.run_with_cache(batch)
    assert torch.equal(logits, full_logits), "what is kept does not change what is computed"
    for name, value in cache.items():
        assert torch.equal(value, full[name].bfloat16())
    with pytest.raises(InputError, match="leave out `device`, `dtype` and `buffers`"):
        tiny_t5.run_with_cache(batch, gradients=True, dtype=torch.bfloat16)


@pytest.mark.parametrize(
    "choices", [{"layer": -1}, {"layer": 4}, {"layer": "1"}, {"layer": 1.0}, {"layer": True}, {"stack": "both"}]
)
def test_layers_and_stacks_that_are_none_are_refused(tiny_t5: HookedEncoderDecoder, choices: dict[str, Any]) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    for method in (cache.accumulated_resid, cache.decompose_resid, cache.stack_head_results):
        with pytest.raises(InputError, match=r"Layers of the decoder are 0 to 2, and 3 stands|A stack is"):
            method(**{"stack": "decoder", **choices})
    with pytest.raises(InputError, match="no head has written"):
        cache.stack_head_results("decoder", 0)
    with pytest.raises(InputError, match="'all', 'attn' or 'mlp'"):
        cache.decompose_resid("decoder", mode="heads")  # type: ignore[arg-type]


@pytest.mark.parametrize("token", [-1, 61, 5.0, True, None, [1, 2], torch.tensor(5), torch.ones(3, 17)])
def test_tokens_that_are_none_have_no_attribution(tiny_t5: HookedEncoderDecoder, token: Any) -> None:
    _, cache = tiny_t5.run_with_cache(random_batch(tiny_t5))
    stacked = cache.decompose_resid("decoder")
    with unchecked(), pytest.raises(InputError, match=r"Tokens are"):
        cache.logit_attrs(stacked, token)
