"""Ablations: identities with attribution and with edited weights, and what each kind of replacement is."""

import copy

import pytest
import torch
from torch import Tensor

from interp.attribution.direct_logit_attribution import decompose
from interp.attribution.logit_readout import label_tokens, logit_difference, runner_up
from interp.errors import InputError
from interp.hooks.hook_point import HookPoint
from interp.hooks.names import HeadId, attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.patching.head_ablation import (
    FINAL,
    ORDINARY,
    START,
    bench,
    direct_effects,
    head_sites,
    position_classes,
    replacements,
    total_effects,
)
from tests.support.models import random_batch, tiny


class Setup:
    def __init__(self, model: HookedEncoderDecoder) -> None:
        self.model, self.batch = model, random_batch(model, (15, 12, 19, 13), (13, 17, 12, 14))
        self.logits, self.cache = model.run_with_cache(self.batch)
        self.tokens = label_tokens(self.batch)
        self.foils = runner_up(self.logits, self.tokens)
        self.readout = logit_difference(model, self.logits, self.tokens, self.foils)
        self.bench = bench(model, self.batch, self.readout)
        self.mask = self.batch.target_mask

    def difference(self, logits: Tensor) -> Tensor:
        token, foil = (logits.gather(-1, ids[..., None])[..., 0] for ids in (self.tokens, self.foils))
        return token - foil

    def z(self, kind: str, layer: int) -> Tensor:
        return self.cache[f"{attention_path(kind, layer)}.hook_z"]  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def setup(tiny_model: HookedEncoderDecoder) -> Setup:
    return Setup(tiny_model)


def test_replacing_nothing_changes_nothing(setup: Setup) -> None:
    z = setup.z("cross", 0)
    values = setup.bench.values("decoder.0.cross_attn.hook_z", z.unsqueeze(0))
    assert torch.allclose(values[0][setup.mask], setup.readout.values[setup.mask], atol=2e-6)


def test_zero_ablation_with_all_else_frozen_is_minus_the_attribution(setup: Setup) -> None:
    found = decompose(setup.model, setup.cache, setup.readout)
    scale = float(setup.logits.abs().max())
    for kind, layer in head_sites(setup.model):
        replaced = replacements("zero", setup.z(kind, layer), setup.batch, 1, 0)
        frozen = direct_effects(setup.model, setup.cache, setup.readout, kind, layer, replaced).frozen[0]
        expected = -torch.stack([found.of(str(HeadId(kind, layer, head))) for head in range(len(frozen))])
        assert float(((frozen - expected) * setup.mask).abs().max()) <= 1e-5 * scale


def test_zero_ablation_by_hook_with_frozen_downstream_is_minus_the_attribution(setup: Setup) -> None:
    """The same through the forward pass: every later write and the norm's scale are put back to their clean values."""
    model, head = setup.model, 1
    depth = model.cfg.n_decoder_layers
    found = decompose(model, setup.cache, setup.readout)
    for kind, layer in head_sites(model):
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
    for kind, layer in head_sites(tiny_model):
        z = setup.z(kind, layer)
        values = total_effects(setup.bench, kind, layer, z, torch.zeros_like(z).unsqueeze(0))[0, head]
        edited = HookedEncoderDecoder(copy.deepcopy(tiny_model.hf))
        weight = edited.module(f"{attention_path(kind, layer)}.hook_result").weight
        assert isinstance(weight, Tensor)
        weight[:, head * k : (head + 1) * k] = 0
        expected = setup.difference(edited(setup.batch))
        error = ((values - expected) * setup.mask).abs().max()
        assert float(error) <= 1e-6 * float(setup.logits.abs().max())


def test_direct_effect_with_the_norm_recomputed(setup: Setup) -> None:
    """Closed form against the stream with the head's write taken out and the host's own final norm and unembedding."""
    model = setup.model
    depth = model.cfg.n_decoder_layers
    stream = setup.cache[f"decoder.{depth - 1}.hook_resid_post"]
    for kind, layer in head_sites(model):
        replaced = replacements("resample", setup.z(kind, layer), setup.batch, 2, 0)
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
    kind, layer = head_sites(setup.model)[-1]
    z = setup.z(kind, layer)
    replaced = replacements("resample", z, setup.batch, 2, 5)
    together = total_effects(setup.bench, kind, layer, z, replaced)
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


def test_position_classes(setup: Setup) -> None:
    classes = position_classes(setup.batch.target_mask)
    assert classes[2].tolist() == [START, *[ORDINARY] * 10, FINAL, *[-1] * 5]


def test_means_are_over_rows_of_one_class(setup: Setup) -> None:
    z = setup.z("decoder", 0)
    # Random prefixes differ, so every prompt refers to all.
    mean = replacements("mean", z, setup.batch, 1, 0)[0]
    assert torch.allclose(mean[1, 0], z[:, 0].mean(0), atol=1e-6)
    final = torch.stack([z[prompt, length - 1] for prompt, length in enumerate((13, 17, 12, 14))]).mean(0)
    assert torch.allclose(mean[0, 12], final, atol=1e-6)
    ordinary = torch.cat([z[prompt, 1 : length - 1] for prompt, length in enumerate((13, 17, 12, 14))]).mean(0)
    assert torch.allclose(mean[3, 4], ordinary, atol=1e-6)


def test_resampled_z_comes_from_another_prompt_of_the_same_class(setup: Setup) -> None:
    z = setup.z("cross", 0)
    drawn = replacements("resample", z, setup.batch, 3, 0)
    assert drawn.shape == (3, *z.shape)
    assert torch.equal(drawn, replacements("resample", z, setup.batch, 3, 0))
    assert not torch.equal(drawn, replacements("resample", z, setup.batch, 3, 1))
    classes = position_classes(setup.batch.target_mask)
    for prompt in range(4):
        for row in range(int(setup.mask[prompt].sum())):
            found = (z == drawn[0, prompt, row]).flatten(2).all(-1).nonzero().tolist()
            assert found, "a resampled z is a real z"
            assert all(donor != prompt and classes[donor, at] == classes[prompt, row] for donor, at in found)


def test_peers_share_the_task(bundled: HookedEncoderDecoder) -> None:
    """German prompts take their mean from German prompts."""
    sentences = ["The dog sleeps.", "A man sits on a chair."]
    sources = [f"translate English to {language}: {text}" for language in ("German", "French") for text in sentences]
    batch = bundled.batch(sources)
    _, cache = bundled.run_with_cache(batch, ["decoder.0.attn.hook_z"])
    z = cache["decoder.0.attn.hook_z"]
    mean = replacements("mean", z, batch, 1, 0)[0]
    assert torch.allclose(mean[0, 0], z[:2, 0].mean(0), atol=1e-6)
    final = [int(rows) - 1 for rows in batch.target_mask.sum(1)]
    expected = (z[2, final[2]] + z[3, final[3]]) / 2
    assert torch.allclose(mean[3, final[3]], expected, atol=1e-6)


def test_one_prompt_cannot_be_resampled() -> None:
    model = tiny("t5")
    batch = random_batch(model, (12,), (13,))
    _, cache = model.run_with_cache(batch, ["decoder.0.attn.hook_z"])
    with pytest.raises(InputError, match="takes z from another prompt; give at least two prompts"):
        replacements("resample", cache["decoder.0.attn.hook_z"], batch, 1, 0)
