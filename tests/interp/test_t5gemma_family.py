"""T5Gemma: the promises of every family, with grouped keys and values, rotation, windows, caps, and norms on both sides."""

import pytest
import torch
from torch import Tensor

from analyses.head_specialization.measure.nulls import permuted_model
from interp.attribution.components import components_of
from interp.attribution.direct_logit_attribution import decompose, decomposition_hooks
from interp.attribution.frozen_norms import (
    effect_with_norms_recomputed,
    held_scales,
    recomputed_norm_hooks,
    squared_norm_shares,
    sublayer_directions,
)
from interp.attribution.logit_readout import label_tokens, logit_against_mean, logit_difference, runner_up, token_logit
from interp.attribution.neurons import neuron_contributions
from interp.attribution.source_attribution import encoder_attribution, source_contributions
from interp.circuits.graph import graph_of
from interp.errors import InputError
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import untrained_twin
from interp.model.weights import attention_weights, scored, uncapped
from interp.patching.interventions import zero
from interp.patching.partial_forward import record_pass
from interp.patching.path_patching import path_patch
from tests.support.models import random_batch, tiny, tiny_hf
from tests.support.oracle_checks import assert_edit, assert_host_logits, assert_points, clean_run, smooth_edit
from tests.support.oracle_t5gemma import T5GemmaOracle
from tests.support.parity import relative_gap

NAME = "t5gemma"


@pytest.mark.parametrize("length", [1, 17])
def test_logits_equal_the_eager_host_model_bit_for_bit(length: int) -> None:
    assert_host_logits(tiny(NAME), tiny_hf(NAME), length)


def test_every_hook_point_holds_what_the_equations_say() -> None:
    assert_points(clean_run(NAME), T5GemmaOracle(tiny_hf(NAME)), 2e-5, 6e-5)


# One layer a side, of those with and without a window.
EDITED = [name for name in tiny(NAME).hook_points() if not name.startswith(("encoder.1.", "decoder.0.", "decoder.2."))]


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITED)
def test_an_edit_does_downstream_what_the_equations_say_and_nothing_upstream(name: str) -> None:
    change = smooth_edit(name)
    assert_edit(clean_run(NAME), T5GemmaOracle(tiny_hf(NAME), {name: change}), name, change, (1e-4, 1e-5))


def test_contributions_add_up_to_the_uncapped_logit() -> None:
    """Every kind of read-out, within 2e-6 of the largest logit; read in float64 the residue is rounding of the host alone."""
    model = tiny(NAME)
    batch = random_batch(model)
    with torch.no_grad():
        logits, kept = model.run_with_cache(batch, list(decomposition_hooks(model.cfg)))
        tokens = label_tokens(batch)
        before = uncapped(model, logits)
        for readout in (
            token_logit(model, logits, tokens),
            logit_difference(model, logits, tokens, runner_up(model, logits, tokens)),
            logit_against_mean(model, logits, tokens),
        ):
            found = decompose(model, kept, readout)
            gap = (found.values.sum(-1) - readout.values).abs()[batch.target_mask].max()
            assert gap < 2e-6 * before.abs().max()


def test_read_out_is_the_number_before_the_cap() -> None:
    model = tiny(NAME)
    batch = random_batch(model)
    with torch.no_grad():
        logits, kept = model.run_with_cache(batch, ["unembed.hook_out", "decoder.ln_final.hook_normalized"])
    raw = kept["unembed.hook_out"]
    assert not torch.allclose(raw, logits, rtol=1e-2)
    torch.testing.assert_close(uncapped(model, logits), raw, atol=1e-5 * float(raw.abs().max()), rtol=1e-4)
    gain = 1 + model.module("decoder.ln_final").weight
    torch.testing.assert_close(
        scored(model, kept["decoder.ln_final.hook_normalized"] * gain), logits, atol=1e-5, rtol=1e-5
    )


def test_heads_split_over_keys_and_over_the_encoder() -> None:
    model = tiny(NAME)
    batch = random_batch(model)
    with torch.no_grad():
        logits, kept = model.run_with_cache(batch, [*decomposition_hooks(model.cfg), "*.hook_v", "*.hook_pattern"])
        found = decompose(model, kept, token_logit(model, logits, label_tokens(batch)))
        labels = [str(component) for component in found.components]
        largest = found.values.abs().max()
        cross_total = torch.zeros(())
        for layer, direction in enumerate(found.cross_directions):
            parts = source_contributions(model, kept, "cross", layer, direction)
            for head in range(model.cfg.n_decoder_heads):
                wanted = found.values[..., labels.index(f"XL{layer}H{head}")]
                assert (parts[:, head].sum(-1) - wanted).abs().max() < 1e-5 * largest
                cross_total = cross_total + wanted
        split = encoder_attribution(model, kept, found)
    assert (split.sum((-1, -2)) - cross_total).abs().max() < 2e-5 * largest


