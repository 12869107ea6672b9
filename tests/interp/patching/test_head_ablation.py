"""Ablations: identities with attribution and with edited weights, and what each kind of replacement is."""

import copy

import pytest
import torch
from torch import Tensor

from interp.attribution.direct_logit_attribution import decompose
from interp.attribution.logit_readout import label_tokens, logit_difference, logit_difference_of_outputs, runner_up
from interp.hooks.hook_point import HookPoint
from interp.hooks.names import HeadId, attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.head_ablation import decoder_attention_layers, direct_effects, total_effects
from interp.patching.partial_forward import record_pass
from interp.patching.replacements import Ablation, draw_donors, replacements
from tests.support.models import random_batch


class Setup:
    def __init__(self, model: HookedEncoderDecoder) -> None:
        self.model, self.batch = model, random_batch(model, (15, 12, 19, 13), (13, 17, 12, 14), same_prefix=True)
        self.logits, self.cache = model.run_with_cache(self.batch)
        self.tokens = label_tokens(self.batch)
        self.foils = runner_up(model, self.logits, self.tokens)
        self.readout = logit_difference(model, self.logits, self.tokens, self.foils)
        self.clean = record_pass(model, self.batch, "*.hook_z")
        self.mask = self.batch.target_mask

    def read(self, outputs: Tensor) -> Tensor:
        return logit_difference_of_outputs(self.model, outputs, self.tokens, self.foils)

    def difference(self, logits: Tensor) -> Tensor:
        token, foil = (logits.gather(-1, ids[..., None])[..., 0] for ids in (self.tokens, self.foils))
        return token - foil

    def z(self, kind: str, layer: int) -> Tensor:
        return self.cache[f"{attention_path(kind, layer)}.hook_z"]  # type: ignore[arg-type]

    def replaced(self, ablation: Ablation, kind: str, layer: int, draws: int = 1, seed: int = 0) -> Tensor:
        donors = [draw_donors(self.batch, self.batch, seed + draw) for draw in range(draws)]
        name = f"{attention_path(kind, layer)}.hook_z"  # type: ignore[arg-type]
        return replacements(ablation, name, self.cache[name], self.batch, donors)


@pytest.fixture(scope="module")
def setup(tiny_model: HookedEncoderDecoder) -> Setup:
    return Setup(tiny_model)


def test_replacing_nothing_changes_nothing(setup: Setup) -> None:
    assert torch.allclose(setup.clean.logits()[setup.mask], setup.logits[setup.mask], atol=2e-6)
    assert torch.allclose(setup.read(setup.clean.outputs), setup.readout.values, atol=2e-6)
    effects = total_effects(setup.clean, setup.read, "cross", 0, setup.z("cross", 0).unsqueeze(0))
    assert float((effects * setup.mask).abs().max()) <= 2e-6


def test_zero_ablation_with_all_else_frozen_is_minus_the_attribution(setup: Setup) -> None:
    found = decompose(setup.model, setup.cache, setup.readout)
    scale = float(setup.logits.abs().max())
    for kind, layer in decoder_attention_layers(setup.model):
        replaced = setup.replaced("zero", kind, layer)
        frozen = direct_effects(setup.model, setup.cache, setup.readout, kind, layer, replaced).frozen[0]
        expected = -torch.stack([found.of(str(HeadId(kind, layer, head))) for head in range(len(frozen))])
        assert float(((frozen - expected) * setup.mask).abs().max()) <= 1e-5 * scale


