"""Ablating with shared computation equals one full forward pass a head."""

import numpy as np
import pytest
import torch

from analyses.head_specialization import HeadSettings, heads
from analyses.head_specialization.measure.ablation import ablate_heads, all_heads, label_difference, loss
from analyses.head_specialization.present.section import present as section
from interp.hooks.names import HeadId
from interp.patching.partial_forward import record_pass
from interp.patching.replacements import draw_donors, replacements
from interp.text.batch import collate
from tests.support.models import random_batch
from tests.support.plain_ablation import label_leads, logits_with, prompt_losses

pytestmark = pytest.mark.slow

ROWS = torch.tensor([3, 11, 0])


@pytest.fixture
def full(tiny_model):
    return record_pass(tiny_model, random_batch(tiny_model, same_prefix=True), "*.hook_z")


@pytest.mark.parametrize("ablation", ["zero", "mean", "resample"])
@pytest.mark.parametrize("metric", ["loss", "label difference"])
def test_every_ablation_equals_a_full_forward_pass(full, ablation, metric):
    model, batch = full.model, full.batch
    outcome = loss(full) if metric == "loss" else label_difference(model, batch, ROWS)
    found = ablate_heads(full, outcome, ablation, draws=1, seed=4)
    clean, donors = model(batch), [draw_donors(batch, batch, 4)]
    heads = all_heads(model)
    assert len(found) == (model.cfg.n_encoder_layers + 2 * model.cfg.n_decoder_layers) * model.cfg.n_decoder_heads
    for index, head in list(enumerate(heads))[::4]:
        name = head.hook_name("z")
        z = replacements(ablation, name, full.cache[name], batch, donors)[0, :, :, head.head]
        logits = [logits_with(model, batch, head, z), clean]
        if metric == "loss":
            after, before = (prompt_losses(one, batch) for one in logits)
        else:
            after, before = (label_leads(one, clean, batch, ROWS) for one in logits)
        torch.testing.assert_close(outcome.before, before, rtol=1e-5, atol=5e-6)
        np.testing.assert_allclose(found[index], (after - before).numpy(), rtol=1e-5, atol=5e-6, err_msg=str(head))


def test_draws_are_averaged(full):
    outcome, some = loss(full), [HeadId("cross", 0, 3), HeadId("encoder", 1, 0)]
    both = ablate_heads(full, outcome, "resample", some, draws=2, seed=7)
    each = [ablate_heads(full, outcome, "resample", some, draws=1, seed=seed) for seed in (7, 8)]
    np.testing.assert_allclose(both, np.mean(each, 0), atol=1e-6)
    assert not np.allclose(*each, atol=1e-4)


def test_a_read_out_of_the_first_rows_does_not_run_the_others(full):
    rows = torch.tensor([1, 0, 2])
    outcome = label_difference(full.model, full.batch, rows)
    lengths = []
    sublayer = full.model.module("decoder.0.hook_resid_mid_cross")
    handle = sublayer.register_forward_pre_hook(lambda module, inputs: lengths.append(inputs[0].shape[1]))
    try:
        ablate_heads(full, outcome, "mean", [HeadId("decoder", 0, 1)])
        ablate_heads(full, outcome, "mean", [HeadId("encoder", 0, 1)])
    finally:
        handle.remove()
    assert set(lengths) <= {3}
    assert len(lengths) >= full.model.cfg.n_decoder_layers - 1


def test_a_prompt_alone_with_its_task_has_no_effect_of_mean_and_resample(tiny_t5):
    batch = random_batch(tiny_t5, (9, 8, 7, 9), (5, 6, 4, 5), same_prefix=True)
    other = random_batch(tiny_t5, (6,), (5,), seed=3)
    batch = collate(
        [*batch.source_texts, *other.source_texts],
        [*batch.target_texts, *other.target_texts],
        tiny_t5.cfg,
        tiny_t5.decoder_inputs,
        "given",
    )
    full = record_pass(tiny_t5, batch, "*.hook_z")
    for ablation, missing in (("zero", []), ("mean", [4]), ("resample", [4])):
        found = ablate_heads(full, loss(full), ablation)
        assert np.isnan(found).any(0).nonzero()[0].tolist() == missing, ablation
        assert np.isnan(found).all(0).nonzero()[0].tolist() == missing, ablation


def test_recording_leaves_no_hook_behind(tiny_t5, tiny_batch):
    before = sum(len(module._forward_pre_hooks) for module in tiny_t5.hf.modules())
    record_pass(tiny_t5, tiny_batch, ())
    assert sum(len(module._forward_pre_hooks) for module in tiny_t5.hf.modules()) == before


def test_heads_are_listed_by_kind_and_layer(tiny_t5):
    labels = [str(head) for head in all_heads(tiny_t5)]
    assert labels[:2] == ["EL0H0", "EL0H1"]
    assert labels[10] == "DL0H0"
    assert labels[-1] == "XL2H4"


def test_the_findings_count_prompts_that_mean_and_resample_leave_out(tiny_t5):
    settings = HeadSettings(
        resamples=100, samples=4, importance=("gradient", "zero", "mean"), nulls=(), copying="none", similarity="none"
    )
    together = random_batch(tiny_t5, same_prefix=True)
    first, *_ = random_batch(tiny_t5, (8,), (6,), seed=9).source_texts
    sources = [*together.source_texts, first]
    targets = [*together.target_texts, together.target_texts[0]]
    batch = collate(sources, targets, tiny_t5.cfg, tiny_t5.decoder_inputs, "given")
    found = heads(tiny_t5, batch, settings, twins=1)
    text = " ".join(importance for importance in section(found).findings if "matters most" in importance)
    assert "1 of 4 prompts share their task prefix with no other sentence of their batch" in text
    assert np.isfinite(found.metric("cross", "mean ablation, change of loss").point).all()
    assert "share their task prefix" not in " ".join(section(heads(tiny_t5, together, settings, twins=1)).findings)
