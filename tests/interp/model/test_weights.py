"""Weights as named-axis views: what they multiply is what the forward pass computed."""

import pytest
import torch

from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import attention_weights, embedding, norm_gain, position_bias, unembedding
from tests.support.models import random_batch, tiny
from tests.support.oracle import bucket


@pytest.mark.parametrize("kind", ["encoder", "decoder", "cross"])
def test_attention_weights_reproduce_queries_keys_values_and_results(
    tiny_model: HookedEncoderDecoder, kind: str
) -> None:
    _, cache = tiny_model.run_with_cache(random_batch(tiny_model))
    weights = attention_weights(tiny_model, kind, 0)
    cfg = tiny_model.cfg
    assert weights.W_Q.shape == (cfg.heads_of(kind), cfg.d_model, cfg.d_head_of(kind))
    assert weights.W_O.shape == (cfg.heads_of(kind), cfg.d_head_of(kind), cfg.d_model)
    name = {"encoder": "encoder.0.attn", "decoder": "decoder.0.attn", "cross": "decoder.0.cross_attn"}[kind]
    norm = {"encoder": "encoder.0.ln1", "decoder": "decoder.0.ln1", "cross": "decoder.0.ln2"}[kind]
    reader = cache[f"{norm}.hook_normalized"] * tiny_model.module(norm).weight
    memory = (
        cache["encoder.ln_final.hook_normalized"] * norm_gain(tiny_model, "encoder.ln_final")
        if kind == "cross"
        else reader
    )
    for matrix, states, leaf in ((weights.W_Q, reader, "q"), (weights.W_K, memory, "k"), (weights.W_V, memory, "v")):
        got = torch.einsum("bpd,hdk->bphk", states, matrix)
        torch.testing.assert_close(got, cache[f"{name}.hook_{leaf}"], atol=2e-6, rtol=1e-5)
    result = torch.einsum("bphk,hkd->bphd", cache[f"{name}.hook_z"], weights.W_O)
    torch.testing.assert_close(result, cache[f"{name}.hook_result"], atol=2e-6, rtol=1e-5)


def test_weights_are_views_of_the_parameters_of_the_host(tiny_t5: HookedEncoderDecoder) -> None:
    parameter = tiny_t5.hf.decoder.block[1].layer[1].EncDecAttention.q.weight
    assert attention_weights(tiny_t5, "cross", 1).W_Q.data_ptr() == parameter.data_ptr()
    assert embedding(tiny_t5).data_ptr() == unembedding(tiny_t5).data_ptr(), "this one is tied"
    assert embedding(tiny("v1.1")).data_ptr() != unembedding(tiny("v1.1")).data_ptr()


def test_logit_directions_read_the_logits_off_the_final_stream(tiny_model: HookedEncoderDecoder) -> None:
    logits, cache = tiny_model.run_with_cache(random_batch(tiny_model))
    directions = tiny_model.logit_directions(torch.arange(tiny_model.cfg.d_vocab))
    got = cache["decoder.ln_final.hook_normalized"] @ directions.T
    assert (got - logits).abs().max() < 2e-6 * logits.abs().max()


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
@pytest.mark.parametrize("name", ["t5", "umt5"])
def test_the_position_bias_at_a_distance_is_its_buckets_row(name: str, stack: str) -> None:
    model = tiny(name)
    distances = torch.tensor(
        [-200, -130, -91, -17, -16, -9, -8, -1, 0] + ([1, 7, 8, 12, 200] if stack == "encoder" else [])
    )
    for layer in range(2):
        own = layer if name == "umt5" else 0
        table = getattr(model.hf, stack).block[own].layer[0].SelfAttention.relative_attention_bias.weight
        got = position_bias(model, stack, layer, distances)
        wanted = torch.stack([table[bucket(int(d), stack == "encoder")] for d in distances], -1)
        assert torch.equal(got, wanted)


def test_the_position_bias_is_the_one_of_the_forward_pass(tiny_t5: HookedEncoderDecoder) -> None:
    _, cache = tiny_t5.run_with_cache(
        random_batch(tiny_t5, target_lengths=(40, 3, 3)), names_filter="decoder.position_bias"
    )
    bias = cache["decoder.position_bias"][0]
    distances = torch.arange(-39, 1)
    assert torch.equal(position_bias(tiny_t5, "decoder", 2, distances), bias[:, 39, :])
