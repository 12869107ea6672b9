"""Commands about languages, prefixes, beams and pipes, as a user types them."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from analyses.cli import app
from analyses.runs.config import make_config
from analyses.runs.run_file import read_choices
from interp.errors import InputError
from tests.support.paths import ROOT
from tests.support.zoo import Home

pytestmark = pytest.mark.filterwarnings("ignore:Recommended. pip install sacremoses")
SOURCE = "translate English to German: The dog sleeps."


def call(*arguments: str, expected: int = 0) -> str:
    done = CliRunner().invoke(app, list(arguments))
    assert done.exit_code == expected, done.output
    return done.output


def test_beam_search_prints_every_hypothesis_with_its_score() -> None:
    lines = call("generate", "--method", "beam", "--beams", "3", "--top", "0", SOURCE).splitlines()
    assert lines[0] == "Der Hund schläft."
    scores = [float(line.split()[0]) for line in lines[1:]]
    assert len(scores) == 3
    assert scores == sorted(scores, reverse=True)


def test_a_target_prefix_is_gone_on_from() -> None:
    assert call("generate", "--top", "0", "--target-prefix", "Ein Hund", SOURCE).strip() == "Ein Hund schläft."


def test_what_would_be_ignored_is_refused(home: Home) -> None:
    assert "top_k=5 is read by the method 'sampling' alone" in call("generate", "--top-k", "5", SOURCE, expected=2)
    out = call("heads", "--revision", "main", "--model", str(home("t5-added")), expected=2)
    assert "is a branch, tag or commit of a hub id" in out


def test_a_reader_that_has_enough_is_no_failure() -> None:
    command = [sys.executable, "-m", "analyses.cli", "list", "hooks"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=ROOT, text=True) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == ""


def test_no_limit_is_said_in_a_word() -> None:
    lines = call("model").splitlines()
    assert next(line for line in lines if line.startswith("max_positions")).split() == ["max_positions", "unbounded"]


@pytest.mark.parametrize("choice", ["limit", "seed", "twins", "batch_size", "pages", "max_length", "prompts"])
def test_true_is_no_number(choice: str, tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(f"{choice}: true\n", encoding="utf-8")
    with pytest.raises(InputError, match=rf"{choice} = True is not allowed as choice: a truth value is no number"):
        make_config(**read_choices(tmp_path / "run.yaml"))


@pytest.mark.slow
def test_cross_heads_alone_are_printed(home: Home, tmp_path: Path) -> None:
    """No head of a random model has a role, so that the frame of roles is empty."""
    rows = [
        {"source": f"translate English to German: {text}"}
        for text in ("A cat.", "The old man.", "A dog sleeps.", "No.")
    ]
    (tmp_path / "p.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    arguments = ["-p", str(tmp_path / "p.jsonl"), "--twins", "2", "--sample", "2", "-q", "--kind", "cross"]
    assert "XL" in call("heads", "--model", str(home("t5-added")), *arguments)
