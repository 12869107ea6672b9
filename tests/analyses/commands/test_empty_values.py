"""An empty or blank value is refused by its option's name, by every command, before anything is read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from analyses.cli import app
from analyses.runs.config import make_config
from interp.errors import InputError
from interp.model.checkpoints import find_checkpoint, find_configuration

MAY_BE_EMPTY = {"prefix", "target_prefix", "reverse_prefix"}


def parameters(value: str) -> Iterator[tuple[list[str], str]]:
    """The words that give this value to every parameter of every command, and what the message calls it."""
    top = typer.main.get_command(app)
    found = {(name,): command for name, command in top.commands.items() if not hasattr(command, "commands")}
    for name, group in top.commands.items():
        found |= {(name, inner): command for inner, command in getattr(group, "commands", {}).items()}
    for path, command in found.items():
        first = next((one for one in command.params if one.param_type_name == "argument"), None)
        if first is not None:
            yield [*path, value], first.name.upper()
        for one in command.params:
            if one.param_type_name == "option" and not one.is_flag and one.name not in MAY_BE_EMPTY:
                longest = max(one.opts, key=len)
                yield [*path, longest, value], longest
                yield [*path, f"{longest}={value}"], longest


def refused(words: list[str], called: str, what: str) -> None:
    done = CliRunner().invoke(app, words)
    assert (done.exit_code, done.stdout) == (2, ""), words
    assert done.stderr.startswith(f"Error: {called} is {what}; "), (words, done.stderr)
    assert len(done.stderr.splitlines()) == 1


def test_every_parameter_of_every_command_refuses_to_be_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    every = list(parameters(""))
    for words, called in every:
        refused(words, called, "empty")
    assert len(every) > 200
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("value", [" ", "\t\u3000\n"])
def test_a_blank_value_is_refused_as_an_empty_one_is(
    value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for words, called in {called: (words, called) for words, called in parameters(value)}.values():
        refused(words, called, "blank")
    refused(["run", "--dry-run", f"-o{value}"], "--out", "blank")  # a value that hangs on a short option's letter
    assert not list(tmp_path.iterdir())


def test_no_prefix_is_a_prefix() -> None:
    assert "prefix: ''" in CliRunner().invoke(app, ["run", "--dry-run", "--prefix", ""]).stdout


@pytest.mark.parametrize("name", ["model", "revision", "prompts", "source_column", "target_column", "source_lang"])
@pytest.mark.parametrize("value", ["", " ", "\u3000"])
def test_a_run_file_cannot_leave_a_name_empty(name: str, value: str) -> None:
    with pytest.raises(
        InputError, match=f"^{name} = .* is not allowed as choice: a name needs a character that can be seen"
    ):
        make_config(**{name: value})


def test_no_name_is_no_folder_and_the_root_is_called_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(find_checkpoint().folder)
    for find in (find_checkpoint, find_configuration):
        with pytest.raises(InputError, match="Cannot load '': the name is empty"):
            find("")
        assert find("/").name == "/"
    assert find_checkpoint(".").name == Path.cwd().name
