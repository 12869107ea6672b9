"""Whisper: the promises of every family, with frames of a sound in the place of source tokens."""

from pathlib import Path

import pytest
import torch

from interp.errors import InputError
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.storage import load_cache, save_cache
from interp.model.untrained_twins import untrained_twin
from interp.model.weights import attention_weights, projection_bias, unembedding_bias
from tests.support.models import extractor, random_batch, tiny, tiny_hf
from tests.support.oracle_checks import (
    assert_edit,
    assert_fires_once,
    assert_host_logits,
    assert_points,
    clean_run,
    smooth_edit,
)
from tests.support.oracle_whisper import WhisperOracle
from tests.support.parity import relative_gap

NAME = "whisper"


@pytest.mark.parametrize("length", [1, 17])
@pytest.mark.parametrize("scale_embedding", [True, False])
def test_logits_equal_the_eager_host_model_bit_for_bit(length: int, scale_embedding: bool) -> None:
    model, reference = (make(NAME, scale_embedding=scale_embedding) for make in (tiny, tiny_hf))
    assert model.cfg.embed_scale == 1
    assert_host_logits(model, reference, length, sources=(20, 13, 2))


def test_every_hook_point_holds_what_the_equations_say() -> None:
    assert_points(clean_run(NAME), WhisperOracle(tiny_hf(NAME)), 5e-6, 5e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", tiny(NAME).hook_points())
def test_an_edit_does_downstream_what_the_equations_say_and_nothing_upstream(name: str) -> None:
    change = smooth_edit(name)
    assert_edit(clean_run(NAME), WhisperOracle(tiny_hf(NAME), {name: change}), name, change, (2e-5, 1e-4))


def test_edits_of_frames_do_not_depend_on_the_order_of_attaching() -> None:
    """The frames' edit is handed to the first layer, whose own points must see it, whichever was there first."""
    model, batch, _, _ = clean_run(NAME)
    pairs = [
        ("encoder.hook_embed", lambda t, hook: t * 1.5),
        ("encoder.hook_pos_embed", lambda t, hook: t * 0.5),
        ("encoder.0.hook_resid_pre", lambda t, hook: t + 0.5),
    ]
    oracle = WhisperOracle(tiny_hf(NAME), {key: lambda t, fn=fn: fn(t, None) for key, fn in pairs})
    with torch.no_grad():
        forwards, backwards = model.run_with_hooks(batch, pairs), model.run_with_hooks(batch, pairs[::-1])
        wanted = oracle.run(batch)
    assert torch.equal(forwards, backwards)
    assert relative_gap(forwards, wanted) < 2e-5


def test_frames_put_back_where_they_came_from_change_no_bit_and_leave_nothing_behind() -> None:
    model, batch, logits, kept = clean_run(NAME)
    with torch.no_grad():
        again = model.run_with_hooks(batch, [("encoder.hook_embed", lambda t, hook: kept[hook.name].clone())])
        model.run_with_hooks(batch, [("encoder.hook_embed", lambda t, hook: t * 2)])
        assert torch.equal(again, logits)
        assert torch.equal(model(batch), logits)
    assert not [module for module in model.hf.modules() if module._forward_hooks or module._forward_pre_hooks]


def test_weights_that_learn_get_the_gradient_of_the_plain_model() -> None:
    """Frames are shown beside the host's own, so their gradient must come through one of the two, not both."""
    model, plain = HookedEncoderDecoder(tiny_hf(NAME).requires_grad_(True)), tiny_hf(NAME).requires_grad_(True)
    batch = random_batch(tiny(NAME))
    logits, kept = model.run_with_cache(batch, gradients=True)
    logits[0, 4, 7].backward()
    plain(**batch).logits[0, 4, 7].backward()
    for name, parameter in plain.named_parameters():
        if parameter.grad is not None:
            own = model.hf.get_parameter(name).grad
            assert own is not None, name
            assert (own - parameter.grad).abs().max() <= 1e-5 * max(float(parameter.grad.abs().max()), 1e-3), name
    assert kept.grad["encoder.hook_embed"] is not None


def test_every_hook_point_fires_exactly_once_per_forward() -> None:
    assert_fires_once(tiny(NAME))


def test_keys_have_no_bias_and_queries_are_divided_before_they_are_seen() -> None:
    model, _, _, kept = clean_run(NAME)
    for kind in ("encoder", "decoder", "cross"):
        path = attention_path(kind, 1)  # type: ignore[arg-type]
        assert model.cfg.hooked_scale(kind) == 1  # type: ignore[arg-type]
        assert not projection_bias(model, kind, 1, "k").any()  # type: ignore[arg-type]
        assert projection_bias(model, kind, 1, "q").any()  # type: ignore[arg-type]
        if kind != "decoder":  # nothing is masked
            product = torch.einsum("bqhd,bkhd->bhqk", kept[f"{path}.hook_q"], kept[f"{path}.hook_k"])
            torch.testing.assert_close(product, kept[f"{path}.hook_attn_scores"], atol=1e-5, rtol=1e-5)
    W_Q, normed = attention_weights(model, "encoder", 1).W_Q, kept["encoder.1.ln1.hook_normalized"]
    norm = model.module("encoder.1.ln1")
    asked = torch.einsum("bpd,hdk->bphk", normed * norm.weight + norm.bias, W_Q) + projection_bias(
        model, "encoder", 1, "q"
    )
    torch.testing.assert_close(
        asked * model.cfg.attention_scale("encoder"), kept["encoder.1.attn.hook_q"], atol=1e-5, rtol=1e-5
    )
    assert not unembedding_bias(model).any()
    assert model.tied_embeddings


def test_silence_behind_the_end_is_read_like_any_other_frame() -> None:
    model, batch, _, kept = clean_run(NAME)
    assert batch.source_mask.all()
    assert batch.input_ids.shape[1] == model.cfg.n_frames == 50
    assert kept["decoder.0.cross_attn.hook_pattern"][..., 40:].gt(0).all()
    assert batch.source_categories[0, 40:].eq(9).all()


def test_a_saved_cache_keeps_the_spectrograms(tmp_path: Path) -> None:
    model, batch, _, _ = clean_run(NAME)
    with torch.no_grad():
        _, kept = model.run_with_cache(batch)
    save_cache(kept, tmp_path / "run.safetensors")
    back = load_cache(tmp_path / "run.safetensors", model).batch
    assert back is not None
    assert torch.equal(back.source_fields["input_features"], batch.source_fields["input_features"])
    assert back.source_texts == batch.source_texts


def test_twins_read_the_same_sounds() -> None:
    model, batch, logits, _ = clean_run(NAME)
    twin = untrained_twin(model, 0)
    assert twin.sounds is not None
    with torch.no_grad():
        assert not torch.equal(twin(batch), logits)
    wanted, got = (one.module("encoder.hook_pos_embed").weight for one in (model, twin))
    assert torch.equal(wanted, got), "positions of frames are not drawn"


def test_a_feature_extractor_of_another_model_is_refused() -> None:
    with pytest.raises(
        InputError, match="makes spectrograms of 14 bands and 100 columns, and the model reads 14 and 60"
    ):
        tiny(NAME, max_source_positions=30)
    with pytest.raises(InputError, match="source='tokens'"):
        HookedEncoderDecoder(tiny_hf("bart"), feature_extractor=extractor())
