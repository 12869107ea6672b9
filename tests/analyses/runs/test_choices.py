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
    (tmp_path / "x.csv").write_text("text\nA dog.\n")
    assert dry("--source-column", "text", "--prompts", str(tmp_path / "x.csv"))["source_column"] == "text"


UNUSABLE = {
    "--model": ["/etc/passwd", "none/such/model", "nobody/nothing-at-all", "./none", "/", "EMPTY", "PICKLED"],
    "--prompts": ["nope", "none.txt", "TWICE", "WORDS"],
    "--out": ["/", "FULL", "PICKLED/config.json"],
    "--sign": ["/nope", "FULL/notes.txt"],
    "--revision": ["main"],
    "--prefix": ["read this: "],
    "--source-column": ["text"],
}


@pytest.mark.parametrize(("option", "value"), [(option, value) for option, all in UNUSABLE.items() for value in all])
def test_a_dry_run_refuses_what_the_run_would_by_the_same_sentence(
    option: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("EMPTY", "FULL", "PICKLED"):
        (tmp_path / name).mkdir()
    (tmp_path / "FULL" / "notes.txt").write_text("mine")
    (tmp_path / "PICKLED" / "config.json").write_bytes((find_checkpoint().folder / "config.json").read_bytes())
    (tmp_path / "PICKLED" / "pytorch_model.bin").write_bytes(b"x")
    (tmp_path / "TWICE.tsv").write_text("source\tsource\na\tb\n")
    (tmp_path / "WORDS.jsonl").write_text('{"source": "The dog runs.", "source_words": "The dog"}\n')
    given = value + {"TWICE": ".tsv", "WORDS": ".jsonl"}.get(value, "")
    before = sorted(tmp_path.rglob("*"))
    dry_run, real = (
        CliRunner().invoke(app, ["run", option, given, *more]) for more in (["--dry-run"], ["--twins", "2"])
    )
    assert (dry_run.exit_code, dry_run.stdout, real.exit_code, real.stdout) == (2, "", 2, "")
    assert dry_run.stderr == real.stderr
    assert len(dry_run.stderr.splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


def test_a_dry_run_leaves_standard_input_to_the_run() -> None:
    assert dry("--prompts", "-")["prompts"] == "-"


def test_all_analyses_may_be_named_twice_and_beside_others(tmp_path: Path) -> None:
    assert dry("--analyses", "all,all") == dry("-a", "all") == dry("-a", "circuits, all")
    (tmp_path / "run.yaml").write_text("analyses: [all, circuits]\n")
    assert dry("-c", str(tmp_path / "run.yaml")) == dry("-a", "all")
    done = CliRunner().invoke(app, ["run", "--dry-run", "-a", "all,circuit"])
    assert (done.exit_code, "No analysis is called 'circuit' (did you mean 'circuits'?)" in done.stderr) == (2, True)


@pytest.mark.parametrize("words", [["trace", "none"], ["compare-models", "none/of/these", "bundled", "--out", "OUT"]])
def test_all_is_known_wherever_analyses_are_named(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, [*words, "--analyses", "all"])
    assert done.exit_code == 2
    assert "none" in done.stderr
    assert "analysis" not in done.stderr


def test_a_plan_knows_all_analyses() -> None:
    words = ["plan", "--no-probe", "-b", "2", "--max-memory", "cpu=4GiB"]  # what is free changes from one to the next
    planned = [CliRunner().invoke(app, [*words, "-a", names]) for names in ("all", "all,circuits")]
    assert planned[0].exit_code == 0, planned[0].stderr
    assert planned[0].stdout == planned[1].stdout


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
