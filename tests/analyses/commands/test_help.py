"""Help pages and completion: every command has both, and neither waits for a heavy library."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from typer.main import get_command
from typer.testing import CliRunner

from analyses.cli import app
from analyses.commands.completion import complete_analyses, complete_prompts, complete_runs
from analyses.core import registry as _registry
from interp.families.point_names import hook_names
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import BART_FAMILIES, FAMILIES, tiny
from tests.support.paths import ROOT

WALKED = dict(get_command(app).commands)  # type: ignore[attr-defined]
for group, inner in [(name, vars(command).get("commands", {})) for name, command in WALKED.items()]:
    WALKED |= {f"{group} {name}": command for name, command in inner.items()}
COMMANDS = sorted(WALKED)
runner = CliRunner(env={"TERMINAL_WIDTH": "200", "COLUMNS": "200"})


def help_of(*words: str) -> str:
    result = runner.invoke(app, [*words, "-h"])
    assert result.exit_code == 0, result.stderr
    return result.stdout


def test_the_walk_sees_all_commands() -> None:
    assert {"run", "rerun", "open", "verify", "diff", "tokens", "model", "generate", "list", "env"} <= set(COMMANDS)


@pytest.mark.parametrize("command", ["", *COMMANDS])
def test_every_help_page_has_examples_of_its_own_command(command: str) -> None:
    page = help_of(*command.split())
    assert page == runner.invoke(app, [*command.split(), "--help"]).stdout
    examples = re.findall(rf"^ +(?:echo .*\| )?interp {command}.*$", page.split("Examples:")[1], re.MULTILINE)
    assert examples, page


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_use_options_that_exist(command: str) -> None:
    page = help_of(*command.split())
    known = set(re.findall(r"--[a-z][a-z-]*", page.split("Options", 1)[1]))
    for line in page.split("Examples:")[1].splitlines():
        if f"interp {command}" in line:
            used = {word for word in shlex.split(line) if word.startswith("--")}
            assert used <= known, line


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_says_what_it_is_for(command: str) -> None:
    for parameter in WALKED[command].params:
        assert parameter.help, parameter.name


def complete(line: str, folder: Path) -> list[str]:
    """What bash offers for a line, through the same door that the installed script uses."""
    words = line.split(" ")
    asked = {"_INTERP_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)}
    code = "import sys; from analyses.cli import app; sys.argv = ['interp']; app(prog_name='interp')"
    root = str(ROOT)
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | asked | {"PYTHONPATH": root},
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_the_shell_completes_commands_and_names(tmp_path: Path) -> None:
    assert complete("interp ver", tmp_path) == ["verify"]
    assert complete("interp run --analyses lo", tmp_path) == ["logit_attribution"]
    assert complete("interp run --prompts tr", tmp_path) == ["translation"]
    assert complete("interp list hooks unembed.", tmp_path) == ["unembed.hook_out"]


def test_analyses_complete_after_a_comma() -> None:
    assert complete_analyses("head_specialization,h") == []
    assert "head_specialization,logit_attribution" in complete_analyses("head_specialization,l")
    assert set(complete_analyses("")) == {*_registry.names(), "all"}
    assert complete_prompts("") == ["translation", "references"]


def test_runs_complete_below_reports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert complete_runs("") == []
    for name in ("mine", ".other.partial", "half"):
        (tmp_path / "reports" / name).mkdir(parents=True)
        (tmp_path / "reports" / name / "manifest.json").write_text("{}")
    (tmp_path / "reports" / "mine" / "index.html").write_text("")
    assert complete_runs("rep") == ["reports/mine"]


@pytest.mark.parametrize("family", [*FAMILIES, *BART_FAMILIES])
def test_completed_hook_names_are_those_of_the_model(family: str) -> None:
    model = tiny(family)
    assert list(hook_names(json.loads(model.hf.config.to_json_string(use_diff=False)))) == list(model.hook_points())


def test_completed_hook_names_are_those_of_the_bundled_model(bundled: HookedEncoderDecoder) -> None:
    from analyses.commands.completion import _config

    assert list(hook_names(_config("bundled"))) == list(bundled.hook_points())
    assert list(hook_names(_config("no/such/folder"))) == []


@pytest.mark.slow
@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_completion_script_is_for_this_command(shell: str) -> None:
    code = "import sys; from analyses.cli import app; app(prog_name='interp')"
    environment = os.environ | {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}
    done = subprocess.run(
        [sys.executable, "-c", code, "--show-completion", shell],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert "_INTERP_COMPLETE" in done.stdout


@pytest.mark.slow
def test_completing_imports_nothing_heavy() -> None:
    code = (
        "import sys, analyses.cli\n"
        "from analyses.commands.completion import complete_analyses, complete_hooks, complete_prompts, complete_runs\n"
        "complete_analyses(''), complete_prompts(''), complete_runs('')\n"
        "from types import SimpleNamespace\n"
        "assert len(complete_hooks(SimpleNamespace(params={}), 'encoder.0.')) > 5\n"
        "heavy = {'torch', 'transformers', 'pandas', 'matplotlib', 'scipy', 'numpy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
