"""Starts of the recipe other than fresh weights of the default: fine-tuning any T5, version 1.1's shape."""

import json
import math
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from transformers import AutoTokenizer, ByT5Tokenizer, T5ForConditionalGeneration

from interp.errors import InputError
from tests.support.models import tiny_hf
from tests.support.paths import ROOT
from tests.support.toy_pairs import RECIPE, tiny_pairs, write_pairs
from training.clock import BudgetClock
from training.export import write_checkpoint
from training.prepare import Start
from training.run import Run
from training.tasks import Encoder, Mixture
from training.train import train

BUDGET = 30


@pytest.fixture(scope="module")
def v11(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny T5 of version 1.1 (gated, untied, two and three layers) with a tokenizer of bytes."""
    folder = tmp_path_factory.mktemp("v11")
    tiny_hf("byt5").save_pretrained(folder)
    ByT5Tokenizer().save_pretrained(folder)
    return folder


def tuned(folder: Path, start: Path, stop: int | None = None, **changes: object) -> Run:
    recipe = replace(RECIPE, tokens_per_batch=1000, peak_rate=0.05, **changes)
    return train(
        tiny_pairs(), recipe, BudgetClock(BUDGET), folder, Start(start, as_it_is=True), stop_after=stop, keep_from=8
    )


def test_fine_tuning_keeps_shape_tokenizer_and_the_untied_output_layer(v11: Path, tmp_path: Path) -> None:
    before = T5ForConditionalGeneration.from_pretrained(v11)
    run = tuned(tmp_path, v11, stop=0)
    for (name, ours), theirs in zip(run.model.named_parameters(), before.parameters(), strict=True):
        assert torch.equal(ours, theirs), name
    run = tuned(tmp_path, v11)
    first, last = (T5ForConditionalGeneration.from_pretrained(tmp_path / name) for name in ("step-8", f"step-{BUDGET}"))
    assert last.config.num_layers == 2
    assert last.config.num_decoder_layers == 3
    assert not last.config.scale_decoder_outputs
    assert not torch.equal(last.lm_head.weight, last.shared.weight)
    assert not torch.equal(last.lm_head.weight, first.lm_head.weight)
    assert torch.equal(last.lm_head.weight, run.model.lm_head.weight.bfloat16().float())
    text = "The goat is on the table. äöü"
    assert AutoTokenizer.from_pretrained(tmp_path / "step-8")(text) == ByT5Tokenizer()(text)
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < 5
    assert run.recipe.d_model == 24
    assert run.recipe.feed_forward == "gated-gelu"
    write_checkpoint(tmp_path, tmp_path / "out", "float32")
    out = T5ForConditionalGeneration.from_pretrained(tmp_path / "out")
    for (name, ours), theirs in zip(run.model.named_parameters(), out.parameters(), strict=True):
        assert torch.equal(ours, theirs), name


def test_fine_tuning_goes_on_when_its_start_is_gone(v11: Path, tmp_path: Path) -> None:
    start = tmp_path / "start"
    shutil.copytree(v11, start)
    whole = tuned(tmp_path / "whole", start)
    tuned(tmp_path / "parts", start, stop=11)
    shutil.rmtree(start)
    parts = tuned(tmp_path / "parts", start)
    for one, other in zip(whole.model.parameters(), parts.model.parameters(), strict=True):
        assert torch.equal(one, other)


def test_span_corruption_uses_the_sentinels_of_the_tokenizer_that_is_kept(v11: Path, tmp_path: Path) -> None:
    tuned(tmp_path / "run", v11, stop=1, spans=1.0)
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "run" / "tokenizer")
    recipe = replace(RECIPE, spans=1.0, joined_spans=1.0, reverse=False)
    *_, spans = Mixture(tiny_pairs(), recipe, Encoder(tokenizer)).epoch(0)
    assert len(spans) == 20
    first, second = tokenizer.convert_tokens_to_ids(["<extra_id_0>", "<extra_id_1>"])
    assert (first, second) == (259, 260)  # Bytes have ascending ones.
    for example in spans:
        assert example.target[0] == first
        assert [token for token in example.source if token > 258] == [token for token in example.target if token > 258][
            : sum(token > 258 for token in example.source)
        ]
    start = tmp_path / "start"
    tiny_hf("byt5").save_pretrained(start)
    ByT5Tokenizer(extra_ids=0).save_pretrained(start)
    with pytest.raises(InputError, match=r"needs sentinels, but the tokenizer has 0\. Set spans to 0"):
        tuned(tmp_path / "other", start, spans=1.0)


def test_what_cannot_be_fine_tuned_is_refused(v11: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"no config\.json in"):
        tuned(tmp_path / "a", tmp_path)
    tiny_hf("mt5").save_pretrained(tmp_path / "mt5")
    with pytest.raises(InputError, match=r"is of type 'mt5'\. Only a T5"):
        tuned(tmp_path / "b", tmp_path / "mt5")
    (tmp_path / "empty").mkdir()
    shutil.copy(v11 / "config.json", tmp_path / "empty")
    with pytest.raises(InputError, match="There are no weights in"):
        tuned(tmp_path / "c", tmp_path / "empty")


def test_a_shape_of_version_1_1_is_trained_from_fresh_weights(tmp_path: Path) -> None:
    recipe = replace(RECIPE, feed_forward="gated-gelu", tied=False)
    for stop in (20, None):
        run = train(tiny_pairs(), recipe, BudgetClock(steps=40), tmp_path, stop_after=stop, keep_from=20)
    assert recipe.parameters() == sum(parameter.numel() for parameter in run.model.parameters())
    assert run.model.lm_head.weight is not run.model.shared.weight
    loaded = T5ForConditionalGeneration.from_pretrained(tmp_path / "step-40")
    assert torch.equal(loaded.lm_head.weight, run.model.lm_head.weight.bfloat16().float())
    assert not loaded.config.scale_decoder_outputs
    assert loaded.config.is_gated_act
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1]["loss"] < math.log(recipe.vocabulary) - 0.1
    with pytest.raises(InputError, match="Only a T5 with a tied output layer can be grown"):
        train(tiny_pairs(), recipe, BudgetClock(steps=40), tmp_path / "grown", Start(tmp_path / "step-40"))


@pytest.mark.slow
def test_the_command_fine_tunes_and_names_sizes(v11: Path, tmp_path: Path) -> None:
    data = write_pairs(tmp_path / "pairs.tsv", tiny_pairs())

    def command(*words: str) -> subprocess.CompletedProcess[str]:
        given = ["--train", str(data), "--runs", str(tmp_path / "run"), "--steps", "2", "--threads", "1", *words]
        return subprocess.run(
            [sys.executable, "-m", "training.train", *given], cwd=ROOT, capture_output=True, text=True, check=False
        )

    done = command("--fine-tune", str(v11), "--set", "repeats=[]", "--keep-from", "1")
    assert done.returncode == 0, done.stderr
    assert {path.name for path in (tmp_path / "run").glob("step-*")} == {"step-0", "step-1", "step-2"}
    refused = command("--fine-tune", str(v11), "--set", "d_ff=16")
    assert refused.returncode == 2
    assert "decides its shape. Leave out --set d_ff=16" in refused.stderr
    assert "invalid choice: 'huge'" in command("--size", "huge").stderr
    other = command("--size", "tiny")
    assert "holds a run of another recipe" in other.stderr
