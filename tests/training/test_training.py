"""The recipe of the bundled model, end to end on twenty sentences: training, resuming, warm start, export and card."""

import gzip
import hashlib
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, T5ForConditionalGeneration

from interp.errors import InputError
from interp.text.translation_pairs import TranslationPair, read_pairs
from tests.support.paths import ROOT
from tests.support.toy_pairs import RECIPE, tiny_pairs
from training.clock import BudgetClock
from training.curve import draw, read_log
from training.export import export, read_recipe
from training.run import Run
from training.train import train

pytestmark = pytest.mark.slow


def write_pairs(path: Path, pairs: tuple[TranslationPair, ...]) -> Path:
    text = "".join(f"{pair.corpus}\t{pair.language}\t{pair.source}\t{pair.target}\n" for pair in pairs)
    path.write_bytes(gzip.compress(text.encode()) if path.suffix == ".gz" else text.encode())
    return path


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
    run = train(tiny_pairs(), grown, BudgetClock(steps=10), tmp_path / "run", start=start, stop_after=0)
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
    with pytest.raises(InputError, match="has d_ff 24, but the recipe asks for 32"):
        train(tiny_pairs(), replace(grown, d_ff=32), BudgetClock(steps=10), tmp_path / "other", start=start)


def test_a_card_tells_how_the_weights_came_to_be_that_a_run_started_from(finished: Run, tmp_path: Path) -> None:
    start, folder = tmp_path / "start", tmp_path / "run"
    export(finished.folder, tiny_pairs(), start, "float32", "")
    train(tiny_pairs(), RECIPE, BudgetClock(steps=50), folder, start=start)
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


def test_the_loss_curve_is_drawn_the_same_every_time(finished: Run, tmp_path: Path) -> None:
    curve = read_log(finished.folder / "log.jsonl")
    draw(curve, tmp_path / "a.svg")
    draw(curve, tmp_path / "b.svg")
    assert (tmp_path / "a.svg").read_bytes() == (tmp_path / "b.svg").read_bytes()
    assert "optimizer steps" in (tmp_path / "a.svg").read_text()
    with pytest.raises(InputError, match="no loss logged"):
        read_log(tmp_path / "log.jsonl")