def test_zero_ablation_by_hook_with_frozen_downstream_is_minus_the_attribution(setup: Setup) -> None:
    """The same through the forward pass: every later write and the norm's scale are put back to their clean values."""
    model, head = setup.model, 1
    depth = model.cfg.n_decoder_layers
    found = decompose(model, setup.cache, setup.readout)
    for kind, layer in decoder_attention_layers(model):
        path = attention_path(kind, layer)

        def zero(tensor: Tensor, hook: HookPoint) -> Tensor:
            changed = tensor.clone()
            changed[:, :, head] = 0
            return changed

        def clean(tensor: Tensor, hook: HookPoint) -> Tensor:
            return setup.cache[hook.name]

        later = [
            f"decoder.{later}.hook_{part}"
            for later in range(depth)
            for part in ("attn_out", "cross_attn_out", "mlp_out")
        ]
        own = f"decoder.{layer}.hook_{'attn_out' if kind == 'decoder' else 'cross_attn_out'}"
        frozen = [(name, clean) for name in later if name != own]
        logits = model.run_with_hooks(
            setup.batch, [(f"{path}.hook_z", zero), *frozen, ("decoder.ln_final.hook_scale", clean)]
        )
        change = setup.difference(logits) - setup.difference(setup.logits)
        error = ((change + found.of(str(HeadId(kind, layer, head)))) * setup.mask).abs().max()
        assert float(error) <= 1e-5 * float(setup.logits.abs().max())


def test_ablating_by_hook_is_zeroing_columns_of_the_output_weights(
    tiny_model: HookedEncoderDecoder, setup: Setup
) -> None:
    k, head = tiny_model.cfg.d_decoder_head, 2
    for kind, layer in decoder_attention_layers(tiny_model):
        z = setup.z(kind, layer)
        effects = total_effects(setup.clean, setup.read, kind, layer, torch.zeros_like(z).unsqueeze(0))[0, head]
        edited = HookedEncoderDecoder(copy.deepcopy(tiny_model.hf))
        weight = edited.module(f"{attention_path(kind, layer)}.hook_result").weight
        assert isinstance(weight, Tensor)
        weight[:, head * k : (head + 1) * k] = 0
        expected = setup.difference(edited(setup.batch)) - setup.readout.values
        error = ((effects - expected) * setup.mask).abs().max()
        assert float(error) <= 1e-6 * float(setup.logits.abs().max())


def test_direct_effect_with_the_norm_recomputed(setup: Setup) -> None:
    """Closed form against the stream with the head's write taken out and the host's own final norm and unembedding."""
    model = setup.model
    depth = model.cfg.n_decoder_layers
    stream = setup.cache[f"decoder.{depth - 1}.hook_resid_post"]
    for kind, layer in decoder_attention_layers(model):
        replaced = setup.replaced("resample", kind, layer, 2)
        effects = direct_effects(model, setup.cache, setup.readout, kind, layer, replaced)
        W_O = model.module(f"{attention_path(kind, layer)}.hook_result").weight
        assert isinstance(W_O, Tensor)
        k, head = model.cfg.d_decoder_head, 3
        change = (replaced[1] - setup.z(kind, layer))[:, :, head] @ W_O[:, head * k : (head + 1) * k].t()
        normed = model.module("decoder.ln_final")(stream + change) * model.cfg.logit_scale
        expected = setup.difference(model.module("unembed.hook_out")(normed)) - setup.readout.values
        error = ((effects.recomputed[1, head] - expected) * setup.mask).abs().max()
        assert float(error) <= 3e-6 * float(setup.logits.abs().max())


def test_total_effects_of_one_head_match_one_run_each(setup: Setup) -> None:
    """All heads and draws in one pass give what a run for each gives."""
    kind, layer = decoder_attention_layers(setup.model)[-1]
    replaced = setup.replaced("resample", kind, layer, 2, seed=5)
    together = total_effects(setup.clean, setup.read, kind, layer, replaced) + setup.readout.values
    for draw, head in ((0, 0), (1, 4)):

        def replace(tensor: Tensor, hook: HookPoint, draw: int = draw, head: int = head) -> Tensor:
            changed = tensor.clone()
            changed[:, :, head] = replaced[draw, :, :, head]
            return changed

        alone = setup.difference(
            setup.model.run_with_hooks(setup.batch, [(f"{attention_path(kind, layer)}.hook_z", replace)])
        )
        error = ((together[draw, head] - alone) * setup.mask).abs().max()
        assert float(error) <= 2e-6 * float(setup.logits.abs().max())
