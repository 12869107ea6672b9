"""The hooked model as a whole: causality, what padding and batch mates may change (nothing), and what it refuses."""

import pytest
import torch

from interp.activations.passes import run_until
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.interventions import zero
from interp.text.batch import Batch
from tests.support.models import random_batch, tiny, tiny_hf


def alone(model: HookedEncoderDecoder, index: int) -> Batch:
    """The prompt of `random_batch(model)` at `index`, without its batch mates and hence without padding."""
    from interp.text.batch import collate

    batch = random_batch(model)
    texts = batch.source_texts[index : index + 1], batch.target_texts[index : index + 1]
    return collate(*texts, model.cfg, model.decoder_inputs, "given")


def test_the_decoder_is_causal(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model, target_lengths=(33, 33, 33))
    changed = batch.decoder_input_ids.clone()
    changed[:, 20] = (changed[:, 20] + 1) % tiny_model.cfg.d_vocab
    with torch.no_grad():
        before = tiny_model(batch)
        after = tiny_model({**dict(batch), "decoder_input_ids": changed})
    assert torch.equal(before[:, :20], after[:, :20])
    assert not torch.equal(before[:, 20:], after[:, 20:])


def test_a_pattern_never_looks_at_padding_or_ahead(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model)
    _, cache = tiny_model.run_with_cache(batch, names_filter="*.hook_pattern")
    for name, pattern in cache.items():
        if name.startswith("decoder") and ".cross_attn." not in name:
            assert pattern.triu(1).eq(0).all(), name
            keys = batch.target_mask
        else:
            keys = batch.source_mask
        assert pattern.masked_select(~keys[:, None, None, :]).eq(0).all(), name
        torch.testing.assert_close(pattern.sum(-1), torch.ones(pattern.shape[:-1]))


@pytest.mark.parametrize("index", [0, 1, 2])
def test_padding_and_batch_mates_change_nothing(tiny_model: HookedEncoderDecoder, index: int) -> None:
    with torch.no_grad():
        together = tiny_model(random_batch(tiny_model))[index]
        by_itself = tiny_model(alone(tiny_model, index))[0]
    torch.testing.assert_close(together[: len(by_itself)], by_itself, atol=3e-6, rtol=1e-5)


def test_padding_on_the_left_of_the_source_changes_nothing(tiny_t5: HookedEncoderDecoder) -> None:
    """T5 knows relative positions only, so five masked tokens in front must not matter."""
    batch = alone(tiny_t5, 0)
    padding = torch.full((1, 5), 7)
    moved = {
        **dict(batch),
        "input_ids": torch.cat([padding, batch.input_ids], 1),
        "attention_mask": torch.cat([torch.zeros_like(padding), batch.attention_mask], 1),
    }
    torch.testing.assert_close(tiny_t5(moved), tiny_t5(batch), atol=3e-6, rtol=1e-5)


def test_the_decoder_input_is_never_guessed(tiny_t5: HookedEncoderDecoder) -> None:
    with pytest.raises(InputError, match="needs `decoder_input_ids` or `labels`; got neither"):
        tiny_t5({"input_ids": torch.tensor([[5, 6, 1]])})


def test_labels_alone_are_shifted_by_the_host(tiny_t5: HookedEncoderDecoder) -> None:
    batch = alone(tiny_t5, 0)
    by_labels = tiny_t5({"input_ids": batch.input_ids, "attention_mask": batch.attention_mask, "labels": batch.labels})
    assert torch.equal(by_labels, tiny_t5(batch))


def test_the_host_model_and_two_depths_stay_reachable() -> None:
    hf = tiny_hf("t5-deep-encoder")
    model = HookedEncoderDecoder(hf)
    assert model.hf is hf
    assert (model.cfg.n_encoder_layers, model.cfg.n_decoder_layers) == (4, 1)
    assert model.cfg.n_layers("encoder") == 4
    assert "4+1 layers, 5 heads of 4, d_model 24" in repr(model)
    assert not hf.training
    assert model.module("decoder.0.cross_attn") is hf.decoder.block[0].layer[1].EncDecAttention
    with pytest.raises(KeyError, match="Did you mean"):
        model.module("decoder.1.cross_attn")


def test_without_a_tokenizer_texts_are_refused(tiny_t5: HookedEncoderDecoder) -> None:
    with pytest.raises(InputError, match="wrapped without a tokenizer"):
        tiny_t5.batch("a text")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"feed_forward_proj": "tanh"}, "feed_forward_proj='tanh'; supported is gated or plain relu"),
        ({"pad_token_id": None}, "pad_token_id=None; supported is one token id"),
        ({"decoder_start_token_id": None}, "decoder_start_token_id=None; supported is one token id"),
    ],
)
def test_what_the_table_does_not_describe_is_refused_by_name(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny("t5", **changes)


def test_logit_scale_follows_the_configuration_and_not_the_tying() -> None:
    assert tiny("t5").cfg.logit_scale == pytest.approx(24**-0.5)
    assert tiny("v1.1").cfg.logit_scale == 1.0
    assert tiny("mt5").cfg.logit_scale == 1.0
    assert tiny("umt5").cfg.logit_scale == pytest.approx(24**-0.5)


def test_a_model_wrapped_twice_shows_its_attention_to_both_wrappers() -> None:
    first = tiny("t5")
    second = HookedEncoderDecoder(first.hf)
    batch = random_batch(first)
    _, one = first.run_with_cache(batch, "*.hook_pattern")
    _, other = second.run_with_cache(batch, "*.hook_pattern")
    assert list(one) == list(other)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_a_host_whose_attention_was_replaced_is_noticed() -> None:
    model = tiny("t5")
    model.hf.set_attn_implementation("eager")
    batch = random_batch(model)
    runs = {
        "cache": lambda: model.run_with_cache(batch, "*.hook_pattern"),
        "hooks": lambda: model.run_with_hooks(batch, [("decoder.0.attn.hook_z", lambda z, hook: z * 0)]),
        "edits": lambda: model.run_with_hooks(batch, zero(["XL0H1"])),
        "written": lambda: model.generate(batch),
        "rows": lambda: run_until(model, batch, ("encoder.0.attn.hook_z",)),
    }
    for run in runs.values():
        with pytest.raises(InputError, match=r"its attention is computed by 'eager'.*wrap it again"):
            run()
    again = HookedEncoderDecoder(model.hf)
    assert len(again.run_with_cache(random_batch(model), "*.hook_pattern")[1]) == 8


def test_a_host_with_other_modules_is_noticed() -> None:
    model = tiny("t5")
    batch, old = random_batch(model), model.hf.get_output_embeddings()
    model.hf.set_output_embeddings(torch.nn.Linear(old.in_features, old.out_features, bias=False))
    with pytest.raises(InputError, match=r"another module 'lm_head', a Linear.*wrap it again"):
        model(batch)
    model.hf.set_output_embeddings(old)
    model(batch)


@pytest.mark.slow
def test_values_put_back_where_they_came_from_change_nothing(tiny_model: HookedEncoderDecoder) -> None:
    batch = random_batch(tiny_model)
    clean = tiny_model(batch)
    for name in tiny_model.hook_points():
        put_back = tiny_model.run_with_hooks(batch, [(name, lambda tensor, hook: tensor.clone())])
        assert (put_back - clean).abs().max() < 1e-6 * clean.abs().max(), name
