"""Choices on the command line beside those of the run file: settings, columns, and what is said before a run begins."""

from pathlib import Path

import pytest
import yaml
from typer.testing import CliRunner

from analyses.cli import app
from analyses.commands import messages
from analyses.runs.config import RunConfig
from analyses.runs.expectation import expectation, expected_seconds
from analyses.runs.run_file import read_settings
from interp.errors import InputError
from interp.model.checkpoints import find_checkpoint


def dry(*flags: str) -> dict[str, object]:
    done = CliRunner().invoke(app, ["run", "--dry-run", *flags])
    assert done.exit_code == 0, done.stderr
    found: dict[str, object] = yaml.safe_load(done.stdout)
    return found


def test_settings_are_set_on_the_command_line_and_win_over_the_file(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text("settings:\n  head_specialization: {resamples: 300, draws: 20}\n")
    set_one = ("--set", "head_specialization.resamples=200", "--set", "head_specialization.importance=[zero, mean]")
    found = dry("--config", str(tmp_path / "run.yaml"), *set_one)
    assert found["settings"] == {"head_specialization": {"resamples": 200, "draws": 20, "importance": ["zero", "mean"]}}
    assert dry("--source-column", "text", "--prompts", "x.csv")["source_column"] == "text"


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("resamples=3", "analysis.name=value"),
        ("head_specialization.resamples=3", "not allowed"),
        ("head_specialization.resample=300", "did you mean 'resamples'"),
        ("head_specialisation.resamples=300", "did you mean 'head_specialization'"),
        ("head_specialization.prefix=[", "no YAML"),
    ],
)
def test_a_setting_that_cannot_be_is_one_sentence(setting: str, message: str) -> None:
    done = CliRunner().invoke(app, ["run", "--dry-run", "--set", setting])
    assert (done.exit_code, done.stdout) == (2, "")
    assert message in done.stderr


def test_a_setting_given_twice_is_refused() -> None:
    with pytest.raises(InputError, match="twice"):
        read_settings(["a.b=1", "a.b=2"])
    assert read_settings(["a.b=x=y", "a.c="]) == {"a": {"b": "x=y", "c": None}}


def test_a_run_says_how_long_it_takes_and_what_makes_it_shorter() -> None:
    checkpoint = find_checkpoint()
    told = expectation(RunConfig(), 64, checkpoint)
    assert all(option in told for option in ("--limit", "--twins", "--analyses", "64 prompts", "5 untrained twins"))
    little = RunConfig(twins=2, analyses=("embedding_geometry",))
    assert "shorter" not in expectation(little, 4, checkpoint)
    assert expected_seconds(little, 4, checkpoint) < expected_seconds(RunConfig(), 64, checkpoint)
    assert expected_seconds(RunConfig(), 64, checkpoint) < expected_seconds(RunConfig(), 640, checkpoint)


def test_columns_need_a_file() -> None:
    done = CliRunner().invoke(app, ["run", "--source-column", "x"])
    assert (done.exit_code, done.stdout) == (2, "")
    assert "--source-column" in done.stderr


def test_progress_speaks_in_lines_where_there_is_no_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [0.0]
    monkeypatch.setattr(messages.time, "monotonic", lambda: clock[0])
    with messages.progress_bar(quiet=False) as tell:
        for now, what in [(1, "a"), (11, "a"), (12, "a"), (13, "b"), (20, "b"), (44, "b"), (60, "b")]:
            clock[0] = float(now)
            tell(what, 1, 2)
    lines = capsys.readouterr().err.splitlines()
    assert [line.split()[0] for line in lines] == ["11", "13", "44"]
    with messages.progress_bar(quiet=True) as tell:
        clock[0] = 1000.0
        tell("c", 1, 2)
    assert capsys.readouterr().err == ""
