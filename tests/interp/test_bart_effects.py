"""Ablation, lenses, neurons and patching on BART, Marian and mBART: each against a plain loop of the host's own passes."""

import copy
from dataclasses import replace
from functools import cache

import pytest
import torch
from torch import Tensor, nn

from interp.attribution.direct_logit_attribution import decompose, decomposition_hooks
from interp.attribution.lenses import (
    accumulated_attribution,
    decoder_lens,
    decoder_lens_texts,
    encoder_outputs,
    lens_hooks,
    logit_lens,
    read_out,
    streams,
)
from interp.attribution.logit_readout import (
    label_tokens,
    logit_difference,
    logit_difference_of_outputs,
    runner_up,
    token_logit,
)
from interp.attribution.neurons import project_values, values
from interp.families.residual_stream import norms
from interp.hooks.hook_point import HookFunction, HookPoint
from interp.hooks.names import attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.activation_patching import patch_sites, sites
from interp.patching.attribution_patching import attribution_patch
from interp.patching.head_ablation import decoder_attention_layers, direct_effects, effect_hooks, total_effects
from interp.patching.minimal_pairs import (
    PairBatch,
    PromptPair,
    bundled_pairs,
    candidate_pairs,
    pair_batch,
    verify_pairs,
)
from interp.patching.partial_forward import record_pass
from interp.patching.replacements import draw_donors, replacements
from interp.text.batch import collate
from tests.support.models import random_batch, tiny, tiny_hf
from tests.support.tokenizers import byte_pair_tokenizer

pytestmark = pytest.mark.slow

NAMES = ("bart", "marian", "mbart")


class Setup:
    def __init__(self, model: HookedEncoderDecoder) -> None:
        self.model, self.batch = model, random_batch(model, (15, 12, 19), (13, 17, 12), same_prefix=True)
        with torch.no_grad():
            self.logits, self.cache = model.run_with_cache(self.batch)
            self.tokens = label_tokens(self.batch)
            self.foils = runner_up(model, self.logits, self.tokens)
            self.readout = logit_difference(model, self.logits, self.tokens, self.foils)
        self.clean_pass = record_pass(model, self.batch, ())
        self.donors = [draw_donors(self.batch, self.batch, seed) for seed in range(2)]
        self.mask, self.scale = self.batch.target_mask, float(self.logits.abs().max())

    def difference(self, logits: Tensor) -> Tensor:
        token, foil = (logits.gather(-1, ids[..., None])[..., 0] for ids in (self.tokens, self.foils))
        return token - foil

    def read(self, outputs: Tensor) -> Tensor:
        return logit_difference_of_outputs(self.model, outputs, self.tokens, self.foils)

    def error(self, first: Tensor, second: Tensor) -> float:
        return float(((first - second) * self.mask).abs().max()) / self.scale

    def clean(self, tensor: Tensor, hook: HookPoint) -> Tensor:
        """A hook that puts the clean activation back."""
        return self.cache[hook.name]


@cache
def setup_of(name: str) -> Setup:
    return Setup(tiny(name))


def with_head(z: Tensor, head: int) -> HookFunction:
    def replaced(tensor: Tensor, hook: HookPoint) -> Tensor:
        changed = tensor.clone()
        changed[:, :, head] = z[:, :, head]
        return changed

    return replaced


