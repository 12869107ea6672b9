"""BART, Marian, mBART, Pegasus and M2M100: the same promises as for T5, with their own facts.

Parity with the eager host at 1e-6, every hook point against the equations, every hook point editable, generation equal to the
teacher-forced pass, the residual identity where it holds, and a sentence where it does not.
"""

from pathlib import Path

import pytest
import torch

import interp
from interp.errors import InputError
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.storage import load_cache, save_cache
from interp.model.weights import attention_weights, output_bias, position_bias
from interp.patching.interventions import zero
from interp.text.words import CATEGORIES
from tests.support.models import BART_FAMILIES, random_batch, tiny, tiny_hf
from tests.support.oracle_bart import POST_NORM, BartOracle
from tests.support.oracle_checks import (
    assert_edit,
    assert_fires_once,
    assert_host_logits,
    assert_points,
    clean_run,
    smooth_edit,
)
from tests.support.parity import DECODER_LENGTHS, relative_gap
from tests.support.tokenizers import byte_pair_tokenizer

pytestmark = pytest.mark.slow

PRE_NORM = [name for name in BART_FAMILIES if name not in POST_NORM]


@pytest.mark.parametrize(
    "length", [pytest.param(n, marks=() if n in (1, 17) else pytest.mark.slow) for n in DECODER_LENGTHS]
)
@pytest.mark.parametrize("name", BART_FAMILIES)
def test_logits_equal_the_eager_host_model(name: str, length: int) -> None:
    assert_host_logits(tiny(name), tiny_hf(name), length, bound=1e-6)


