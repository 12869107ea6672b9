"""Run files: flags over file over defaults, every misspelt key met with the nearest, and a dry run that only prints."""

from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner

from analyses.cli import app
from analyses.runs.config import RunConfig
from analyses.runs.run_file import read_choices, resolve
from interp.errors import InputError


def file_of(folder: Path, text: str) -> Path:
    path = folder / "run.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def complain(sentence: str) -> None:
    raise AssertionError(sentence)


def resolved(path: Path | None, settings: dict[str, Any] | None = None, **flags: Any) -> RunConfig:
    return resolve(path, flags, settings or {}, complain)


def dry(*words: str) -> dict[str, Any]:
    result = CliRunner().invoke(app, ["run", "--dry-run", *words])
    assert result.exit_code == 0, result.stderr
    assert result.stderr == ""
    found: dict[str, Any] = yaml.safe_load(result.stdout)
    return found


def test_flags_win_over_the_file_and_the_file_over_the_defaults(tmp_path: Path) -> None:
    path = file_of(tmp_path, "seed: 3\ntwins: 7\nprompts: references\n")
    config = resolved(path, seed=0)
    assert (config.seed, config.twins, config.prompts, config.batch_size) == (0, 7, "references", 16)


def test_on_the_command_line_a_flag_with_its_default_value_wins_too(tmp_path: Path) -> None:
    path = file_of(tmp_path, "seed: 3\ntwins: 7\nmodel: some/model\n")
    found = dry("--config", str(path), "--seed", "0", "-m", "bundled")
    assert (found["seed"], found["twins"], found["model"]) == (0, 7, "bundled")


def test_a_dry_run_prints_a_run_file_and_does_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "deep").mkdir()
    (tmp_path / "deep" / "mine.txt").write_text("A dog.\n")
    found = dry("--prompts", "deep/mine.txt", "--analyses", "logit_attribution", "--limit", "4")
    assert found == RunConfig(prompts="deep/mine.txt", analyses=("logit_attribution",), limit=4).model_dump(mode="json")
    assert [path.name for path in tmp_path.rglob("*")] == ["deep", "mine.txt"]
    again = file_of(tmp_path, yaml.safe_dump(found))
    assert dry("-c", str(again)) == found


def test_the_configuration_that_a_run_keeps_is_a_run_file(tmp_path: Path) -> None:
    settings = {"head_specialization": {"probe_seed": 3}}
    config = RunConfig(model="google-t5/t5-small", seed=5, twins=2, settings=settings)
    path = file_of(tmp_path, config.to_yaml())
    assert resolved(path) == config
    assert config.command() == "interp run --config config.yaml"


def test_settings_of_the_command_line_replace_those_of_the_file(tmp_path: Path) -> None:
    path = file_of(tmp_path, "settings:\n  head_specialization: {probe_seed: 3, resamples: 500}\n")
    config = resolved(path, {"head_specialization": {"probe_seed": 4}})
    assert config.settings == {"head_specialization": {"probe_seed": 4, "resamples": 500}}


def test_settings_that_no_analysis_reads_are_refused_unless_a_flag_left_their_analysis_out(tmp_path: Path) -> None:
    text = "analyses: [{}]\nsettings:\n  head_specialization: {{probe_seed: 3}}\n"
    unread = file_of(tmp_path, text.format("circuits"))
    with pytest.raises(InputError, match="Settings of head_specialization are given, and the analyses are circuits;"):
        resolved(unread)
    with pytest.raises(InputError, match="add circuits to --analyses"):
        resolved(None, {"circuits": {"check": 3}})
    read = file_of(tmp_path, text.format("head_specialization, circuits"))
    assert resolved(read, analyses="circuits").analyses == ("circuits",)


def test_analyses_may_be_one_text(tmp_path: Path) -> None:
    path = file_of(tmp_path, "analyses: logit_attribution, head_specialization\n")
    assert resolved(path).analyses == ("head_specialization", "logit_attribution")


def test_an_empty_file_chooses_nothing(tmp_path: Path) -> None:
    assert resolved(file_of(tmp_path, "# nothing yet\n")) == RunConfig()
    assert resolved(file_of(tmp_path, "revision: null\nlimit:\n")) == RunConfig()


BAD = {
    "seeed: 1\n": "no choice 'seeed' (did you mean 'seed'?)",
    "Batch-Size: 1\n": "did you mean 'batch_size'",
    "seeed:\n": "did you mean 'seed'",
    "1: 2\n": "no choice '1'",
    "seed: 1\nseed: 2\n": "line 1 is no YAML: key 'seed' appears twice",
    "seed: [1\n": "is no YAML",
    "- seed\n": "holds a list",
    "seed\n": "holds a str",
    "seed: many\n": "seed = 'many' is not allowed",
    "seed: -1\n": "seed = -1 is not allowed",
    "twins: 1.5\n": "twins = 1.5 is not allowed",
    "device: gpu\n": "device = 'gpu' is not allowed",
    "analyses: [head_specialisation]\n": "did you mean 'head_specialization'",
    "analyses: []\n": "No analysis was chosen",
    "analyses: {a: 1}\n": "analyses = {'a': 1} is not allowed",
    "settings: {head_specialisation: {}}\n": "did you mean 'head_specialization'",
    "settings: {head_specialization: {prob_seed: 1}}\n": "did you mean 'probe_seed'",
    "settings: {head_specialization: {probe_seed: -1}}\n": "probe_seed = -1 is not allowed as setting of head_specialization",
    "settings: {head_specialization: 3}\n": "settings.head_specialization = 3 is not allowed",
    "model: !!python/object/apply:os.system ['true']\n": "line 1 is no YAML",
}


@pytest.mark.parametrize("text", BAD)
def test_bad_files_are_one_sentence(text: str, tmp_path: Path) -> None:
    result = CliRunner().invoke(app, ["run", "--config", str(file_of(tmp_path, text))])
    assert (result.exit_code, result.stdout) == (2, "")
    assert BAD[text] in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["run.yaml"]


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.yaml.*No such file"):
        read_choices(tmp_path / "none.yaml")
    with pytest.raises(InputError, match="Is a directory"):
        read_choices(tmp_path)
    (tmp_path / "run.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(InputError, match="not UTF-8"):
        read_choices(tmp_path / "run.yaml")
