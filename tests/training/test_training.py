"""The recipe of the bundled model, end to end on twenty sentences: training, resuming, warm start, export and card."""

import hashlib
import json
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, T5ForConditionalGeneration

from interp.errors import InputError
from interp.text.translation_pairs import read_pairs
from tests.support.paths import ROOT
from tests.support.toy_pairs import RECIPE, tiny_pairs, write_pairs
from training.checkpoints import read_recipe
from training.clock import BudgetClock
from training.curve import draw, read_log
from training.data import Example, collate
from training.export import export
from training.objective import batch_loss
from training.prepare import Start, prepare
from training.run import Run
from training.train import train
from training.workers import Workers

pytestmark = pytest.mark.slow


def weights(run: Run) -> torch.Tensor:
    return torch.cat([parameter.detach().flatten() for parameter in run.model.parameters()])


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Run:
    folder = tmp_path_factory.mktemp("finished")
    return train(tiny_pairs(), RECIPE, BudgetClock(steps=120), folder)


def test_loss_falls_and_resuming_gives_the_weights_of_an_uninterrupted_run(finished: Run, tmp_path: Path) -> None:
    curve = read_log(finished.folder / "log.jsonl")
    assert curve.steps == (50, 100, 120)
    assert curve.losses[-1] < curve.losses[0] - 0.5
    for stop in (17, 50, 71, None):
        resumed = train(tiny_pairs(), RECIPE, BudgetClock(steps=120), tmp_path, stop_after=stop)
    assert torch.equal(weights(resumed), weights(finished))
    assert read_log(tmp_path / "log.jsonl").losses == curve.losses


def test_log_lines_after_the_checkpoint_are_written_once(tmp_path: Path) -> None:
    train(tiny_pairs(), RECIPE, BudgetClock(steps=120), tmp_path, stop_after=40)
    log = tmp_path / "log.jsonl"
    lost = {"step": 50, "seconds": 1.0, "epoch": 0, "progress": 0.4, "loss": 9.0, "held_out": None}
    log.write_text(json.dumps(lost) + "\n")
    train(tiny_pairs(), RECIPE, BudgetClock(steps=120), tmp_path, stop_after=60)
    curve = read_log(log)
    assert curve.steps == (50,)
    assert curve.losses[0] < 9.0


def test_another_recipe_in_the_folder_is_refused(finished: Run) -> None:
    with pytest.raises(InputError, match=r"holds a run of another recipe .* Choose another folder"):
        train(tiny_pairs(), replace(RECIPE, seed=1), BudgetClock(steps=120), finished.folder)


def test_export_reloads_with_plain_transformers_and_the_card_tells_its_files(finished: Run, tmp_path: Path) -> None:
    card = export(finished.folder, tiny_pairs(), tmp_path, "bfloat16", "python -m training.train --steps 120")
    model, tokenizer = T5ForConditionalGeneration.from_pretrained(tmp_path), AutoTokenizer.from_pretrained(tmp_path)
    assert model.dtype == torch.float32
    for name, parameter in finished.model.named_parameters():
        assert torch.equal(model.get_parameter(name), parameter.bfloat16().float()), name
    assert tokenizer.model_max_length == 128
    assert tokenizer.convert_ids_to_tokens([0, 1, 2, 167, 68]) == [
        "<pad>",
        "</s>",
        "<unk>",
        "<extra_id_0>",
        "<extra_id_99>",
    ]
    assert model.generation_config.max_new_tokens == 128
    listed = dict(reversed(line.split()) for line in (tmp_path / "sha256.txt").read_text().splitlines())
    assert set(listed) == {path.name for path in tmp_path.iterdir()} - {"sha256.txt"}
    assert all(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == digest for name, digest in listed.items())
    text = (tmp_path / "MODEL_CARD.md").read_text()
    assert f"| toy | de | 10 | {card.scores[0].bleu:.1f} | {card.scores[0].chrf:.1f} |" in text
    assert listed["model.safetensors"] in text
    assert "120 steps" in text
    assert card.scores[0].bleu_signature in text
    assert read_recipe(finished.folder) == RECIPE