@pytest.mark.parametrize("heads", [(5, 10), (10, 4), (5, 5)], ids=str)
def test_stacks_may_have_different_numbers_of_heads(heads: tuple[int, int]) -> None:
    changes = dict(zip(("encoder_attention_heads", "decoder_attention_heads"), heads, strict=True))
    model, reference = tiny("bart", **changes), tiny_hf("bart", **changes)
    batch = random_batch(model)
    with torch.no_grad():
        got, kept = model.run_with_cache(batch, names_filter="*")
        assert relative_gap(got, reference(**batch).logits) < 1e-6
    for kind, count in (("encoder", heads[0]), ("decoder", heads[1]), ("cross", heads[1])):
        path = attention_path(kind, 1)
        assert (model.cfg.heads_of(kind), model.cfg.d_head_of(kind)) == (count, 20 // count)
        assert model.cfg.attention_scale(kind) == pytest.approx((20 / count) ** -0.5)
        assert kept[f"{path}.hook_z"].shape[2:] == (count, 20 // count)
        assert kept[f"{path}.hook_pattern"].shape[1] == count
        assert attention_weights(model, kind, 1).W_O.shape == (count, 20 // count, 20)
        total = kept[f"{path}.hook_result"].sum(2) + output_bias(model, f"{path}.hook_result")
        written = kept["decoder.1.hook_cross_attn_out" if kind == "cross" else f"{kind}.1.hook_attn_out"]
        torch.testing.assert_close(total, written, atol=2e-5, rtol=1e-5)
    if heads[0] == heads[1]:
        assert "5 heads of 4, d_model" in repr(model)
    else:
        assert f"{heads[0]} heads of {20 // heads[0]} in the encoder and {heads[1]} heads of" in repr(model)


@pytest.mark.parametrize("name", BART_FAMILIES)
def test_decoder_inputs_are_those_the_host_makes(name: str) -> None:
    model = tiny(name)
    batch = random_batch(model)
    fields = {"input_ids": batch.input_ids, "attention_mask": batch.attention_mask}
    by_labels = model({**fields, "labels": batch.labels, "decoder_attention_mask": batch.decoder_attention_mask})
    rows = batch.target_mask
    torch.testing.assert_close(by_labels[rows], model(batch)[rows], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("name", BART_FAMILIES)
def test_every_hook_point_holds_what_the_equations_say(name: str) -> None:
    assert_points(clean_run(name), BartOracle(tiny_hf(name)), 5e-6, 5e-6)


# PLBart and Blenderbot have no path that another family does not have.
EDITED = [name for name in BART_FAMILIES if name not in ("plbart", "blenderbot")]
EDITS = [(family, name) for family in EDITED for name in tiny(family).hook_points()]


@pytest.mark.parametrize(("family", "name"), EDITS)
def test_an_edit_does_downstream_what_the_equations_say_and_nothing_upstream(family: str, name: str) -> None:
    change = smooth_edit(name)
    assert_edit(clean_run(family), BartOracle(tiny_hf(family), {name: change}), name, change, (2e-5, 1e-4))


@pytest.mark.parametrize("name", BART_FAMILIES)
def test_edits_of_norms_and_streams_do_not_depend_on_the_order_of_attaching(name: str) -> None:
    model = tiny(name)
    batch = random_batch(model)
    pairs = [
        ("decoder.1.ln1.hook_normalized", lambda t, hook: t * 1.5),
        ("decoder.1.hook_resid_mid", lambda t, hook: t + 0.5),
        ("decoder.1.hook_resid_mid_cross", lambda t, hook: t * 0.5),
        ("decoder.1.hook_mlp_out", lambda t, hook: t * 2),
    ]
    with torch.no_grad():
        forwards, backwards = model.run_with_hooks(batch, pairs), model.run_with_hooks(batch, pairs[::-1])
        oracle = BartOracle(tiny_hf(name), {key: lambda t, fn=fn: fn(t, None) for key, fn in pairs})
        wanted = oracle.run(batch)
    assert torch.equal(forwards, backwards)
    assert relative_gap(forwards, wanted) < 2e-5


@pytest.mark.parametrize("name", BART_FAMILIES)
def test_every_hook_point_fires_exactly_once_per_forward_and_nothing_stays(name: str) -> None:
    model = tiny(name)
    assert_fires_once(model)
    hooks = [module for module in model.hf.modules() if module._forward_hooks or module._forward_pre_hooks]
    assert len(hooks) == len([m for m in tiny_hf(name).modules() if m._forward_hooks or m._forward_pre_hooks])


@pytest.mark.parametrize("name", PRE_NORM)
@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_the_stream_of_pre_norm_models_is_the_sum_of_writers_and_biases(name: str, stack: str) -> None:
    model = tiny(name)
    _, kept = model.run_with_cache(random_batch(model))
    torch.testing.assert_close(
        kept.decompose_resid(stack).sum(), kept.accumulated_resid(stack).values[-1], atol=2e-5, rtol=1e-5
    )
    assert output_bias(model, "decoder.0.cross_attn.hook_result").abs().max() > 0.05


@pytest.mark.parametrize("name", POST_NORM)
def test_post_norm_models_refuse_sums(name: str, tmp_path: Path) -> None:
    model = tiny(name)
    _, kept = model.run_with_cache(random_batch(model))
    save_cache(kept, tmp_path / "kept.safetensors")
    for other in (kept, load_cache(tmp_path / "kept.safetensors", model), kept.to(dtype=torch.float64)):
        with pytest.raises(InputError, match=r"norm_place='post'\), so the stream is no sum of writers"):
            other.decompose_resid("decoder")
        with pytest.raises(InputError, match="no sum of writers"):
            other.stack_head_results("decoder", incl_remainder=True)
        with pytest.raises(InputError, match="has no final norm"):
            other.accumulated_resid("encoder", apply_ln=True)
        assert other.accumulated_resid("decoder").labels[-1] == "2_post"
        assert other.stack_head_results("decoder").labels[-1] == "XL2H9"


@pytest.mark.parametrize("name", BART_FAMILIES)
def test_what_only_t5_has_is_refused(name: str) -> None:
    model = tiny(name)
    with pytest.raises(InputError, match="no linear read-out without a bias; this is for T5's family"):
        model.logit_directions(torch.tensor([3]))
    with pytest.raises(InputError, match=f"'{name}' has no relative position bias: its positions are"):
        position_bias(model, "encoder", 0, torch.tensor([0]))


@pytest.mark.parametrize("name", BART_FAMILIES)
def test_weights_and_interventions_work_as_for_t5(name: str) -> None:
    model = tiny(name)
    batch = random_batch(model)
    _, kept = model.run_with_cache(batch)
    W_O = attention_weights(model, "cross", 1).W_O
    wanted = torch.einsum("bphk,hkd->bphd", kept["z", 1, "cross_attn"], W_O)
    torch.testing.assert_close(wanted, kept["result", 1, "cross_attn"], atol=1e-5, rtol=1e-5)
    with torch.no_grad(), model.hooks(zero(["XL1H2"])):
        _, edited = model.run_with_cache(batch)
    lost = kept["decoder.1.hook_cross_attn_out"] - edited["decoder.1.hook_cross_attn_out"]
    torch.testing.assert_close(lost, wanted[:, :, 2], atol=2e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("family", "changes", "message"),
    [
        ("bart", {"activation_function": "tanh"}, "activation_function='tanh'"),
        ("marian", {"share_encoder_decoder_embeddings": False}, "share_encoder_decoder_embeddings=False"),
    ],
)
def test_what_the_table_does_not_describe_is_refused_by_name(
    family: str, changes: dict[str, object], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        tiny(family, **changes)


@pytest.mark.parametrize("name", BART_FAMILIES)
def test_feed_forward_layers_of_two_widths_are_told_apart(name: str) -> None:
    cfg = tiny(name).cfg
    assert (cfg.d_mlp_of("encoder"), cfg.d_mlp_of("decoder")) == (28, 36)
    assert cfg.describe_mlp() == "d_mlp 28 in the encoder and 36 in the decoder"
    assert tiny(name, decoder_ffn_dim=28).cfg.describe_mlp() == "d_mlp 28"


@pytest.mark.parametrize("name", ["bart", "mbart", "marian"])
def test_gradients_reach_the_stream_between_sublayers(name: str) -> None:
    """d metric / d stream times a direction is what nudging the stream along it does."""
    model = HookedEncoderDecoder(tiny_hf(name).double())
    batch = random_batch(model)
    point = "decoder.1.hook_resid_mid"
    logits, kept = model.run_with_cache(batch, gradients=True)
    (logits[0, 4, 7] - logits[0, 4, 9]).backward()
    gradient = kept.grad[point]
    assert gradient is not None
    direction = torch.randn(gradient.shape, dtype=torch.float64)

    def value(step: float) -> float:
        with torch.no_grad():
            nudged = model.run_with_hooks(batch, [(point, lambda stream, hook: stream + step * direction)])
        return float(nudged[0, 4, 7] - nudged[0, 4, 9])

    quotient = (value(1e-5) - value(-1e-5)) / 2e-5
    assert float((gradient * direction).sum()) == pytest.approx(quotient, rel=1e-4, abs=1e-7)


def test_a_bart_checkpoint_is_loaded_and_run_on_texts(tmp_path: Path) -> None:
    tokenizer = byte_pair_tokenizer()
    tiny_hf("bart", vocab_size=len(tokenizer)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    model = interp.load(tmp_path, device="cpu")
    batch = model.batch(["The dog's house.", "A big dog."], ["Das Haus.", "Der Hund."])
    text = batch.source_texts[0]
    assert [CATEGORIES[c] for c in text.category_of_token][:1] == ["prefix"], "the start token"
    assert CATEGORIES[text.category_of_token[-1]] == "eos"
    pieces = [piece for piece, word in zip(text.pieces, text.word_of_token, strict=True) if text.words[word] == "dog's"]
    assert "".join(pieces).replace("Ġ", "") == "dog's"
    assert batch.decoder_input_ids[:, 0].eq(2).all()
    with torch.no_grad():
        assert relative_gap(model(batch), tiny_hf("bart", vocab_size=len(tokenizer))(**batch).logits) < 1e-6
    written = model.generate(["The dog."], "decoder.*.hook_resid_post", max_new_tokens=6)
    assert written.batch.target_origin == "generated"
    assert model.max_length == 40
    with pytest.raises(InputError, match="the limit is 40"):
        model.batch("dog " * 50, "x")
