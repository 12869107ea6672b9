"""T5Gemma 2: the promises of every family where one attention is over both sides, with windows and norms of queries and keys."""

import gc
import weakref
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from interp.attribution.direct_logit_attribution import decompose, decomposition_hooks
from interp.attribution.frozen_norms import effect_with_norms_recomputed, recomputed_norm_hooks, squared_norm_shares
from interp.attribution.logit_readout import label_tokens, logit_difference, runner_up, token_logit
from interp.attribution.source_attribution import encoder_attribution, source_contributions
from interp.circuits.graph import graph_of
from interp.errors import InputError
from interp.hooks.names import attention_path
from interp.model.factored_matrix import ov_circuit, qk_circuit
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.model.weights import scored, uncapped
from interp.patching.interventions import knock_out, zero
from interp.patching.partial_forward import record_pass
from interp.sources import ask, attribute_sources
from tests.support.models import END_OF_IMAGE, random_batch, tiny, tiny_hf
from tests.support.oracle_checks import (
    assert_edit,
    assert_host_logits,
    assert_points,
    clean_run,
)
from tests.support.oracle_t5gemma2 import T5Gemma2Oracle
from tests.support.parity import relative_gap

NAME = "t5gemma2"


@pytest.mark.parametrize("length", [1, 17])
@pytest.mark.parametrize("names", [None, "*"])
def test_logits_equal_the_eager_host_model_bit_for_bit(length: int, names: str | None) -> None:
    assert_host_logits(tiny(NAME), tiny_hf(NAME), length, names)


def test_every_hook_point_holds_what_the_equations_say() -> None:
    assert_points(clean_run(NAME, END_OF_IMAGE), T5Gemma2Oracle(tiny_hf(NAME)), 2e-5, 6e-5)


def edit_for(name: str) -> Callable[[Tensor], Tensor]:
    """A change that no norm undoes, and that leaves masked scores what they are: rows of padding may have no others."""
    if name.endswith("hook_scale"):
        return lambda value: value * (1.2 + 0.4 * torch.arange(value.shape[1]).cos())[:, None]
    if name.endswith("scores"):
        return lambda value: value.where(value < -1e30, value * 1.25)
    return lambda value: value * 1.25 + 0.3 * torch.linspace(-1, 1, value.shape[-1]).square()


# One layer a side, of those with and without a window.
EDITED = [name for name in tiny(NAME).hook_points() if not name.startswith(("encoder.1.", "decoder.0.", "decoder.2."))]


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=() if ".attn." in name else pytest.mark.slow) for name in EDITED]
)
def test_an_edit_does_downstream_what_the_equations_say_and_nothing_upstream(name: str) -> None:
    change = edit_for(name)
    assert_edit(
        clean_run(NAME, END_OF_IMAGE), T5Gemma2Oracle(tiny_hf(NAME), {name: change}), name, change, (3e-4, 1e-5)
    )


ATTENDING = [f"decoder.1.{side}.hook_{leaf}" for side in ("attn", "cross_attn") for leaf in "qkvz"]


@pytest.mark.parametrize(
    "name", [*ATTENDING, *(f"decoder.1.{side}.hook_attn_scores" for side in ("attn", "cross_attn"))]
)
def test_a_function_may_write_into_what_it_is_shown(name: str) -> None:
    """The other side keeps its own: queries are shown to both, and are one tensor."""
    model, batch, clean, _ = clean_run(NAME, END_OF_IMAGE)

    def copied(value: Tensor, hook: object) -> Tensor:
        return torch.cat([torch.zeros_like(value[..., :1]), value[..., 1:]], -1)

    def written(value: Tensor, hook: object) -> None:
        value[..., 0] = 0

    with torch.no_grad():
        wanted = model.run_with_hooks(batch, [(name, copied)])
        got = model.run_with_hooks(batch, [(name, written)])
        again = model.run_with_hooks(batch, [("decoder.1.*", lambda value, hook: value.clone())])
    assert torch.equal(got, wanted)
    assert not torch.equal(got, clean)
    assert torch.equal(again, clean)


def test_both_sides_are_one_softmax_and_one_sum() -> None:
    model, batch, _, kept = clean_run(NAME, END_OF_IMAGE)
    with torch.no_grad():
        attentions = tiny_hf(NAME)(**batch, output_attentions=True)
    for layer, (own, cross) in enumerate(zip(attentions.decoder_attentions, attentions.cross_attentions, strict=True)):
        for side, wanted in (("attn", own), ("cross_attn", cross)):
            assert torch.equal(kept[f"decoder.{layer}.{side}.hook_pattern"], wanted)
        mass = own.sum(-1) + cross.sum(-1)
        torch.testing.assert_close(mass, torch.ones_like(mass))
        assert ((own.sum(-1) < 0.999) & (own.sum(-1) > 0.001)).any()
        scale, gain = kept[f"decoder.{layer}.ln1_post.hook_scale"], 1 + model.module(f"decoder.{layer}.ln1_post").weight
        written = sum(kept[f"decoder.{layer}.{side}.hook_result"].sum(-2) for side in ("attn", "cross_attn"))
        torch.testing.assert_close(written / scale * gain, kept[f"decoder.{layer}.hook_attn_out"], rtol=1e-4, atol=1e-5)


