"""What makes the recipe T5's: optimizers, schedules, clipping, accumulation, precision, checkpointing, sizes, event files."""

import json
import math
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import T5ForConditionalGeneration
from transformers.optimization import Adafactor

from interp.errors import InputError
from tests.support.toy_pairs import RECIPE, tiny_pairs
from training.board import Board
from training.clock import BudgetClock
from training.data import Example
from training.optimizer import make_optimizer
from training.prepare import prepare
from training.recipe import Recipe
from training.run import Run
from training.sizes import size_settings
from training.train import train
from training.workers import Workers

LEFT = [Example((5, 6, 7, 1), (8, 9, 1)), Example((5, 9, 1), (3, 1))]
RIGHT = [Example((11, 6, 7, 20, 1), (8, 9, 14, 30, 1))]
STILL = replace(RECIPE, dropout=0.0)


def a_run(folder: Path, recipe: Recipe = STILL) -> Run:
    return prepare(tiny_pairs(), recipe, BudgetClock(steps=100), folder, None, Workers())


@contextmanager
def gradients_of(run: Run) -> Iterator[list[torch.Tensor]]:
    """What the optimizer is given at each step, all parameters in a row; it does not move them."""
    seen: list[torch.Tensor] = []

    def step() -> None:
        seen.append(torch.cat([parameter.grad.flatten() for parameter in run.model.parameters()]))

    run.optimizer.step = step
    yield seen


def test_the_schedules_are_the_published_ones() -> None:
    t5 = Recipe(schedule="rsqrt", peak_rate=0.01, warmup_steps=10_000)
    for step in (0, 1, 9_999, 10_000, 40_000, 524_287):
        assert t5.rate(step, 0.5) == pytest.approx(1 / math.sqrt(max(step + 1, 10_000)))
    assert Recipe(schedule="rsqrt", peak_rate=1e-3, warmup_steps=10**6).rate(2**18, 1.0) == 1e-3
    cosine = Recipe(peak_rate=0.1, warmup_steps=10)
    assert [cosine.rate(*place) for place in ((4, 0.0), (99, 0.5), (99, 1.0))] == pytest.approx([0.05, 0.05, 0.0])


def test_adafactor_steps_as_with_its_own_relative_schedule() -> None:
    recipe = Recipe(optimizer="adafactor", schedule="rsqrt", peak_rate=0.01, warmup_steps=10_000)
    models = [T5ForConditionalGeneration(RECIPE.config()) for _ in range(2)]
    models[1].load_state_dict(models[0].state_dict())
    ours, scales = make_optimizer(models[0], models[0], recipe)
    theirs = Adafactor(models[1].parameters(), relative_step=True, scale_parameter=True, warmup_init=False)
    for step in range(5):
        for group, scale in zip(ours.param_groups, scales, strict=True):
            group["lr"] = recipe.rate(step, 0.0) * scale
        for model, optimizer in zip(models, (ours, theirs), strict=True):
            ids = torch.tensor([[5, 6, 7, 1]])
            model.eval()(input_ids=ids, labels=ids + step).loss.backward()
            optimizer.step()
            optimizer.zero_grad()
    for (name, one), other in zip(models[0].named_parameters(), models[1].parameters(), strict=True):
        torch.testing.assert_close(one, other, msg=name)


