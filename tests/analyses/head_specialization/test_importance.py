"""Michel's score is the derivative of a gate; distances and maps of heads obey their definitions."""

import numpy as np
import pytest
import torch

from analyses.head_specialization.measure.ablation import loss
from analyses.head_specialization.measure.importance import (
    agreement,
    by_kind,
    gradient_importance,
    without_bias,
)
from analyses.head_specialization.measure.similarity import head_distances, head_map
from interp.attention_metrics import jensen_shannon
from interp.hooks.names import HeadId, attention_path
from interp.patching.partial_forward import record_pass
from tests.support.models import random_batch
from tests.support.plain_ablation import prompt_losses
from tests.support.planted_heads import QUICK, garden, observed, planted_batch

pytestmark = pytest.mark.slow


def test_the_gradient_score_is_the_derivative_of_a_gate_on_the_head(tiny_model):
    batch = random_batch(tiny_model)
    scores = gradient_importance(tiny_model, batch)
    step = 1e-2
    for head in (HeadId("encoder", 0, 2), HeadId("decoder", 0, 1), HeadId("cross", 0, 3)):

        def gated(factor, head=head):
            def scale(z, hook):
                edited = z.clone()
                edited[:, :, head.head] *= factor
                return edited

            with torch.no_grad(), tiny_model.hooks([(head.hook_name("z"), scale)]):
                return prompt_losses(tiny_model(batch), batch)

        slope = (gated(1 + step) - gated(1 - step)).abs() / (2 * step)
        found = scores[head.kind][:, head.layer, head.head]
        np.testing.assert_allclose(found, slope.numpy(), rtol=0.05, atol=2e-4, err_msg=str(head))


def test_values_of_all_heads_are_taken_apart_by_kind(tiny_t5):
    heads = (2 + 3 + 3) * 5
    values = np.arange(heads * 2.0).reshape(heads, 2)
    parts = by_kind(tiny_t5, values)
    assert {kind: part.shape for kind, part in parts.items()} == {
        "encoder": (2, 2, 5),
        "decoder": (2, 3, 5),
        "cross": (2, 3, 5),
    }
    assert parts["cross"][1, 2, 4] == values[-1, 1]
    assert parts["decoder"][0, 0, 0] == values[10, 0]


def test_agreement_compares_ranks_of_sizes():
    found = agreement(np.array([1.0, 2.0, 3.0, 4.0]), {"same": np.array([-1.0, 2.0, -3.0, 4.0]), "other": -np.ones(4)})
    assert found["same"].statistic == pytest.approx(1.0)
    assert np.isnan(found["other"].statistic)


def test_importance_reaches_the_observations_when_it_is_asked_for():
    plot = garden()
    batch = planted_batch(plot.hooked(), prompts=3)
    settings = QUICK.model_copy(update={"importance": ("gradient", "zero"), "similarity": "all"})
    found = observed(plot.hooked(), batch, settings, experiments=True)
    # Heads of an empty garden write nothing, so nothing is lost with them.
    np.testing.assert_allclose(found.experiment["cross.importance_zero_loss"], np.zeros((3, 3, 4)), atol=1e-6)
    np.testing.assert_allclose(found.experiment["encoder.importance_gradient"], np.zeros((3, 2, 4)), atol=1e-6)
    assert found.prompts["decoder.similarity"].shape == (3, 12, 12)
    assert not any("importance" in name for name in observed(plot.hooked(), batch, QUICK, True).experiment)


def test_without_its_bias_a_head_does_what_its_content_scores_say(tiny_model):
    batch = random_batch(tiny_model)
    full = record_pass(tiny_model, batch, "*.hook_z")
    found = by_kind(tiny_model, without_bias(full, loss(full)))
    assert np.isnan(found["cross"]).all()
    clean = prompt_losses(tiny_model(batch), batch)
    for head in (HeadId("encoder", 0, 2), HeadId("decoder", 0, 1)):
        path = attention_path(head.kind, head.layer)
        with torch.no_grad():
            _, cache = tiny_model.run_with_cache(batch, names_filter="*position_bias")
        name = f"{head.kind}.position_bias"
        bias = cache[name if name in cache else f"{head.kind}.0.position_bias"]

        def flatten(scores, hook, head=head, bias=bias):
            edited = scores.clone()
            edited[:, head.head] -= bias[:, head.head]
            return edited

        with torch.no_grad(), tiny_model.hooks([(f"{path}.hook_attn_scores", flatten)]):
            expected = prompt_losses(tiny_model(batch), batch) - clean
        got = found[head.kind][:, head.layer, head.head]
        np.testing.assert_allclose(got, expected.numpy(), atol=2e-5, err_msg=str(head))


def test_distances_between_heads_are_means_of_divergences():
    generator = torch.Generator().manual_seed(0)
    patterns = torch.rand(2, 3, 2, 5, 5, generator=generator)
    patterns /= patterns.sum(-1, keepdim=True)
    legal = torch.ones(3, 5, 5, dtype=torch.bool)
    legal[1, 3:] = False
    found = head_distances(patterns, legal)
    expected = jensen_shannon(patterns[0, 1, 1], patterns[1, 1, 0], legal[1])[:3].mean()
    assert found[1, 1, 2] == pytest.approx(float(expected), rel=1e-5)
    np.testing.assert_allclose(found, found.transpose(0, 2, 1))
    np.testing.assert_allclose(np.diagonal(found, axis1=1, axis2=2), 0.0, atol=1e-6)


def test_two_groups_of_heads_are_told_apart_and_drawn_apart():
    distance = np.full((6, 6), 0.6)
    distance[:3, :3] = distance[3:, 3:] = 0.05
    np.fill_diagonal(distance, 0.0)
    found = head_map(distance, seed=0)
    assert found.cluster.tolist() == [0, 0, 0, 1, 1, 1]
    assert found.silhouette > 0.8
    within = np.linalg.norm(found.place[0] - found.place[1])
    between = np.linalg.norm(found.place[0] - found.place[4])
    assert between > 4 * within
    np.testing.assert_array_equal(found.place, head_map(distance, seed=0).place)