def test_the_effect_of_a_head_with_all_norms_recomputed() -> None:
    """Taking a head of the last cross-attention out, by hand: its norm, the MLP held, the final norm."""
    model = tiny(NAME)
    batch = random_batch(model)
    layer = model.cfg.n_decoder_layers - 1
    path = attention_path("cross", layer)
    with torch.no_grad():
        logits, kept = model.run_with_cache(batch, names_filter="*")
        readout = token_logit(model, logits, label_tokens(batch))
        change = -kept[f"{path}.hook_result"][:, :, 1]
        got = effect_with_norms_recomputed(model, kept, readout, path, change)

        def held(tensor: Tensor, hook: object) -> Tensor:
            return kept[f"decoder.{layer}.hook_mlp_out"]

        def without(z: Tensor, hook: object) -> Tensor:
            edited = z.clone()
            edited[:, :, 1] = 0
            return edited

        edits = [(f"{path}.hook_z", without), (f"decoder.{layer}.hook_mlp_out", held)]
        other = model.run_with_hooks(batch, edits)
        wanted = token_logit(model, other, label_tokens(batch)).values - readout.values
    rows = batch.target_mask
    assert (got - wanted)[rows].abs().max() < 2e-5 * kept["unembed.hook_out"].abs().max()
    assert set(recomputed_norm_hooks(model)) <= set(kept)


def test_squared_shares_are_those_of_the_writes() -> None:
    model, _, _, kept = clean_run(NAME)
    batch = clean_run(NAME)[1]
    with torch.no_grad():
        cached = model.run_with_cache(batch, list(decomposition_hooks(model.cfg)))[1]
        shares = squared_norm_shares(model, cached)
    stream = kept["decoder.2.hook_resid_post"].square().sum(-1)
    labels = [str(component) for component in components_of(model.cfg, "decoder")]
    gain = 1 + model.module("decoder.1.ln2_post").weight
    own = kept["decoder.1.cross_attn.hook_result"][:, :, 2] * gain / kept["decoder.1.ln2_post.hook_scale"]
    torch.testing.assert_close(shares[..., labels.index("XL1H2")], own.square().sum(-1) / stream, rtol=2e-4, atol=1e-6)
    mlp = kept["decoder.1.hook_mlp_out"].square().sum(-1) / stream
    torch.testing.assert_close(shares[..., labels.index("DL1MLP")], mlp, rtol=2e-4, atol=1e-6)


def test_the_stream_is_the_embedding_and_all_that_is_written() -> None:
    model, _, _, _ = clean_run(NAME)
    batch = clean_run(NAME)[1]
    with torch.no_grad():
        cached = model.run_with_cache(batch)[1]
    total = cached.decompose_resid("decoder").sum()
    torch.testing.assert_close(total, cached["decoder.2.hook_resid_post"], rtol=1e-5, atol=1e-5)


