"""Plans: what is said from a configuration alone is what a model then takes, and what does not fit is refused with what helps."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import T5Config
from typer.testing import CliRunner

from analyses.cli import app
from analyses.core.registry import ANALYSES
from analyses.runs import plan as plans
from analyses.runs.config import RunConfig
from analyses.runs.plan import Work, check_memory, make_plan, remedy
from analyses.runs.plan_probe import rate_of
from interp.errors import InputError
from interp.model.checkpoints import find_checkpoint, find_configuration
from interp.model.footprint import footprint, kept_bytes, model_without_data, pass_cost
from interp.model.placement import Placement
from interp.prompts import Prompt, PromptSet
from tests.support.models import random_batch, tiny

BUNDLED = find_checkpoint()
PUBLISHED: dict[str, tuple[dict[str, Any], float]] = {
    "t5-3b": ({"d_model": 1024, "d_kv": 128, "d_ff": 16384, "num_layers": 24, "num_heads": 32}, 2.852),
    "flan-t5-xxl": (
        {
            "d_model": 4096,
            "d_kv": 64,
            "d_ff": 10240,
            "num_layers": 24,
            "num_heads": 64,
            "feed_forward_proj": "gated-gelu",
            "tie_word_embeddings": False,
        },
        11.135,
    ),
}
"""Published shapes and their billions of parameters (Raffel et al. 2020; Chung et al. 2022)."""


def folder_of(name: str, tmp_path: Path) -> Path:
    """A folder with the `config.json` of a published shape and nothing else."""
    config = {
        "model_type": "t5",
        "is_encoder_decoder": True,
        "architectures": ["T5ForConditionalGeneration"],
        "vocab_size": 32128,
        "decoder_start_token_id": 0,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "num_decoder_layers": 24,
        **PUBLISHED[name][0],
    }
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize("family", ["t5", "umt5", "bart", "marian", "mbart"])
def test_what_is_computed_from_shapes_is_what_a_model_has(family: str) -> None:
    model = tiny(family)
    batch = random_batch(model)
    source, target = batch.input_ids.shape[1], batch.decoder_input_ids.shape[1]
    _, cache = model.run_with_cache(batch)
    of_a_prompt = sum(tensor.nbytes / tensor.shape[0] for tensor in cache.values())
    assert kept_bytes(model.cfg, list(cache), source, target, torch.float32) == of_a_prompt
    empty = model_without_data(model.hf.config)
    whole = sum(footprint(empty, torch.float32).bytes.values())
    own = next(model.hf.get_output_embeddings().parameters())
    by_hand = 0 if model.tied_embeddings else 4 * own.numel()  # the recipe unties what the configuration ties
    assert whole + by_hand == sum(weight.nbytes for weight in model.parameters())


def test_operations_are_those_of_the_matrix_products() -> None:
    """One T5 by hand: every weight matrix once a token, scores and sums of values, and the unembedding of the target."""
    config = T5Config(
        vocab_size=50,
        d_model=8,
        d_kv=2,
        d_ff=12,
        num_layers=1,
        num_decoder_layers=1,
        num_heads=3,
        decoder_start_token_id=0,
    )
    source, target = 5, 4
    attention, mlp, inner = 8 * 6, 2 * 8 * 12, 3 * 2
    by_hand = source * (4 * attention + mlp) + 2 * source * source * inner
    by_hand += target * (4 * attention + 2 * attention + mlp) + source * 2 * attention
    by_hand += 2 * target * target * inner + 2 * target * source * inner + target * 8 * 50
    cost = pass_cost(model_without_data(config), 1, source, target, torch.float32)
    assert cost.operations == 2 * by_hand
    assert cost.peak >= 4 * target * 50


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_sizes_from_the_configuration_alone(name: str, tmp_path: Path) -> None:
    plan = make_plan(find_configuration(folder_of(name, tmp_path)), Work(prompts=100, twins=0), room=1 << 40)
    assert sum(plan.weights.parameters.values()) / 1e9 == pytest.approx(PUBLISHED[name][1], abs=6e-4)
    half = make_plan(
        find_configuration(tmp_path / "config.json"), Work(prompts=100, twins=0, dtype="bfloat16"), room=1 << 40
    )
    assert 2 * sum(half.weights.bytes.values()) == sum(plan.weights.bytes.values())


def test_the_batch_that_fits_is_the_largest() -> None:
    work = Work(prompts=100, twins=2, analyses=tuple(ANALYSES))
    room = make_plan(BUNDLED, replace(work, batch_size=11), room=1 << 40).peak
    plan = make_plan(BUNDLED, work, room=room)
    assert plan.batch_size == plan.largest_batch == 11
    assert plan.fits
    assert make_plan(BUNDLED, work, room=room - 1).batch_size == 10
    assert not make_plan(BUNDLED, replace(work, batch_size=12), room=room).fits
    assert plan.passes == -(-100 // 11) * (1 + 2 + 1)


def test_time_is_shared_by_workers_and_grows_with_prompts() -> None:
    work = Work(prompts=1000, twins=0)
    one = make_plan(BUNDLED, work, room=1 << 40)
    assert one.seconds(1e9) == pytest.approx(2 * one.operations * 1000 / 1e9)
    assert make_plan(BUNDLED, replace(work, workers=64), room=1 << 40).seconds(1e9) == pytest.approx(
        one.seconds(1e9) / 64
    )


@pytest.mark.parametrize(("twins", "times"), [(0, 3.0), (2, 3.0)])
def test_a_narrow_model_is_in_memory_beside_itself_in_float32(twins: int, times: float) -> None:
    plan = make_plan(BUNDLED, Work(prompts=9, twins=twins, dtype="bfloat16"), Placement(max_memory={"cpu": "8GiB"}))
    assert plan.resident == times * sum(plan.weights.bytes.values())
    on_card = make_plan(BUNDLED, Work(prompts=9, twins=twins, dtype="bfloat16"), Placement(max_memory={0: "8GiB"}))
    assert on_card.resident == (2 if twins else 1) * sum(plan.weights.bytes.values())


def test_what_does_not_fit_is_refused_with_the_option_that_helps(monkeypatch: pytest.MonkeyPatch) -> None:
    config = RunConfig(batch_size=64, twins=2)
    prompts = PromptSet(
        "some", tuple(Prompt(id=str(i), source="translate " * 40, target="word " * 90) for i in range(3)), ""
    )
    plan = make_plan(BUNDLED, plans.work_of(config, prompts), room=1 << 40)
    helps = {
        plan.resident + plan.fixed + 5 * plan.of_a_prompt: "--batch-size 5, or --batch-size auto",
        plan.resident + plan.fixed: "--dtype bfloat16",
        plan.resident // 4: "--device-map auto --offload-folder",
    }
    for room, option in helps.items():
        monkeypatch.setattr(plans, "memory_of", lambda placement, room=room: {"cpu": int(room / 0.9) + 1})
        with pytest.raises(InputError, match="are to be had") as refused:
            check_memory(config, prompts, BUNDLED, None)
        assert option in str(refused.value)


def test_a_device_map_leaves_on_the_disk_what_has_no_room(tmp_path: Path) -> None:
    found = find_configuration(folder_of("flan-t5-xxl", tmp_path))
    work, room = Work(prompts=10, twins=0), 24 << 30
    assert not make_plan(found, work, room=room).fits
    plan = make_plan(found, work, Placement(device_map="auto"), room)
    assert plan.fits
    assert plan.resident + plan.offloaded >= sum(plan.weights.bytes.values())
    assert remedy(make_plan(found, work, Placement(device_map="auto"), 1 << 20), Placement("auto")).startswith(
        "take shorter"
    )


def test_the_rate_is_measured_on_two_layers() -> None:
    assert rate_of(BUNDLED, Work(prompts=1, source=4, target=3), batch_size=1, seconds=0.0) > 0


def test_the_command(tmp_path: Path) -> None:
    file = folder_of("t5-3b", tmp_path) / "config.json"
    words = [
        "plan",
        "--model",
        str(file),
        "--prompts",
        "1000",
        "--twins",
        "0",
        "--rate",
        "40000",
        "--max-memory",
        "0=24GiB",
    ]
    done = CliRunner().invoke(app, words)
    assert done.exit_code == 0, done.output
    assert "2,851.6 M, 10.62 GiB" in done.output
    assert "The time is computed from the rate given." in done.output
    assert done.output.endswith("It fits.\n")
    refused = CliRunner().invoke(app, [*words[:-1], "0=8GiB"])
    assert refused.exit_code == 1
    assert "--dtype bfloat16" in refused.output
    assert CliRunner().invoke(app, ["plan", "--batch-size", "none"]).exit_code == 2