def test_a_warm_start_keeps_known_pieces_and_averages_the_parts_of_new_ones(finished: Run, tmp_path: Path) -> None:
    start = tmp_path / "start"
    export(finished.folder, tiny_pairs(), start, "float32", "")
    grown = replace(RECIPE, vocabulary=176)
    run = train(tiny_pairs(), grown, BudgetClock(steps=10), tmp_path / "run", start=Start(start), stop_after=0)
    old, new = AutoTokenizer.from_pretrained(start), AutoTokenizer.from_pretrained(tmp_path / "run" / "tokenizer")
    before, after = finished.model.shared.weight, run.model.shared.weight
    added = [piece for piece in new.get_vocab() if piece not in old.get_vocab()]
    assert len(added) == 8
    for piece, row in new.get_vocab().items():
        parts = [piece] if piece in old.get_vocab() else old.tokenize(piece.removeprefix("▁"))
        expected = before[old.convert_tokens_to_ids(parts)].mean(0)
        torch.testing.assert_close(after[row], expected, msg=piece)
    layer = "decoder.block.0.layer.1.EncDecAttention.q.weight"
    assert torch.equal(run.model.get_parameter(layer), finished.model.get_parameter(layer))
    for field, value, message in (
        ("d_kv", 8, "has d_kv 4, but the recipe asks for 8. Make them equal"),
        ("d_ff", 16, "has d_ff 24, but the recipe asks for 16. Raise d_ff"),
    ):
        other = replace(grown, **{field: value})
        with pytest.raises(InputError, match=message):
            train(tiny_pairs(), other, BudgetClock(steps=10), tmp_path / field, start=Start(start))


def test_a_widened_start_computes_what_it_did_and_its_new_neurons_learn(finished: Run, tmp_path: Path) -> None:
    start, wider = tmp_path / "start", replace(RECIPE, d_ff=40)
    export(finished.folder, tiny_pairs(), start, "float32", "")
    run = train(tiny_pairs(), wider, BudgetClock(steps=30), tmp_path / "run", start=Start(start), stop_after=0)
    batch = collate([Example((5, 6, 7, 1), (8, 9, 1))], torch.device("cpu"))
    before, after = finished.model.eval(), run.model.eval()
    torch.testing.assert_close(batch_loss(after, batch, 0.0), batch_loss(before, batch, 0.0))
    finished.model.train()
    (writing,) = (
        module for name, module in after.named_modules() if name == "encoder.block.0.layer.1.DenseReluDense.wo"
    )
    assert writing.weight.shape == (16, 40)
    assert not writing.weight[:, 24:].any()
    reading = after.get_parameter("encoder.block.0.layer.1.DenseReluDense.wi.weight")[24:]
    assert reading.std().item() == pytest.approx(16**-0.5, rel=0.3)
    trained = train(tiny_pairs(), wider, BudgetClock(steps=30), tmp_path / "run")
    assert trained.model.get_parameter("encoder.block.0.layer.1.DenseReluDense.wo.weight")[:, 24:].all()


def test_a_run_goes_on_without_its_start_and_from_a_recipe_of_fewer_fields(finished: Run, tmp_path: Path) -> None:
    start, folder = tmp_path / "start", tmp_path / "run"
    export(finished.folder, tiny_pairs(), start, "float32", "")
    train(tiny_pairs(), RECIPE, BudgetClock(steps=20), folder, start=Start(start), stop_after=10)
    told = json.loads((folder / "origin.json").read_text())
    shutil.rmtree(start)
    fields = json.loads((folder / "recipe.json").read_text())
    del fields["labels"]  # What a run of before that field wrote.
    (folder / "recipe.json").write_text(json.dumps(fields))
    assert train(tiny_pairs(), RECIPE, BudgetClock(steps=20), folder, start=Start(start)).clock.taken == 20
    assert json.loads((folder / "origin.json").read_text()) == told
    assert told["start_sha256"] is not None
    with pytest.raises(InputError, match="holds a run on other pairs"):
        train(tiny_pairs()[:10], RECIPE, BudgetClock(steps=20), folder)


def test_a_control_run_learns_from_shuffled_pairs_and_is_measured_on_true_ones(tmp_path: Path) -> None:
    plain = train(tiny_pairs(50), RECIPE, BudgetClock(steps=30), tmp_path / "plain")
    control = train(tiny_pairs(50), replace(RECIPE, shuffled=True), BudgetClock(steps=30), tmp_path / "control")
    assert not torch.equal(weights(plain), weights(control))
    rows = [
        [json.loads(line) for line in (run.folder / "log.jsonl").read_text().splitlines()] for run in (plain, control)
    ]
    assert rows[0][0]["held_out"] == rows[1][0]["held_out"]