@pytest.mark.parametrize("name", NAMES)
def test_direct_effects_are_passes_in_which_no_later_writer_answers(name: str) -> None:
    """By hooks: later sublayers write what they wrote before; norms in the way are held at their scales, or not."""
    run, head = setup_of(name), 3
    model, depth = run.model, run.model.cfg.n_decoder_layers
    _, own_cache = model.run_with_cache(run.batch, effect_hooks(model))
    outs = [f"decoder.{one}.hook_{part}" for one in range(depth) for part in ("attn_out", "cross_attn_out", "mlp_out")]
    scales = [f"{norm}.hook_scale" for norm in norms(model.cfg, "decoder")]
    for kind, layer in decoder_attention_layers(model):
        path = attention_path(kind, layer)
        name = f"{path}.hook_z"
        replaced = replacements("resample", name, run.cache[name], run.batch, run.donors)
        effects = direct_effects(model, own_cache, run.readout, kind, layer, replaced)
        own = f"decoder.{layer}.hook_{'attn_out' if kind == 'decoder' else 'cross_attn_out'}"
        edits = [(f"{path}.hook_z", with_head(replaced[1], head)), *((out, run.clean) for out in outs if out != own)]
        with torch.no_grad():
            anew = run.difference(model.run_with_hooks(run.batch, edits)) - run.readout.values
            held = run.difference(model.run_with_hooks(run.batch, [*edits, *((one, run.clean) for one in scales)]))
        assert run.error(effects.recomputed[1, head], anew) <= 3e-6, (kind, layer)
        assert run.error(effects.frozen[1, head], held - run.readout.values) <= 3e-6, (kind, layer)
        assert run.error(effects.frozen[1, head], effects.recomputed[1, head]) > 1e-4


@pytest.mark.parametrize("name", NAMES)
def test_zero_ablation_is_minus_the_attribution_when_all_else_is_held(name: str) -> None:
    run = setup_of(name)
    found = decompose(run.model, run.cache, run.readout)
    for kind, layer in decoder_attention_layers(run.model):
        z = run.cache[f"{attention_path(kind, layer)}.hook_z"]
        zero = torch.zeros_like(z).unsqueeze(0)
        frozen = direct_effects(run.model, run.cache, run.readout, kind, layer, zero).frozen[0]
        for head in range(z.shape[2]):
            label = f"{'X' if kind == 'cross' else 'D'}L{layer}H{head}"
            assert run.error(frozen[head], -found.of(label)) <= 1e-6


@pytest.mark.parametrize("name", NAMES)
def test_total_effects_are_those_of_one_run_each(name: str) -> None:
    run = setup_of(name)
    for kind, layer in (("decoder", 0), ("cross", 2)):
        name = f"{attention_path(kind, layer)}.hook_z"  # type: ignore[arg-type]
        replaced = replacements("mean", name, run.cache[name], run.batch, run.donors)
        together = total_effects(run.clean_pass, run.read, kind, layer, replaced)  # type: ignore[arg-type]
        with torch.no_grad():
            for head in (0, 7):
                alone = run.difference(run.model.run_with_hooks(run.batch, [(name, with_head(replaced[0], head))]))
                assert run.error(together[0, head], alone - run.readout.values) <= 2e-6


@pytest.mark.parametrize("name", NAMES)
def test_the_lenses_are_models_that_end_earlier(name: str) -> None:
    """At every depth: the host with so many layers and no more."""
    run = setup_of(name)
    model, cfg = run.model, run.model.cfg
    labels = run.tokens[..., None]
    with torch.no_grad():
        lens = logit_lens(model, run.cache, run.tokens).logit
        by_memory = decoder_lens(model, run.batch, run.cache, run.tokens).logit
        assert torch.equal(
            list(encoder_outputs(model, run.cache))[-1], model.hf.get_encoder()(**encoder_inputs(run)).last_hidden_state
        )
        *_, last = streams(model, run.cache, "decoder")
        assert (
            run.error(read_out(model, last).gather(-1, labels)[..., 0], run.logits.gather(-1, labels)[..., 0]) <= 1e-6
        )
        for stack, curve in (("decoder", lens), ("encoder", by_memory)):
            for depth in range(cfg.n_layers(stack) + 1):  # type: ignore[arg-type]
                shorter = tiny_hf(name)
                module = shorter.get_decoder() if stack == "decoder" else shorter.get_encoder()
                module.layers = nn.ModuleList(module.layers[:depth])
                wanted = shorter(**run.batch).logits.gather(-1, labels)[..., 0]
                assert run.error(curve[:, depth], wanted) <= 2e-6, (stack, depth)


