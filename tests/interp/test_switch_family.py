"""Switch Transformers: the promises of every family, with experts that are full before a text ends (Fedus et al. 2022)."""

from collections.abc import Callable
from functools import cache

import pytest
import torch
from torch import Tensor

from analyses.head_specialization.measure.nulls import permuted_model
from interp.attribution.components import components_of
from interp.attribution.direct_logit_attribution import decompose, decomposition_hooks
from interp.attribution.frozen_norms import held_scales, squared_norm_shares, sublayer_directions
from interp.attribution.logit_readout import label_tokens, logit_against_mean, logit_difference, runner_up, token_logit
from interp.attribution.neurons import neuron_contributions
from interp.attribution.source_attribution import encoder_attribution, encoder_output_components, source_contributions
from interp.circuits.graph import graph_of
from interp.circuits.neuron_traces import neuron_effects
from interp.errors import InputError
from interp.families.point_names import hook_names, says_all
from interp.hooks.hook_point import HookPoint
from interp.model.cache_buffers import CacheBuffers
from interp.model.factored_matrix import mlp_weights
from interp.model.footprint import footprint, kept_bytes, model_without_data, pass_cost
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import scored
from interp.patching.interventions import zero
from interp.patching.partial_forward import record_pass
from interp.sources.question import ask
from interp.sources.relevance_propagation import propagate
from tests.support.models import SWITCH_FAMILIES, random_batch, tiny, tiny_hf
from tests.support.oracle_checks import CleanRun, assert_edit, assert_points, smooth_edit
from tests.support.oracle_switch import SwitchOracle
from tests.support.parity import relative_gap

NAME = SWITCH_FAMILIES[0]
INDEX = "hook_expert_indices"
WITH_EXPERTS = ("encoder.1", "decoder.1", "decoder.3")


@cache
def clean_run() -> CleanRun:
    """On a batch whose experts are full before a text ends."""
    model = tiny(NAME)
    batch = random_batch(model)
    with torch.no_grad():
        logits, kept = model.run_with_cache(batch, names_filter="*")
    return CleanRun(model, batch, logits, dict(kept))


@pytest.mark.parametrize("length", [1, 33])
@pytest.mark.parametrize("names", ["*", "*.hook_expert_weights", f"*.{INDEX}", "*.mlp.hook_pre", "*.mlp.hook_post"])
def test_logits_equal_the_eager_host_model_bit_for_bit(names: str, length: int) -> None:
    model, reference = tiny(NAME), tiny_hf(NAME)
    batch = random_batch(model, source_lengths=(21, 13, 2), target_lengths=(length, max(1, length - 3), 1))
    with torch.no_grad():
        got, _ = model.run_with_cache(batch, names)
        wanted = reference(**batch).logits
        if names != "*":  # results are added up head by head where gradients reach them
            assert torch.equal(model.run_with_cache(batch, names, gradients=True)[0], wanted)
    assert torch.equal(got, wanted)


@pytest.mark.parametrize(("dtype", "gap"), [(torch.float64, 1e-14), (torch.bfloat16, 0.0)])
def test_other_floating_point_types_agree_with_the_host(dtype: torch.dtype, gap: float) -> None:
    """The router computes in float32 whatever the rest does."""
    model, reference = HookedEncoderDecoder(tiny_hf(NAME).to(dtype)), tiny_hf(NAME).to(dtype)
    batch = random_batch(model)
    with torch.no_grad():
        got, kept = model.run_with_cache(batch)
        assert relative_gap(got, reference(**batch).logits) <= gap
    assert kept["decoder.1.mlp.hook_expert_weights"].dtype is dtype
    assert kept[f"decoder.1.mlp.{INDEX}"].dtype is torch.int64


def test_every_hook_point_holds_what_the_equations_say() -> None:
    assert_points(clean_run(), SwitchOracle(tiny_hf(NAME)), 2e-6, 5e-6)


def test_names_are_known_from_the_configuration_alone() -> None:
    model = tiny(NAME)
    config = model.hf.config.to_dict()
    assert says_all(config)
    assert list(model.hook_points()) == list(hook_names(config))
    assert not says_all({key: value for key, value in config.items() if key != "decoder_sparse_step"})


def edit_for(name: str) -> Callable[[Tensor], Tensor]:
    """A change that no norm undoes; of experts, others than chose themselves."""
    if name.endswith(INDEX):
        return lambda value: (value + 2) % 4 - 1
    if name.endswith("expert_weights"):
        return lambda value: value.flip(-1) * 1.25
    return smooth_edit(name)


EDITED = [name for name in tiny(NAME).hook_points() if not name.startswith(("encoder.0.", "decoder.0.", "decoder.2."))]