def test_kept_moments_are_folders_that_transformers_loads(tmp_path: Path) -> None:
    recipe = replace(RECIPE, labels=0.5)
    for stop in (5, None):
        run = train(tiny_pairs(), recipe, BudgetClock(steps=20), tmp_path, stop_after=stop, keep_from=3)
    kept = {path.name for path in tmp_path.glob("step-*")}
    assert kept == {"step-0", "step-3", "step-6", "step-12", "step-20"}
    torch.manual_seed(recipe.seed)
    first = T5ForConditionalGeneration(recipe.config())
    for name, model in (("step-0", first), ("step-20", run.model)):
        loaded = T5ForConditionalGeneration.from_pretrained(tmp_path / name)
        assert torch.equal(loaded.shared.weight, model.shared.weight.bfloat16().float()), name
    assert len(AutoTokenizer.from_pretrained(tmp_path / "step-3")) == recipe.vocabulary


def test_the_log_tells_the_held_out_loss_of_every_task_from_the_start(tmp_path: Path) -> None:
    recipe = replace(RECIPE, labels=0.5, infills=0.5, lower_prefixes=0.2)
    run = train(tiny_pairs(50), recipe, BudgetClock(steps=10), tmp_path)
    rows = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [row["step"] for row in rows] == [0, 10]
    assert rows[0]["loss"] is None
    assert set(rows[0]["tasks"]) == {"lower", "reverse", "spans", "infills", "labels"}
    assert all(0 < loss < 20 for row in rows for loss in (row["held_out"], *row["tasks"].values()))
    assert rows[1]["held_out"] < rows[0]["held_out"]
    assert read_log(tmp_path / "log.jsonl").steps == (10,)
    assert run.clock.taken == 10


def test_a_card_tells_how_the_weights_came_to_be_that_a_run_started_from(finished: Run, tmp_path: Path) -> None:
    start, folder = tmp_path / "start", tmp_path / "run"
    export(finished.folder, tiny_pairs(), start, "float32", "")
    train(tiny_pairs(), RECIPE, BudgetClock(steps=50), folder, start=Start(start))
    with pytest.raises(InputError, match="started from other weights; say in --before how they came to be"):
        export(folder, tiny_pairs(), tmp_path / "out", "bfloat16", "")
    card = export(folder, tiny_pairs(), tmp_path / "out", "bfloat16", "", "120 steps from fresh weights.")
    assert f"From the weights with SHA-256 {card.origin.start_sha256}, 50 more steps" in card.render()
    assert "How those came to be: 120 steps from fresh weights." in card.render()


def test_two_processes_take_the_step_of_one(tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "pairs.tsv", tiny_pairs())
    settings = {**RECIPE.__dict__, "dropout": 0.0}
    words = ["--train", str(data), "--steps", "20", "--threads", "1"]
    words += [word for name, value in settings.items() for word in ("--set", f"{name}={json.dumps(value)}")]
    one = [sys.executable, "-m", "training.train"]
    two = [
        sys.executable,
        "-m",
        "torch.distributed.run",
        "--standalone",
        "--nproc-per-node",
        "2",
        "-m",
        "training.train",
    ]
    for name, command in (("one", one), ("two", two)):
        done = subprocess.run(
            [*command, *words, "--runs", str(tmp_path / name)], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
    states = [torch.load(tmp_path / name / "checkpoint.pt", weights_only=True) for name in ("one", "two")]
    assert [len(state["generators"]) for state in states] == [1, 2]
    for name, value in states[0]["model"].items():
        torch.testing.assert_close(states[1]["model"][name], value, rtol=1e-3, atol=1e-3)
    with pytest.raises(InputError, match="written by 2 processes, but this run has 1"):
        train(read_pairs(data), replace(RECIPE, dropout=0.0), BudgetClock(steps=20), tmp_path / "two")


def test_every_process_has_looked_into_the_folder_before_the_first_writes(tmp_path: Path) -> None:
    held: list[list[str]] = []

    class Watching(Workers):
        def wait(self) -> None:
            held.append(sorted(path.name for path in tmp_path.iterdir()))

    prepare(tiny_pairs(), RECIPE, BudgetClock(steps=1), tmp_path, None, Watching())
    assert held == [[], ["config.json", "origin.json", "recipe.json", "tokenizer"]]


def test_the_loss_curve_is_drawn_the_same_every_time(finished: Run, tmp_path: Path) -> None:
    curve = read_log(finished.folder / "log.jsonl")
    draw(curve, tmp_path / "a.svg")
    draw(curve, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "optimizer steps" in (tmp_path / "a.svg").read_text()
    with pytest.raises(InputError, match="no loss logged"):
        read_log(tmp_path / "log.jsonl")
