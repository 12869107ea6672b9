"""Ablating with shared computation equals one full forward pass a head; replacements are what they say."""

import numpy as np
import pytest
import torch

from analyses.head_specialization.measure.ablation import (
    Answer,
    ablate_heads,
    all_heads,
    first_answer,
    logit_difference_of,
    loss_of,
    position_classes,
    replacements,
)
from analyses.head_specialization.measure.replay import Replay, hooked_effect
from interp.errors import InputError
from interp.hooks.names import HeadId
from tests.support.models import random_batch

pytestmark = pytest.mark.slow


@pytest.fixture
def replay(tiny_model):
    return Replay(tiny_model, random_batch(tiny_model))


@pytest.mark.parametrize("ablation", ["zero", "mean", "resample"])
@pytest.mark.parametrize("metric", ["loss", "logit difference"])
def test_every_ablation_equals_a_full_forward_pass(replay, ablation, metric):
    model, batch = replay.model, replay.batch
    answer = Answer(torch.tensor([3, 11, 0]), torch.tensor([5, 9, 17]), torch.tensor([6, 30, 12]))
    read = loss_of(model, batch) if metric == "loss" else logit_difference_of(model, answer)
    found = ablate_heads(replay, read, ablation, draws=1, seed=4)
    assert len(found.heads) == (model.cfg.n_encoder_layers + 2 * model.cfg.n_decoder_layers) * model.cfg.n_decoder_heads
    for index, head in list(enumerate(found.heads))[::4]:
        mask = batch.source_mask if head.kind == "encoder" else batch.target_mask
        stand_in = replacements(replay.z(head.kind, head.layer), position_classes(mask), ablation, 1, 4)[0]
        expected = hooked_effect(model, batch, head, stand_in[:, :, head.head], read)
        np.testing.assert_allclose(found.ablated[index], expected.numpy(), rtol=1e-5, atol=2e-6, err_msg=str(head))


def test_a_read_out_of_the_first_rows_does_not_run_the_others(replay):
    answer = Answer(torch.tensor([1, 0, 2]), torch.tensor([5, 9, 17]), torch.tensor([6, 30, 12]))
    read = logit_difference_of(replay.model, answer)
    assert read.rows == 3
    lengths = []

    def note(module, inputs, output):
        lengths.append(output.shape[1])

    handle = replay.model.module("decoder.ln_final").register_forward_hook(note)
    try:
        found = ablate_heads(replay, read, "mean", heads=[HeadId("decoder", 0, 1), HeadId("encoder", 0, 1)])
    finally:
        handle.remove()
    assert set(lengths) == {3}
    stand_in = replacements(replay.z("decoder", 0), position_classes(replay.batch.target_mask), "mean", 1, 0)[0]
    expected = hooked_effect(replay.model, replay.batch, HeadId("decoder", 0, 1), stand_in[:, :, 1], read)
    np.testing.assert_allclose(found.ablated[0], expected.numpy(), rtol=1e-5, atol=2e-6)


def test_the_clean_read_outs_are_those_of_the_host(replay):
    model, batch = replay.model, replay.batch
    for prompt in range(len(batch)):
        single = batch.select(prompt)
        host = model.hf(**{name: single[name] for name in single.keys()}).loss  # noqa: SIM118 - a Batch is no dict
        assert float(replay.clean(loss_of(model, batch))[prompt]) == pytest.approx(float(host), rel=1e-5)
    answer = first_answer(replay)
    logits = replay.logits[:, 0]
    expected = logits.gather(1, answer.tokens[:, None]) - logits.gather(1, answer.foils[:, None])
    found = replay.clean(logit_difference_of(model, answer))
    torch.testing.assert_close(found, expected[:, 0], rtol=1e-4, atol=1e-5)
    assert (answer.tokens != answer.foils).all()


def test_replacing_a_head_by_itself_changes_nothing(replay):
    read = loss_of(replay.model, replay.batch)
    for head in (HeadId("encoder", 0, 1), HeadId("decoder", 0, 2), HeadId("cross", 0, 4)):
        z = replay.z(head.kind, head.layer)[:, :, head.head]
        torch.testing.assert_close(replay.with_head(head, z, read), replay.clean(read), rtol=1e-6, atol=1e-6)


def test_recording_leaves_no_hook_behind(tiny_t5, tiny_batch):
    before = sum(len(module._forward_pre_hooks) for module in tiny_t5.hf.modules())
    Replay(tiny_t5, tiny_batch)
    assert sum(len(module._forward_pre_hooks) for module in tiny_t5.hf.modules()) == before


def test_means_are_taken_within_the_class_of_position_and_never_over_padding():
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 1, 0]]).bool()
    classes = position_classes(mask)
    assert classes.tolist() == [[0, 1, 1, 2], [0, 1, 2, -1]]
    z = torch.tensor([[1.0, 2.0, 4.0, 8.0], [3.0, 6.0, 10.0, 1000.0]])[:, :, None, None]
    (mean,) = replacements(z, classes, "mean", 1, 0)
    assert mean[0, :, 0, 0].tolist() == [2.0, 4.0, 4.0, 9.0]
    assert mean[1, :3, 0, 0].tolist() == [2.0, 4.0, 9.0]


def test_resampling_takes_the_same_class_from_another_prompt():
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]]).bool()
    z = torch.arange(10.0).reshape(2, 5)[:, :, None, None]
    (drawn,) = replacements(z, position_classes(mask), "resample", 1, 0)
    assert drawn[0, :, 0, 0].tolist() == [5.0, 6.0, 6.0, 6.0, 7.0]
    assert drawn[1, :3, 0, 0].tolist() == [0.0, 2.0, 4.0]
    with pytest.raises(InputError, match="needs at least two prompts in the batch; got one"):
        replacements(z[:1], position_classes(mask[:1]), "resample", 1, 0)


def test_heads_are_listed_by_kind_and_layer(tiny_t5):
    labels = [str(head) for head in all_heads(tiny_t5)]
    assert labels[:2] == ["EL0H0", "EL0H1"]
    assert labels[10] == "DL0H0"
    assert labels[-1] == "XL2H4"