def encoder_inputs(run: Setup) -> dict[str, Tensor]:
    return {"input_ids": run.batch.input_ids, "attention_mask": run.batch.attention_mask}


@pytest.mark.parametrize("name", NAMES)
def test_accumulated_attribution_adds_up_layer_by_layer(name: str) -> None:
    run = setup_of(name)
    model = run.model
    logits, own_cache = model.run_with_cache(run.batch, decomposition_hooks(model.cfg))
    readout = token_logit(model, logits, run.tokens)
    curve = accumulated_attribution(model, own_cache, readout)
    found = decompose(model, own_cache, readout)
    assert run.error(curve[:, -1], readout.values) <= 2e-6
    for layer in range(model.cfg.n_decoder_layers):
        here = [one.label for one in found.components if one.layer == layer]
        step = torch.stack([found.of(label) for label in here]).sum(0)
        assert run.error(curve[:, layer + 1] - curve[:, layer], step) <= 2e-6


@pytest.mark.parametrize("name", NAMES)
def test_a_neurons_value_is_read_as_if_its_layer_were_the_last(name: str) -> None:
    """Against a host that ends behind the layer: the value is written into the MLP's output, its last norm held at 1."""
    model, layer, neuron = tiny(name), 1, 5
    shorter = HookedEncoderDecoder(truncated(tiny_hf(name), layer + 1))
    batch = random_batch(model)
    value = values(model, layer)[neuron]
    last = norms(shorter.cfg, "decoder")[-1]

    def held(tensor: Tensor, hook: HookPoint) -> Tensor:
        return torch.ones_like(tensor)

    def written(tensor: Tensor, hook: HookPoint) -> Tensor:
        return tensor + value

    with torch.no_grad():
        edits = [(f"{last}.hook_scale", held)]
        before = shorter.run_with_hooks(batch, edits)
        after = shorter.run_with_hooks(batch, [*edits, (f"decoder.{layer}.hook_mlp_out", written)])
    moved = (after - before)[0, 3]
    found = project_values(model, layer, torch.tensor([neuron]), top=4)
    assert found.raised[0, 0] == moved.argmax()
    assert found.lowered[0, 0] == moved.argmin()
    torch.testing.assert_close(found.raised_logit[0], moved.topk(4).values, atol=2e-4, rtol=1e-4)


def truncated(host: nn.Module, depth: int) -> nn.Module:
    """The host with so many decoder layers."""
    config = copy.deepcopy(host.config)
    config.decoder_layers = depth  # type: ignore[union-attr]
    shorter = type(host)(config)
    shorter.load_state_dict(host.state_dict(), strict=False)
    return shorter.eval().requires_grad_(False)


def random_pairs(model: HookedEncoderDecoder) -> PairBatch:
    clean, other = random_batch(model), random_batch(model, seed=1)
    corrupted = collate(other.source_texts, clean.target_texts, model.cfg, model.decoder_inputs, "given")
    rows = torch.tensor([12, 16, 11])
    answers = clean.labels[torch.arange(3), rows]
    pair = PromptPair("random", "random", "a", "b", "c", "d")
    return PairBatch((pair, replace(pair, id="2"), replace(pair, id="3")), clean, corrupted, rows, answers, answers + 7)


FAMILIES = (
    "encoder_resid",
    "decoder_resid",
    "encoder_z",
    "decoder_z",
    "cross_z",
    "cross_pattern",
    "cross_k",
    "cross_v",
)