def test_heads_that_share_keys_and_values_have_them_each() -> None:
    model, _, _, kept = clean_run(NAME)
    for kind, heads, own in (("encoder", 6, 3), ("decoder", 4, 2), ("cross", 4, 2)):
        path = attention_path(kind, 1)  # type: ignore[arg-type]
        weights = attention_weights(model, kind, 1)  # type: ignore[arg-type]
        assert weights.W_K.shape[0] == weights.W_V.shape[0] == weights.W_Q.shape[0] == heads
        assert kept[f"{path}.hook_k"].shape[2] == kept[f"{path}.hook_v"].shape[2] == own
        assert torch.equal(weights.W_V[0], weights.W_V[heads // own - 1])
        assert not torch.equal(weights.W_V[0], weights.W_V[-1])


def test_generation_is_the_teacher_forced_pass() -> None:
    model = tiny(NAME)
    batch = random_batch(model)
    written = model.generate(batch, "decoder.*.hook_resid_post", max_new_tokens=9)
    with torch.no_grad():
        logits, kept = model.run_with_cache(written.batch, "decoder.*.hook_resid_post")
    rows = written.batch.target_mask
    assert relative_gap(written.logits[rows], logits[rows]) < 1e-4  # the host's generation caps nothing twice
    assert (
        relative_gap(written.cache["decoder.2.hook_resid_post"][rows], kept["decoder.2.hook_resid_post"][rows]) < 1e-4
    )


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"attention_bias": True}, r"encoder.attention_bias=True; supported is False"),
        ({"hidden_activation": "tanh"}, r"decoder.hidden_activation='tanh'"),
    ],
)
def test_what_the_sites_do_not_describe_is_refused_by_attribute(change: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        tiny(NAME, **change)


def test_stacks_of_two_widths_are_refused_by_attribute() -> None:
    hf = tiny_hf(NAME)
    hf.config.encoder.hidden_size = 36
    with pytest.raises(InputError, match=r"encoder.hidden_size=36; supported is that of decoder.hidden_size, 24"):
        HookedEncoderDecoder(hf)


def test_neurons_add_up_to_what_their_mlp_contributes() -> None:
    model = tiny(NAME)
    batch = random_batch(model)
    hooks = [*decomposition_hooks(model.cfg), *held_scales(model.cfg), "decoder.*.mlp.hook_post"]
    with torch.no_grad():
        logits, kept = model.run_with_cache(batch, hooks)
        readout = token_logit(model, logits, label_tokens(batch))
        found, directions = decompose(model, kept, readout), sublayer_directions(model, kept, readout)
        labels = [str(component) for component in found.components]
        for layer in range(model.cfg.n_decoder_layers):
            split = neuron_contributions(model, kept, layer, directions[f"decoder.{layer}.mlp"])
            wanted = found.values[..., labels.index(f"DL{layer}MLP")]
            assert (split.sum(-1) - wanted).abs().max() < 1e-5 * found.values.abs().max()


def test_permuting_reaches_every_matrix_and_keeps_shared_keys_shared() -> None:
    """The null model of head specialization: entries of every projection in another order, each head's within itself."""
    model = tiny(NAME)
    before, after = model.hf.state_dict(), permuted_model(model, seed=0).hf.state_dict()
    for name, weight in before.items():
        if ".layers." in name and name.endswith("_proj.weight"):
            assert not torch.equal(weight, after[name]), name
            assert torch.equal(weight.flatten().sort().values, after[name].flatten().sort().values), name
        else:
            assert torch.equal(weight, after[name]), name
    key = "model.decoder.layers.1.cross_attn.k_proj.weight"
    for old, new in zip(before[key].unflatten(0, (2, -1)), after[key].unflatten(0, (2, -1)), strict=True):
        assert torch.equal(old.flatten().sort().values, new.flatten().sort().values)


def test_each_stack_has_a_table_of_its_own() -> None:
    model = tiny(NAME)
    assert model.tied_embeddings
    assert not model.one_table
    assert model.cfg.embed_scale == pytest.approx(24**0.5)
    twin = untrained_twin(model, 0)
    assert twin.tied_embeddings
    assert not twin.one_table
    assert tiny("t5").one_table
    assert not tiny("v1.1").one_table


def test_one_heads_keys_are_refused_where_heads_share_them() -> None:
    model = tiny(NAME)
    batch = random_batch(model)
    with torch.no_grad():
        kept = model.run_with_cache(batch)[1]
    with pytest.raises(InputError, match="4 heads, 2 of keys and values"):
        path_patch(model, batch, kept, kept, ["EL0H2"], ["XL0H3.k"])
    assert path_patch(model, batch, kept, kept, ["EL0H2"], ["XL0H3.q"])


def test_whole_layers_go_on_from_an_edit_as_in_the_model() -> None:
    model = tiny(NAME)
    batch = random_batch(model, same_prefix=True)
    recorded = record_pass(model, batch, ["*.hook_z"])
    z = torch.zeros_like(recorded.cache["decoder.1.cross_attn.hook_z"][:, :, 0]).unsqueeze(0)
    got = scored(model, recorded.with_heads("cross", 1, [2], z)[0])
    with torch.no_grad():
        wanted = model.run_with_hooks(batch, zero(["XL1H2"]))
        assert relative_gap(recorded.logits()[batch.target_mask], model(batch)[batch.target_mask]) < 1e-6
    assert relative_gap(got[batch.target_mask], wanted[batch.target_mask]) < 1e-5


def test_circuits_are_refused_by_attribute() -> None:
    with pytest.raises(InputError, match="write_norms=True and positions='rotary'"):
        graph_of(tiny(NAME).cfg)