@pytest.mark.slow
@pytest.mark.parametrize("name", EDITED)
def test_an_edit_does_downstream_what_the_equations_say_and_nothing_upstream(name: str) -> None:
    change = edit_for(name)
    assert_edit(clean_run(), SwitchOracle(tiny_hf(NAME), {name: change}), name, change, (1e-4, 1e-5))


def test_tokens_behind_a_full_expert_get_nothing_and_padding_counts() -> None:
    model, batch, _, kept = clean_run()
    for layer in WITH_EXPERTS:
        index, mask = kept[f"{layer}.mlp.{INDEX}"], batch.source_mask if layer[0] == "e" else batch.target_mask
        none = index == -1
        counts = torch.stack([(index == expert).sum(1) for expert in range(model.cfg.n_experts)])
        assert counts.max() == model.cfg.expert_capacity
        assert none[mask].any()
        for leaf in ("mlp.hook_pre", "mlp.hook_post", "hook_mlp_out"):
            assert not kept[f"{layer}.{leaf}"][none.squeeze(-1)].any()
    padded = kept[f"encoder.1.mlp.{INDEX}"][~batch.source_mask]
    assert (padded >= 0).any()


def test_a_layers_write_is_the_weight_times_the_expert() -> None:
    model, _, _, kept = clean_run()
    for layer in WITH_EXPERTS:
        stack, number = layer.split(".")
        index = kept[f"{layer}.mlp.{INDEX}"]
        u = kept[f"{layer}.{'ln2' if stack == 'encoder' else 'ln3'}.hook_normalized"]
        u = u * model.module(f"{layer}.{'ln2' if stack == 'encoder' else 'ln3'}").weight
        total = torch.zeros_like(u)
        for expert in range(model.cfg.n_experts):
            own = mlp_weights(model, stack, int(number), expert)  # type: ignore[arg-type]
            weight = kept[f"{layer}.mlp.hook_expert_weights"][..., expert : expert + 1]
            total += (index == expert) * weight * ((u @ own.W_in).relu() @ own.W_out)
        assert relative_gap(kept[f"{layer}.hook_mlp_out"], total) < 2e-6


def test_weights_of_experts_are_asked_for_by_number() -> None:
    model = tiny(NAME)
    for layer, expert in ((1, None), (0, 0), (1, 3)):
        with pytest.raises(InputError, match=f"Layer {layer} of the decoder has no feed-forward weights of"):
            mlp_weights(model, "decoder", layer, expert)


@pytest.mark.parametrize("wrong", [3, -2, 0.5])
def test_numbers_of_no_expert_are_refused(wrong: float) -> None:
    model, batch, _, _ = clean_run()
    with pytest.raises(InputError, match=r"decoder.1.mlp.hook_expert_indices returned numbers of no expert; .* 0 to 2"):
        model.run_with_hooks(
            batch, [(f"decoder.1.mlp.{INDEX}", lambda index, hook: torch.full_like(index.float(), wrong))]
        )


@pytest.mark.parametrize(("encoder", "decoder", "wanted"), [(2, 0, ((0, 1), ())), (1, 4, ((1,), (0, 1, 2, 3)))])
def test_which_layers_have_experts_follows_the_configuration(
    encoder: int, decoder: int, wanted: tuple[object, ...]
) -> None:
    model = tiny(NAME, num_sparse_encoder_layers=encoder, num_sparse_decoder_layers=decoder)
    assert model.cfg.encoder_expert_layers == wanted[0]
    sparse = [layer for layer, block in enumerate(model.hf.decoder.block) if block.is_sparse]
    assert list(model.cfg.decoder_expert_layers) == sparse
    batch = random_batch(model)
    with torch.no_grad():
        got, kept = model.run_with_cache(batch)
        reference = tiny_hf(NAME, num_sparse_encoder_layers=encoder, num_sparse_decoder_layers=decoder)
        assert torch.equal(got, reference(**batch).logits)
    assert set(kept) | {name for name in model.hook_points() if name.endswith("result")} == set(model.hook_points())


def test_an_unembedding_of_its_own_is_read_without_the_scale() -> None:
    assert tiny(NAME).cfg.logit_scale == 24**-0.5
    assert tiny(NAME, tie_word_embeddings=False).cfg.logit_scale == 1.0


def test_contributions_of_experts_add_up_to_the_logit() -> None:
    model, batch, logits, kept = clean_run()
    with torch.no_grad():
        cached = model.run_with_cache(batch, list(decomposition_hooks(model.cfg)))[1]
        tokens = label_tokens(batch)
        for readout in (
            token_logit(model, logits, tokens),
            logit_difference(model, logits, tokens, runner_up(model, logits, tokens)),
            logit_against_mean(model, logits, tokens),
        ):
            found = decompose(model, cached, readout)
            gap = (found.values.sum(-1) - readout.values).abs()[batch.target_mask].max()
            assert gap < 2e-6 * logits.abs().max()
    direction = sublayer_directions(model, cached, readout)["decoder.1.mlp"]
    for expert in range(3):
        own = kept["decoder.1.hook_mlp_out"] * (kept[f"decoder.1.mlp.{INDEX}"] == expert)
        torch.testing.assert_close(found.of(f"DL1E{expert}"), (own * direction).sum(-1), rtol=1e-5, atol=1e-6)
    labels = [str(component) for component in found.components]
    assert "DL0MLP" in labels
    assert "DL1MLP" not in labels
    assert [one.expert for one in found.components if one.label.startswith("DL3E")] == [0, 1, 2]


