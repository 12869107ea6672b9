"""What holds for every family alike: gradients of every activation, interventions, names that are absent, and storage."""

from functools import cache
from pathlib import Path

import pytest
import torch
from torch import Tensor

from interp.hooks.hook_point import HookPoint
from interp.hooks.names import attention_path
from interp.model.activation_cache import ActivationCache
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.storage import load_cache, save_cache
from interp.patching.interventions import knock_out, mean, patch, reference_means, resample, zero
from interp.patching.path_patching import path_patch
from interp.text.batch import Batch
from interp.text.token_sets import last, of_category
from tests.support.models import (
    BART_FAMILIES,
    FAMILIES,
    GEMMA_FAMILIES,
    SWITCH_FAMILIES,
    WHISPER_FAMILIES,
    random_batch,
    tiny,
    tiny_hf,
)
from tests.support.oracle_bart import NORMED_EMBEDDING, POST_NORM

pytestmark = pytest.mark.slow

OWN_KEYS = (*FAMILIES, *SWITCH_FAMILIES, *BART_FAMILIES, *WHISPER_FAMILIES)
"""Families in which every head has keys and values of its own."""

EVERY = (*OWN_KEYS, *GEMMA_FAMILIES)


@cache
def double_run(name: str) -> tuple[HookedEncoderDecoder, Batch, ActivationCache]:
    """A model in float64, a batch, and its run after one backward pass of a logit difference."""
    model = HookedEncoderDecoder(tiny_hf(name).double())
    batch = random_batch(model, source_lengths=(6, 9), target_lengths=(7, 5))
    logits, kept = model.run_with_cache(batch, names_filter="*", gradients=True)
    metric(logits).backward()
    return model, batch, kept


def metric(logits: Tensor) -> Tensor:
    return logits[0, 4, 7] - logits[0, 4, 9] + logits[1, 2, 11]


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in ("t5", "mbart") else pytest.mark.slow) for n in EVERY]
)
def test_the_gradient_at_every_point_is_what_nudging_it_does(name: str) -> None:
    """d metric / d activation times a direction equals the difference quotient of nudging the activation along it.

    Norms of T5 and Gemma take their mean square in float32 whatever the model's type, so their quotients need a larger step.
    Gemma's give float32 as well, and what they read is far from straight: its quotients have a noise that no step takes away.
    """
    model, batch, kept = double_run(name)
    step, tolerance = (2e-4, 2e-2) if name in {*FAMILIES, *SWITCH_FAMILIES, *GEMMA_FAMILIES} else (1e-5, 1e-4)
    noise = 0.02 if name in GEMMA_FAMILIES else 0.2 * tolerance
    generator = torch.Generator().manual_seed(0)
    silent = []
    for point, value in kept.items():
        if not value.is_floating_point():  # the number of an expert
            continue
        gradient = kept.grad[point]
        if gradient is None:
            silent.append(point)
            continue
        direction = torch.randn(value.shape, generator=generator, dtype=torch.float64) * (value.detach() > -1e30)

        def nudged(size: float, point: str = point, direction: Tensor = direction) -> float:
            def nudge(seen: Tensor, hook: HookPoint) -> Tensor:
                return seen + size * direction

            with torch.no_grad():
                return float(metric(model.run_with_hooks(batch, [(point, nudge)])))

        quotient = (nudged(step) - nudged(-step)) / (2 * step)
        assert float((gradient * direction).sum()) == pytest.approx(quotient, rel=tolerance, abs=noise), point
    assert not silent, f"no gradient reaches {silent}"


@pytest.mark.parametrize("name", EVERY)
def test_interventions_do_what_they_say(name: str) -> None:
    model = tiny(name)
    batch = random_batch(model, same_prefix=True)
    with torch.no_grad():
        clean, kept = model.run_with_cache(batch)
        means = reference_means(model, [batch], ["XL0H3"])
        runs = {
            "zero": zero(["XL0H3"]),
            "mean": mean(["XL0H3"], means, batch),
            "resample": resample(["XL0H3"], kept, batch, seed=1),
            "patch": patch(["XL0H3"], kept),
        }
        for label, edits in runs.items():
            with model.hooks(edits):
                logits, edited = model.run_with_cache(batch)
            z, before = edited["z", 0, "cross_attn"], kept["z", 0, "cross_attn"]
            others = [head for head in range(z.shape[2]) if head != 3]
            assert torch.equal(z[:, :, others], before[:, :, others]), label
            assert torch.equal(logits, clean) == (label == "patch"), label