def test_knocking_out_leaves_the_softmax_of_both_sides() -> None:
    """Without some source tokens, what is left of both sides is divided by its sum."""
    model, batch, _, kept = clean_run(NAME, END_OF_IMAGE)
    keys = torch.zeros_like(batch.source_mask)
    keys[:, 2:6] = True
    with torch.no_grad(), model.hooks(knock_out("cross", [0], None, keys, heads=[1, 3])):
        _, cut = model.run_with_cache(batch, "decoder.0.*.hook_pattern")
    whole = torch.cat([kept[f"decoder.0.{side}.hook_pattern"] for side in ("attn", "cross_attn")], -1)
    got = torch.cat([cut[f"decoder.0.{side}.hook_pattern"] for side in ("attn", "cross_attn")], -1)
    own = whole.shape[-1] - keys.shape[1]
    left = whole.clone()
    left[:, [1, 3], :, own:] = left[:, [1, 3], :, own:].masked_fill(keys[:, None, None], 0)
    torch.testing.assert_close(got, left / left.sum(-1, keepdim=True), rtol=1e-5, atol=1e-7)
    assert torch.equal(got[:, [0, 2]], whole[:, [0, 2]])


def test_contributions_add_up_and_split_over_sides_and_sources() -> None:
    """Within 2e-6 of the largest logit before the cap; heads of either side have their part, and their keys theirs."""
    model = tiny(NAME)
    batch = random_batch(model)
    with torch.no_grad():
        logits, kept = model.run_with_cache(batch, [*decomposition_hooks(model.cfg), "*.hook_v", "*.hook_pattern"])
        tokens = label_tokens(batch)
        largest = uncapped(model, logits).abs().max()
        for readout in (
            token_logit(model, logits, tokens),
            logit_difference(model, logits, tokens, runner_up(model, logits, tokens)),
        ):
            found = decompose(model, kept, readout)
            assert (found.values.sum(-1) - readout.values).abs()[batch.target_mask].max() < 2e-6 * largest
        crossing = torch.zeros_like(readout.values)
        for kind, directions, letter in (
            ("cross", found.cross_directions, "X"),
            ("decoder", found.own_directions, "D"),
        ):
            for layer, direction in enumerate(directions):
                parts = source_contributions(model, kept, kind, layer, direction)  # type: ignore[arg-type]
                for head in range(model.cfg.n_decoder_heads):
                    wanted = found.of(f"{letter}L{layer}H{head}")
                    assert (parts[:, head].sum(-1) - wanted).abs().max() < 2e-6 * largest
                    crossing += wanted if letter == "X" else 0
        split = encoder_attribution(model, kept, found)
    assert (split.sum((-1, -2)) - crossing).abs().max() < 2e-5 * largest


def test_the_effect_of_a_head_with_all_norms_recomputed() -> None:
    """Taking the source's half of a head of the last layer out, by hand: the norm of both sides, the MLP held, the final norm."""
    model = tiny(NAME)
    batch = random_batch(model)
    layer = model.cfg.n_decoder_layers - 1
    path = attention_path("cross", layer)
    with torch.no_grad():
        logits, kept = model.run_with_cache(batch, names_filter="*")
        readout = token_logit(model, logits, label_tokens(batch))
        got = effect_with_norms_recomputed(model, kept, readout, path, -kept[f"{path}.hook_result"][:, :, 1])
        held = (f"decoder.{layer}.hook_mlp_out", lambda value, hook: kept[hook.name])
        other = model.run_with_hooks(batch, [*zero(["XL2H1"]), held])
        wanted = token_logit(model, other, label_tokens(batch)).values - readout.values
        shares = squared_norm_shares(model, kept)
    rows = batch.target_mask
    assert (got - wanted)[rows].abs().max() < 2e-5 * kept["unembed.hook_out"].abs().max()
    assert set(recomputed_norm_hooks(model)) <= set(kept)
    gain = 1 + model.module("decoder.1.ln1_post").weight
    own = kept["decoder.1.cross_attn.hook_result"][:, :, 2] * gain / kept["decoder.1.ln1_post.hook_scale"]
    stream = kept["decoder.2.hook_resid_post"].square().sum(-1)
    place = [f"{one}" for one in decompose(model, kept, readout).components].index("XL1H2")
    torch.testing.assert_close(shares[..., place], own.square().sum(-1) / stream, rtol=2e-4, atol=1e-6)


