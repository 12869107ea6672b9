"""Weights on several devices: a model whose weights are on the disk gives, hook by hook, what it gives from memory."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from transformers import DynamicCache, EncoderDecoderCache

import interp
from interp.attribution import decompose, decomposition_hooks, token_logit
from interp.errors import InputError
from interp.hooks.host_weights import can_fetch, named_weights, weight_of
from interp.hooks.steps import CACHE_FIELD
from interp.model.factored_matrix import mlp_weights
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.placement import Placement, copy_in_memory, n_bytes, placed, read_max_memory
from interp.model.untrained_twins import untrained_twin
from interp.model.weights import (
    attention_weights,
    embedding,
    norm_gain,
    output_bias,
    position_bias,
    unembedding,
    weights_digest,
)
from tests.support.models import random_batch, tiny

FAMILIES = ("t5", "v1.1", "bart", "marian", "mbart")
CPU = torch.device("cpu")


def _spread(model: HookedEncoderDecoder) -> dict[str, str]:
    """The embedding and the encoder in memory, the decoder and the unembedding on the disk: two places for two stacks."""
    stem = "model." if isinstance(getattr(model.hf, "model", None), nn.Module) else ""
    spread = {f"{stem}shared": "cpu", f"{stem}encoder": "cpu", f"{stem}decoder": "disk", "lm_head": "disk"}
    return spread | ({"final_logits_bias": "cpu"} if hasattr(model.hf, "final_logits_bias") else {})


def offloaded(name: str) -> HookedEncoderDecoder:
    """A tiny model, its decoder on the disk."""
    model = tiny(name)
    return HookedEncoderDecoder(placed(copy_in_memory(model.hf), _spread(model), CPU, torch.float32), model.tokenizer)


@pytest.fixture(scope="module", params=FAMILIES)
def pair(request: pytest.FixtureRequest) -> tuple[HookedEncoderDecoder, HookedEncoderDecoder]:
    return tiny(request.param), offloaded(request.param)


Pair = tuple[HookedEncoderDecoder, HookedEncoderDecoder]


def is_offloaded(hf: nn.Module) -> bool:
    """Whether some weights are brought to memory only while their module runs."""
    return any(weight.is_meta for weight in hf.parameters())


def test_every_activation_is_that_of_the_model_in_memory(pair: Pair) -> None:
    here, there = pair
    assert is_offloaded(there.hf)
    assert not is_offloaded(here.hf)
    assert there.device == CPU
    batch = random_batch(here)
    (logits, cache), (own_logits, own) = here.run_with_cache(batch), there.run_with_cache(batch)
    assert torch.equal(logits, own_logits)
    assert list(cache) == list(own)
    assert all(torch.equal(cache[name], own[name]) for name in cache)
    result = "decoder.1.cross_attn.hook_result"
    assert torch.equal(cache[result], own[result])
    assert torch.equal(here.run_with_cache(batch, result)[1][result], there.run_with_cache(batch, result)[1][result])


def test_edits_act_and_norms_and_heads_are_recomputed_from_fetched_weights(pair: Pair) -> None:
    here, there = pair
    batch = random_batch(here)
    for name in ("decoder.1.ln1.hook_scale", "decoder.1.cross_attn.hook_result", "decoder.2.hook_mlp_out"):
        edit = [(name, lambda tensor, hook: tensor * 1.25)]
        changed = there.run_with_hooks(batch, edit)
        assert torch.equal(changed, here.run_with_hooks(batch, edit)), name
        assert not torch.equal(changed, there(batch)), name


def test_gradients_reach_activations(pair: Pair) -> None:
    found = []
    for model in pair:
        logits, cache = model.run_with_cache(random_batch(pair[0]), "encoder.*", gradients=True)
        logits[0, 0, 0].backward()
        found.append({name: grad.clone() for name, grad in cache.grad.items() if grad is not None})
    assert found[0]
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])


def test_the_digest_of_weights_is_the_same_wherever_they_lie(pair: Pair) -> None:
    here, there = pair
    assert weights_digest(there) == weights_digest(here)
    other = copy_in_memory(here.hf)
    next(other.get_decoder().parameters()).data[0, 0] += 1
    assert weights_digest(HookedEncoderDecoder(other, here.tokenizer)) != weights_digest(here)


def test_weights_are_fetched_where_they_lie(pair: Pair) -> None:
    here, there = pair
    own = dict(named_weights(there.hf))
    for name, weight in here.hf.named_parameters():
        assert torch.equal(own[name], weight), name
    for kind, layer in (("decoder", 2), ("cross", 1), ("encoder", 1)):
        one, other = attention_weights(here, kind, layer), attention_weights(there, kind, layer)  # type: ignore[arg-type]
        assert all(torch.equal(getattr(one, name), getattr(other, name)) for name in ("W_Q", "W_K", "W_V", "W_O"))
    assert torch.equal(mlp_weights(here, "decoder", 1).W_out, mlp_weights(there, "decoder", 1).W_out)
    assert torch.equal(embedding(here), embedding(there))
    assert torch.equal(unembedding(here), unembedding(there))
    assert torch.equal(norm_gain(here, "decoder.1.ln2"), norm_gain(there, "decoder.1.ln2"))
    assert torch.equal(output_bias(here, "decoder.1.mlp.hook_post"), output_bias(there, "decoder.1.mlp.hook_post"))
    if here.cfg.positions == "relative":
        distances = torch.arange(-6, 1)
        assert torch.equal(position_bias(here, "decoder", 1, distances), position_bias(there, "decoder", 1, distances))
    assert here.tied_embeddings == there.tied_embeddings


def test_a_copy_in_memory_and_an_untrained_twin_are_those_of_the_model_in_memory(pair: Pair) -> None:
    here, there = pair
    batch = random_batch(here)
    copy = HookedEncoderDecoder(copy_in_memory(there.hf))
    assert not is_offloaded(copy.hf)
    assert copy.tied_embeddings == here.tied_embeddings
    assert torch.equal(copy(batch), here(batch))
    twin = untrained_twin(there, seed=5)
    assert is_offloaded(twin.hf)
    assert torch.equal(twin(batch), untrained_twin(here, seed=5)(batch))


def test_writing() -> None:
    here, there = tiny("t5"), offloaded("t5")
    batch = random_batch(here)
    written = []
    for model in (here, there):
        # The host would give a cache of its own as many layers as the encoder has.
        memory = EncoderDecoderCache(DynamicCache(), DynamicCache())
        read = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, CACHE_FIELD: memory}
        written.append(model.hf.generate(**read, max_new_tokens=6))
    assert torch.equal(*written)


@pytest.mark.parametrize("name", ["t5", "v1.1"])
def test_attribution_adds_up(name: str) -> None:
    """Contributions of heads, which read weights and a cache, are those of the model in memory."""
    here, there = tiny(name), offloaded(name)
    batch = random_batch(here)
    labels = batch.labels.clamp(min=0)
    found = []
    for model in (here, there):
        with torch.no_grad():
            logits, cache = model.run_with_cache(batch, decomposition_hooks(model.cfg))
            found.append(decompose(model, cache, token_logit(model, logits, labels)).values)
    assert torch.equal(*found)
    target = logits.gather(-1, labels[..., None])[..., 0]
    torch.testing.assert_close(found[1].sum(-1), target, atol=1e-4, rtol=1e-4)


def test_a_weight_that_is_nowhere_is_an_error_not_a_number() -> None:
    lost = nn.Linear(3, 4, device="meta")
    assert not can_fetch(lost, "weight")
    with pytest.raises(InputError, match="weight of a Linear is not in memory"):
        weight_of(lost)
    hf = copy_in_memory(tiny("t5").hf)
    hf.decoder.block[1].layer[0].SelfAttention.q.weight = nn.Parameter(torch.empty(20, 24, device="meta"))
    with pytest.raises(InputError, match="is not in memory"):
        HookedEncoderDecoder(hf)


@pytest.mark.slow
def test_loading_with_a_device_map(tmp_path: Path) -> None:
    plain = interp.load()
    # Modules that share one tensor lie in one place.
    parts = {"shared": "cpu", "encoder": "cpu", "lm_head": "cpu", "decoder.embed_tokens": "cpu"}
    parts |= dict.fromkeys(("decoder.block", "decoder.final_layer_norm", "decoder.dropout"), "disk")
    model = interp.load(device_map=parts, offload_folder=tmp_path)
    batch = plain.batch(["translate English to German: The dog is running."], ["Der Hund läuft."])
    assert is_offloaded(model.hf)
    assert torch.equal(model(batch), plain(batch))
    assert (
        model.generate(["translate English to German: The cat sleeps."]).texts
        == plain.generate(["translate English to German: The cat sleeps."]).texts
    )
    automatic = interp.load(device_map="auto", max_memory={"cpu": "16MB"}, offload_folder=tmp_path)
    assert is_offloaded(automatic.hf)
    assert torch.equal(automatic(batch), plain(batch))


def test_sizes_and_limits() -> None:
    assert read_max_memory("0=20GiB, cpu=1.5GB") == {0: "20GiB", "cpu": "1.5GB"}
    assert read_max_memory(None) is None
    assert (n_bytes("2GiB"), n_bytes("1.5kb"), n_bytes(7)) == (2 << 30, 1500, 7)
    for text in ("20GiB", "0=much", "gpu=1GiB", "0=1GiB,0=2GiB", ""):
        with pytest.raises(InputError, match=r"memory|limits"):
            read_max_memory(text)


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        ({"offload_folder": "there"}, "give `device_map`"),
        ({"max_memory": {"cpu": "1GiB"}}, "give `device_map`"),
        ({"device_map": "everywhere"}, "No device map is called 'everywhere'"),
    ],
)
def test_choices_that_do_not_go_together_are_refused(choices: dict[str, Any], message: str) -> None:
    with pytest.raises(InputError, match=message):
        Placement(**choices).host_arguments()