def test_heads_and_experts_of_the_encoder_split_what_cross_heads_read() -> None:
    model, batch, logits, _ = clean_run()
    with torch.no_grad():
        cached = model.run_with_cache(batch, [*decomposition_hooks(model.cfg), "*.hook_v", "*.hook_pattern"])[1]
        found = decompose(model, cached, token_logit(model, logits, label_tokens(batch)))
        split = encoder_attribution(model, cached, found)
        cross = torch.zeros(())
        for layer, direction in enumerate(found.cross_directions):
            cross = cross + source_contributions(model, cached, "cross", layer, direction).sum((1, -1))
        whole = model.run_with_cache(batch, "encoder.ln_final.hook_normalized")[1]["encoder.ln_final.hook_normalized"]
        output = encoder_output_components(model, cached)
    labels = [str(component) for component in components_of(model.cfg, "encoder")]
    assert split.shape[-1] == output.shape[-2] == len(labels)
    assert (split.sum((-1, -2)) - cross).abs().max() < 1e-5 * found.values.abs().max()
    gain = model.module("encoder.ln_final").weight
    assert relative_gap(output.sum(-2), whole * gain) < 2e-6
    chosen = cached[f"encoder.1.mlp.{INDEX}"][..., 0] == 2
    assert not output[..., labels.index("EL1E2"), :][~chosen].any()
    assert output[..., labels.index("EL1E2"), :][chosen].any(-1).all()


def test_squared_shares_are_those_of_the_writes() -> None:
    model, batch, _, kept = clean_run()
    with torch.no_grad():
        shares = squared_norm_shares(model, model.run_with_cache(batch, list(decomposition_hooks(model.cfg)))[1])
    labels = [str(component) for component in components_of(model.cfg, "decoder")]
    own = kept["decoder.3.hook_mlp_out"] * (kept[f"decoder.3.mlp.{INDEX}"] == 1)
    wanted = own.square().sum(-1) / kept["decoder.3.hook_resid_post"].square().sum(-1)
    torch.testing.assert_close(shares[..., labels.index("DL3E1")], wanted, rtol=2e-4, atol=1e-6)


def test_neurons_add_up_in_layers_without_experts_and_are_refused_in_the_others() -> None:
    model, batch, logits, _ = clean_run()
    hooks = [*decomposition_hooks(model.cfg), *held_scales(model.cfg), "decoder.*.mlp.hook_post"]
    with torch.no_grad():
        cached = model.run_with_cache(batch, hooks)[1]
        readout = token_logit(model, logits, label_tokens(batch))
        found, directions = decompose(model, cached, readout), sublayer_directions(model, cached, readout)
        for layer in (0, 2):
            split = neuron_contributions(model, cached, layer, directions[f"decoder.{layer}.mlp"])
            assert (split.sum(-1) - found.of(f"DL{layer}MLP")).abs().max() < 1e-5 * found.values.abs().max()
        with pytest.raises(InputError, match=r"Layer 1 of the decoder .* one of its 3 experts \(n_experts\)"):
            neuron_contributions(model, cached, 1, directions["decoder.1.mlp"])


def test_whole_texts_go_on_from_an_edit_as_in_the_model() -> None:
    """A row alone would find an expert free that is full in its text."""
    model, _, _, _ = clean_run()
    batch = random_batch(model, same_prefix=True)
    rows = batch.target_mask.sum(1) - 1
    for kind, label in (("cross", "XL1H2"), ("encoder", "EL0H2"), ("decoder", "DL3H0")):
        recorded = record_pass(model, batch, ["*.hook_z"], rows)
        layer = int(label[2])
        path = {"cross": f"decoder.{layer}.cross_attn", "encoder": "encoder.0.attn", "decoder": "decoder.3.attn"}[kind]
        z = torch.zeros_like(recorded.cache[f"{path}.hook_z"][:, :, 0]).unsqueeze(0)
        got = scored(model, recorded.with_heads(kind, layer, [int(label[4])], z)[0])  # type: ignore[arg-type]
        with torch.no_grad():
            wanted = model.run_with_hooks(batch, zero([label]))[torch.arange(3), rows]
        assert relative_gap(got[:, 0], wanted) < 1e-5