def test_adafactor_trains_resumes_exactly_and_can_step_position_biases_in_nats(tmp_path: Path) -> None:
    recipe = replace(RECIPE, optimizer="adafactor", peak_rate=0.05, bias_scale=0.5)
    whole = train(tiny_pairs(), recipe, BudgetClock(steps=60), tmp_path / "whole")
    for stop in (23, None):
        parts = train(tiny_pairs(), recipe, BudgetClock(steps=60), tmp_path / "parts", stop_after=stop)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.equal(one, other)
    lines = [json.loads(line) for line in (tmp_path / "whole" / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < lines[1]["loss"]
    names = [name for name, _ in whole.model.named_parameters()]
    groups = dict(zip(names, whole.optimizer.param_groups, strict=True))
    alone = {name for name, group in groups.items() if not group["scale_parameter"]}
    assert alone == {name for name in names if "relative_attention_bias" in name}


def test_gradients_of_accumulated_batches_are_those_of_one_large_batch(tmp_path: Path) -> None:
    run = a_run(tmp_path)
    with gradients_of(run) as seen:
        run.step([*LEFT, *RIGHT])
        run.step(LEFT, RIGHT)
        run.step(LEFT)
    torch.testing.assert_close(seen[1], seen[0])
    assert not torch.allclose(seen[2], seen[0])
    assert run.losses[1] == pytest.approx(run.losses[0])
    assert run.clock.taken == 3


def test_a_step_takes_as_many_batches_as_the_recipe_accumulates(tmp_path: Path) -> None:
    twice = replace(STILL, accumulation=2)
    run = train(tiny_pairs(), twice, BudgetClock(steps=100), tmp_path, stop_after=1)
    assert (run.epoch, run.batch) == (0, 2)
    with pytest.raises(InputError, match="accumulation is at least 1, got 0"):
        replace(STILL, accumulation=0)


def test_the_gradient_is_clipped_to_the_recipe_or_not_at_all(tmp_path: Path) -> None:
    norms = {}
    for clip in (0.0, 1e-3):
        run = a_run(tmp_path / str(clip), replace(STILL, clip=clip))
        with gradients_of(run) as seen:
            run.step(LEFT)
        norms[clip] = seen[0].norm().item()
    assert norms[1e-3] == pytest.approx(1e-3, rel=1e-2)
    assert norms[0.0] > 0.1


@pytest.mark.parametrize(
    ("precision", "expected"), [("auto", torch.float32), ("float32", torch.float32), ("bfloat16", torch.bfloat16)]
)
def test_matrix_products_have_the_precision_of_the_recipe_and_weights_float32(
    tmp_path: Path, precision: str, expected: torch.dtype
) -> None:
    run = a_run(tmp_path, replace(STILL, precision=precision))
    kinds = []
    layer = run.model.encoder.block[0].layer[0].SelfAttention.q
    layer.register_forward_hook(lambda _module, _inputs, output: kinds.append(output.dtype))
    run.step(LEFT)
    assert kinds == [expected]
    assert {parameter.dtype for parameter in run.model.parameters()} == {torch.float32}
    exact = a_run(tmp_path / "exact")
    exact.step(LEFT)
    assert run.losses[0] == pytest.approx(exact.losses[0], rel=0.02)


def test_gradient_checkpointing_computes_layers_twice_and_changes_no_gradient(tmp_path: Path) -> None:
    gradients, calls = [], []
    for name, again in (("kept", False), ("again", True)):
        run = a_run(tmp_path / name, replace(RECIPE, gradient_checkpointing=again))
        counts: Counter[str] = Counter()
        layer = run.model.encoder.block[0].layer[0].SelfAttention.q
        layer.register_forward_hook(lambda *_, counts=counts: counts.update(["q"]))
        torch.manual_seed(3)  # The same entries are dropped.
        with gradients_of(run) as seen:
            run.step(LEFT)
        gradients.append(seen[0])
        calls.append(counts["q"])
    assert calls == [1, 2]
    torch.testing.assert_close(gradients[0], gradients[1])


@pytest.mark.parametrize(
    ("size", "parameters", "millions"),
    [
        ("tiny", 15_570_688, 15.58),
        ("mini", 31_220_480, 31.23),
        ("small", 60_506_624, 60.5),
        ("base", 222_903_552, 222.9),
    ],
)
def test_sizes_are_the_published_ones(size: str, parameters: int, millions: float) -> None:
    assert parameters / 1e6 == pytest.approx(millions, rel=1e-3)
    recipe = Recipe.of([*size_settings(size), "vocabulary=32128"])
    assert recipe.parameters() == parameters
    with torch.device("meta"):
        model = T5ForConditionalGeneration(recipe.config())
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters
    with pytest.raises(InputError, match=r"no size 'huge'\. Choose one of tiny, mini, small, base"):
        size_settings("huge")


def test_words_of_the_recipe_are_checked() -> None:
    for setting, message in (
        ('optimizer="sgd"', "optimizer is one of adamw, adafactor, got 'sgd'"),
        ('schedule="linear"', "schedule is one of cosine, rsqrt"),
        ('precision="float16"', "precision is one of auto, float32, bfloat16"),
        ('feed_forward="gated"', "feed_forward is one of"),
    ):
        with pytest.raises(InputError, match=message):
            Recipe.of([setting])


def test_the_log_is_written_as_event_files_that_a_resumed_run_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    for stop in (60, None):
        train(tiny_pairs(50), RECIPE, BudgetClock(steps=100), tmp_path, stop_after=stop, board=True)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    events = EventAccumulator(str(tmp_path / "board")).Reload()
    losses = [(event.step, event.value) for event in events.Scalars("loss/training")]
    assert losses == [(line["step"], pytest.approx(line["loss"])) for line in lines[1:]]
    assert [step for step, _ in losses] == [50, 100]
    held_out = [(event.step, event.value) for event in events.Scalars("held_out/reverse")]
    assert held_out == [(line["step"], pytest.approx(line["tasks"]["reverse"])) for line in (lines[0], lines[2])]
    assert [event.value for event in events.Scalars("rate")] == pytest.approx([line["rate"] for line in lines])
    monkeypatch.setitem(__import__("sys").modules, "tensorboard", None)
    monkeypatch.delitem(__import__("sys").modules, "torch.utils.tensorboard")
    with pytest.raises(InputError, match=r"need tensorboard\. Install it"):
        Board(tmp_path / "other", 0)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an accelerator")
def test_an_accelerator_trains_in_bfloat16_and_resumes(tmp_path: Path) -> None:
    for stop in (60, None):
        run = train(tiny_pairs(), RECIPE, BudgetClock(steps=120), tmp_path, stop_after=stop)
    assert run.device.type == "cuda"
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < lines[1]["loss"] - 0.3