@pytest.mark.parametrize(("name", "direction"), [*((name, "denoise") for name in NAMES), ("mbart", "noise")])
def test_patching_is_a_run_for_every_site(name: str, direction: str) -> None:
    model = tiny(name)
    pairs = random_pairs(model)
    donor, recipient = (pairs.clean, pairs.corrupted) if direction == "denoise" else (pairs.corrupted, pairs.clean)
    with torch.no_grad():
        base = pairs.difference_of_logits(model, model(recipient))
        _, kept = model.run_with_cache(donor)
        for family in FAMILIES:
            chosen = sites(model, pairs, family)  # type: ignore[arg-type]
            some = chosen[:: max(len(chosen) // 3, 1)]
            effects = patch_sites(model, pairs, some, direction)  # type: ignore[arg-type]
            torch.testing.assert_close(
                effects.clean, pairs.difference_of_logits(model, model(pairs.clean)), atol=2e-5, rtol=1e-5
            )
            for number, site in enumerate(some):

                def patch(tensor: Tensor, hook: HookPoint, site: object = site) -> Tensor:
                    changed = tensor.clone()
                    axis = hook.axes.index(site.axis)  # type: ignore[attr-defined]
                    index = (*([slice(None)] * axis), site.index)  # type: ignore[attr-defined]
                    changed[index] = kept[hook.name][index]
                    return changed

                patched = pairs.difference_of_logits(model, model.run_with_hooks(recipient, [(site.name, patch)]))
                expected = patched - base if direction == "denoise" else base - patched
                real = ~effects.numerator[:, number].isnan()
                assert torch.allclose(effects.numerator[real, number], expected[real], atol=3e-5), str(site)


@pytest.mark.parametrize("name", ["bart", "mbart"])
def test_attribution_patching_is_exact_where_the_answer_is_nearly_linear(name: str) -> None:
    model = tiny(name, decoder_layers=1)
    layer = model.hf.get_decoder().layers[0]
    layer.encoder_attn.out_proj.weight *= 1e-3
    pairs = random_pairs(model)
    chosen = [*sites(model, pairs, "cross_z"), *sites(model, pairs, "cross_pattern")]
    exact = patch_sites(model, pairs, chosen).numerator
    fast = attribution_patch(model, pairs, chosen)
    assert float(exact.abs().max()) > 1e-4
    assert torch.allclose(fast, exact, rtol=2e-2, atol=float(exact.abs().max()) * 2e-2)


def with_tokenizer(name: str) -> HookedEncoderDecoder:
    tokenizer = byte_pair_tokenizer()
    return HookedEncoderDecoder(tiny_hf(name, vocab_size=len(tokenizer)), tokenizer)


@pytest.mark.parametrize("name", NAMES)
def test_pairs_are_read_without_prefixes_and_decoded_after_the_whole_targets_first_token(name: str) -> None:
    model = with_tokenizer(name)
    candidates = candidate_pairs(model.cfg)
    assert not any("translate" in pair.clean + pair.corrupted for pair in candidates)
    left_out = {pair.id for pair in bundled_pairs()} - {pair.id for pair in candidates}
    assert left_out == {pair.id for pair in bundled_pairs() if pair.kind == "language"}
    assert candidate_pairs(tiny("t5").cfg) == bundled_pairs()
    own = PromptPair("dog-cat", "noun", "The dog is xq.", "The dog is zq.", "Der Hund im Haus.", "Der Kater im Haus.")
    pairs = pair_batch(model, [own])
    whole = model.batch(["x"], [own.clean_target])
    width = pairs.clean.decoder_input_ids.shape[1]
    assert width < whole.decoder_input_ids.shape[1]
    assert torch.equal(pairs.clean.decoder_input_ids, whole.decoder_input_ids[:, :width])
    assert torch.equal(pairs.corrupted.decoder_input_ids, pairs.clean.decoder_input_ids)
    verified = verify_pairs(model, candidates)
    assert len(verified.flipping) + len(verified.refused) == len(candidates)


@pytest.mark.parametrize("name", NAMES)
def test_the_decoder_writes_from_every_depth_and_at_the_last_what_the_model_writes(name: str) -> None:
    model = with_tokenizer(name)
    batch = model.batch(["The dog's house is big."], None)
    with torch.no_grad():
        _, kept = model.run_with_cache(batch, lens_hooks(model, "encoder"))
        texts = decoder_lens_texts(model, batch, kept, max_new_tokens=batch.labels.shape[1])
    assert len(texts) == model.cfg.n_encoder_layers + 1
    assert texts[-1][0].ids == batch.target_texts[0].ids