@pytest.mark.parametrize("name", EVERY)
def test_knocking_out_a_source_span_is_masking_its_scores(name: str) -> None:
    model = tiny(name)
    batch = random_batch(model)
    rows, keys = last(batch, "target"), of_category(batch, "content", "speech")
    path = f"{attention_path('cross', 0)}.hook_attn_scores"

    def masked(scores: Tensor, hook: HookPoint) -> Tensor:
        return scores.masked_fill(rows[:, None, :, None] & keys[:, None, None, :], -torch.inf)

    with torch.no_grad():
        cut = model.run_with_hooks(batch, knock_out("cross", [0], rows, keys))
        wanted = model.run_with_hooks(batch, [(path, masked)])
        clean = model(batch)
    assert (cut - wanted).abs().max() <= 1e-5 * clean.abs().max()
    others = batch.target_mask & ~rows
    assert torch.equal(cut[others], clean[others])
    assert not torch.equal(cut[rows], clean[rows])


@pytest.mark.parametrize("name", OWN_KEYS)
def test_a_path_from_an_encoder_head_reaches_its_receiver_alone(name: str) -> None:
    model = tiny(name)
    batch = random_batch(model)
    with torch.no_grad():
        _, clean = model.run_with_cache(batch)
        with model.hooks([("encoder.0.attn.hook_z", lambda z, hook: z * 2)]):
            _, corrupted = model.run_with_cache(batch)
        edits = path_patch(model, batch, clean, corrupted, ["EL0H2"], ["XL0H1.k", "XL0H1.v"])
        with model.hooks(edits):
            _, got = model.run_with_cache(batch)
    z, before = got["z", 0, "cross_attn"], clean["z", 0, "cross_attn"]
    others = [head for head in range(z.shape[2]) if head != 1]
    assert torch.equal(z[:, :, others], before[:, :, others])
    assert not torch.equal(z[:, :, 1], before[:, :, 1])
    for layer in range(model.cfg.n_encoder_layers):
        assert torch.equal(got["z", layer, "encoder"], clean["z", layer, "encoder"])


@pytest.mark.parametrize("name", EVERY)
def test_points_that_a_family_lacks_are_absent_by_name(name: str) -> None:
    model = tiny(name)
    post, relative = name in POST_NORM, model.cfg.positions == "relative"
    lacking = {
        "encoder.position_bias": not relative or model.cfg.bias_per_layer,
        "encoder.1.position_bias": not model.cfg.bias_per_layer,
        "encoder.hook_pos_embed": not model.cfg.adds_positions,
        "decoder.ln_final.hook_scale": post,
        "decoder.ln_embed.hook_scale": name not in NORMED_EMBEDDING,
        "decoder.0.mlp.hook_pre_linear": not model.cfg.gated_mlp,
    }
    for point, absent in lacking.items():
        assert (point not in model.hook_points()) == absent, point
        if absent:
            with pytest.raises(KeyError, match=f"No hook point '{point}' here"):
                model.run_with_cache(random_batch(model), names_filter=point)


@pytest.mark.parametrize("name", EVERY)
def test_a_saved_cache_is_the_cache(name: str, tmp_path: Path) -> None:
    model = tiny(name)
    batch = random_batch(model)
    with torch.no_grad():
        _, kept = model.run_with_cache(batch)
    save_cache(kept, tmp_path / "run.safetensors")
    back = load_cache(tmp_path / "run.safetensors", model)
    assert list(back) == list(kept)
    for point, value in kept.items():
        assert torch.equal(back[point], value), point
    assert torch.equal(back["result", 1, "encoder"], kept["result", 1, "encoder"])
    assert back.batch is not None
    assert torch.equal(back.batch.input_ids, batch.input_ids)
    assert back.norm_place == model.cfg.norm_place