def test_the_stream_is_the_embedding_and_all_that_is_written() -> None:
    model, batch, _, _ = clean_run(NAME, END_OF_IMAGE)
    with torch.no_grad():
        cached = model.run_with_cache(batch)[1]
    found = cached.decompose_resid("decoder")
    torch.testing.assert_close(found.sum(), cached["decoder.2.hook_resid_post"], rtol=1e-5, atol=1e-5)
    assert found.labels[:3] == ("embed", "0_attn_out", "0_mlp_out")
    labels = cached.accumulated_resid("decoder", incl_mid=True).labels
    assert labels[:3] == ("0_pre", "0_mid", "1_pre")
    assert cached.select(0).decompose_resid("decoder").labels == found.labels
    heads = cached.stack_head_results("decoder").labels
    assert len(heads) == 2 * 3 * 4


@pytest.mark.parametrize("sources", [(15, 12, 19), (4, 3, 5)])
def test_generation_is_the_teacher_forced_pass_and_the_hosts_own(sources: tuple[int, ...]) -> None:
    """Texts longer than a window, and than their source: whose patterns have the source's keys and no more."""
    model = tiny(NAME)
    batch = random_batch(model, source_lengths=sources)
    names = ["decoder.*.hook_resid_post", "decoder.*.hook_pattern", "decoder.*.cross_attn.hook_k"]
    written = model.generate(batch, names, max_new_tokens=12)
    with torch.no_grad():
        logits, kept = model.run_with_cache(written.batch, names)
        host = tiny_hf(NAME).generate(
            input_ids=batch.input_ids, attention_mask=batch.attention_mask, max_new_tokens=12, do_sample=False
        )
    rows = written.batch.target_mask
    assert relative_gap(written.logits[rows], logits[rows]) < 1e-4
    assert set(kept) == set(written.cache)
    for name, wanted in kept.items():
        got = written.cache[name]
        assert got.shape == wanted.shape, name
        own = got if name.endswith("hook_k") else (got.transpose(1, 2) if got.ndim == 4 else got)[rows]
        other = wanted if name.endswith("hook_k") else (wanted.transpose(1, 2) if wanted.ndim == 4 else wanted)[rows]
        assert relative_gap(own, other) < 1e-4, name
    wanted_ids = host[:, 1:]
    got_ids = written.batch.labels.masked_fill(~rows, model.cfg.pad_token_id)
    assert torch.equal(got_ids, wanted_ids[:, : got_ids.shape[1]])


def test_whole_layers_go_on_from_an_edit_as_in_the_model() -> None:
    model = tiny(NAME)
    batch = random_batch(model, same_prefix=True)
    recorded = record_pass(model, batch, ["*.hook_z"])
    z = torch.zeros_like(recorded.cache["decoder.1.cross_attn.hook_z"][:, :, 0]).unsqueeze(0)
    got = scored(model, recorded.with_heads("cross", 1, [2], z)[0])
    with torch.no_grad():
        wanted = model.run_with_hooks(batch, zero(["XL1H2"]))
    assert relative_gap(got[batch.target_mask], wanted[batch.target_mask]) < 1e-5


def test_one_table_serves_everything_and_a_second_wrapper_sees_the_same_points() -> None:
    model = tiny(NAME)
    assert model.one_table
    assert untrained_twin(model, 0).one_table
    other = HookedEncoderDecoder(model.hf)
    names = [f"decoder.1.{side}.hook_{leaf}" for side in ("attn", "cross_attn") for leaf in ("z", "result")]
    batch = random_batch(model)
    with torch.no_grad():
        _, first = model.run_with_cache(batch, names)
        _, second = other.run_with_cache(batch, names)
    assert all(torch.equal(first[name], second[name]) for name in names)


def test_a_models_hooks_do_not_keep_it_alive() -> None:
    model = HookedEncoderDecoder(tiny_hf(NAME))
    attention = weakref.ref(model.module("decoder.0.attn"))
    with torch.no_grad():
        model.run_with_cache(random_batch(model), "*")
    del model
    gc.collect()
    assert attention() is None


def test_what_the_family_has_not_is_refused_by_attribute() -> None:
    model = tiny(NAME)
    batch = random_batch(model, (9,), (6,))
    with pytest.raises(InputError, match="write_norms=True and positions='rotary'"):
        graph_of(model.cfg)
    with pytest.raises(InputError, match="head_norms=True"):
        qk_circuit(model, "cross", 0)
    assert ov_circuit(model, "cross", 0).AB.shape == (4, 24, 24)
    asked = ask(model, batch, torch.tensor([1, 3]))
    for method, attribute in (("alti", "write_norms"), ("chefer", "merged_attention"), ("attnlrp", "head_norms")):
        with pytest.raises(InputError, match=f"{attribute}=True"):
            attribute_sources(model, asked, [method])
    with pytest.raises(InputError, match="pixel_values"):
        model({**dict(batch), "pixel_values": torch.zeros(1, 3, 14, 14)})
    with pytest.raises(InputError, match=r"encoder.text_config.attention_bias=True; supported is False"):
        tiny(NAME, attention_bias=True)