def test_generation_is_the_teacher_forced_pass_where_no_expert_is_full() -> None:
    model = tiny(NAME, expert_capacity=64)
    batch = random_batch(model)
    names = ["decoder.*.hook_resid_post", f"decoder.*.mlp.{INDEX}", "decoder.*.mlp.hook_post"]
    written = model.generate(batch, names, max_new_tokens=9)
    with torch.no_grad():
        logits, kept = model.run_with_cache(written.batch, names)
    rows = written.batch.target_mask
    assert relative_gap(written.logits[rows], logits[rows]) < 1e-4
    for name, value in kept.items():
        assert relative_gap(written.cache[name][rows].float(), value[rows].float()) < 1e-4, name


def test_kept_numbers_of_experts_stay_whole_in_any_type() -> None:
    model, batch, _, clean = clean_run()
    name, buffers = f"decoder.1.mlp.{INDEX}", CacheBuffers()
    with torch.no_grad():
        kept = [
            model.run_with_cache(batch, name, dtype=torch.bfloat16)[1],
            model.run_with_cache(batch, name, dtype=torch.bfloat16, buffers=buffers)[1],
            model.run_with_cache(batch, name)[1].to(torch.bfloat16),
        ]
    assert all(torch.equal(one[name], clean[name]) and one[name].dtype is torch.int64 for one in kept)


def test_relevances_add_up_with_routing_held() -> None:
    model = tiny(NAME)
    asked = ask(model, random_batch(model, source_lengths=(12,), target_lengths=(13,)))
    parts = propagate(model, asked, hold_patterns=True)
    with torch.no_grad():
        wanted = asked.read(model(asked.batch))[0]
    total = parts[0].sum(-1) + parts[1].sum(-1) + parts[2] + parts[3]
    assert (total - wanted).abs().max() < 1e-5 * wanted.abs().max()


def test_circuits_and_traces_of_neurons_are_refused_by_attribute() -> None:
    model, batch, _, _ = clean_run()
    for asked in (lambda: graph_of(model.cfg), lambda: neuron_effects(model, batch)):
        with pytest.raises(InputError, match="this model chooses among n_experts=3"):
            asked()


def test_what_a_model_needs_is_counted_without_numbers() -> None:
    hf = tiny_hf(NAME)
    empty = model_without_data(hf.config)
    parameters = footprint(empty, torch.float32).parameters
    assert sum(parameters.values()) == hf.num_parameters()
    cost = pass_cost(empty, 1, 12, 9, torch.float32)
    alone = pass_cost(model_without_data(tiny_hf(NAME, num_experts=1).config), 1, 12, 9, torch.float32)
    assert cost.operations - alone.operations == 2 * 2 * 24 * (12 + 9 + 9)  # two more experts for the routers to read
    assert sum(value.numel() for value in empty.parameters()) == hf.num_parameters()
    model, _, _, kept = clean_run()
    names = [name for name in kept if "expert" in name or name.endswith("hook_pre")]
    one = random_batch(model, source_lengths=(12,), target_lengths=(9,))
    with torch.no_grad():
        cached = model.run_with_cache(one, names)[1]
    assert kept_bytes(model.cfg, names, 12, 9, torch.float32) == sum(v.numel() * v.itemsize for v in cached.values())


def test_permuting_reaches_every_expert() -> None:
    model = tiny(NAME)
    before, after = model.hf.state_dict(), permuted_model(model, seed=0).hf.state_dict()
    for name, weight in before.items():
        if ".mlp." in name and "router" not in name:
            assert not torch.equal(weight, after[name]), name
            assert torch.equal(weight.flatten().sort().values, after[name].flatten().sort().values), name


def test_functions_see_experts_in_the_order_of_the_pass() -> None:
    model, batch, _, _ = clean_run()
    seen: list[str] = []

    def note(value: Tensor, hook: HookPoint) -> None:
        seen.append(hook.name)

    with torch.no_grad():
        model.run_with_hooks(batch, [("*.mlp.*", note)])
    assert seen == [name for name in model.hook_points() if ".mlp." in name]


@pytest.mark.parametrize("leaf", ["expert_weights", "expert_indices", "pre", "post"])
def test_an_edit_in_place_is_an_edit(leaf: str) -> None:
    model, batch, _, _ = clean_run()
    name = f"decoder.1.mlp.hook_{leaf}"

    def in_place(value: Tensor, hook: HookPoint) -> None:
        value.copy_(edit_for(name)(value))

    with torch.no_grad():
        got = model.run_with_hooks(batch, [(name, in_place)])
        wanted = model.run_with_hooks(batch, [(name, lambda value, hook: edit_for(name)(value))])
    assert torch.equal(got, wanted)


def test_inference_mode_changes_nothing() -> None:
    model, batch, logits, _ = clean_run()
    with torch.inference_mode():
        assert torch.equal(model.run_with_cache(batch)[0], logits)
