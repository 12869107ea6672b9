"""Bad input to the commands beside `interp run`: exit code 2, one sentence, no traceback, nothing left behind."""

from pathlib import Path
from typing import Any, get_type_hints

import pytest
from typer.testing import CliRunner

from analyses.cli import app
from interp.errors import InputError, did_you_mean, nearest
from interp.hooks.names import HeadId, HookNameError, resolve

BAD = {
    "open: no runs": (["open"], "no finished run below 'reports'"),
    "open: missing folder": (["open", "nothing"], "has no index.html"),
    "open: a folder that is no run": (["open", "."], "has no index.html"),
    "open: nearly a run": (["open", "runs/mime"], "did you mean 'runs/mine'"),
    "rerun: no run": (["rerun", "nothing"], "has no manifest.json"),
    "rerun: broken manifest": (["rerun", "runs/mine"], "cannot be read; was it edited?"),
    "verify: no run": (["verify", "nothing"], "has no manifest.json"),
    "verify: broken manifest": (["verify", "runs/mine"], "cannot be read"),
    "diff: one is no run": (["diff", "runs/mine", "nothing"], "cannot be read"),
    "run: missing run file": (["run", "--config", "none.yaml"], "'none.yaml' cannot be read (No such file"),
    "run: misspelt key": (
        ["run", "--config", "bad.yaml", "--dry-run"],
        "no choice 'promts' (did you mean 'prompts'?)",
    ),
    "run: misspelt analysis": (["run", "--dry-run", "-a", "logit-atribution"], "did you mean 'logit_attribution'"),
    "list: misspelt hook": (["list", "hooks", "decoder.0.hook_resid_psot"], "Did you mean decoder.0.hook_resid_post"),
    "list: hooks of nothing": (["list", "hooks", "*.nothing"], "No hook point '*.nothing'"),
    "list: misspelt prompt set": (["list", "prompts", "tranlation"], "did you mean 'translation'"),
    "list: misspelt analysis": (["list", "analyses", "Embedding-Geometri"], "did you mean 'embedding_geometry'"),
    "list: misspelt setting": (["list", "settings", "head_specialization.prob_seed"], "head_specialization.probe_seed"),
    "list: missing model": (["list", "hooks", "--model", "./nothing"], "no such folder"),
    "model: misspelt hook": (["model", "--shapes", "a b", "--hooks", "encoder.0.attn.hook_patern"], "hook_pattern"),
    "model: hooks of no text": (["model", "--hooks", "*.hook_z"], "give --shapes TEXT with it"),
    "model: blank text": (["model", "--shapes", " "], "is blank"),
    "tokens: empty text": (["tokens", ""], "empty"),
    "generate: top-k": (["generate", "a b", "--method", "sampling", "--top-k", "-1"], "top_k >= 0"),
    "generate: top-p": (["generate", "a b", "--method", "sampling", "--top-p", "0"], "top_p"),
    "generate: one beam": (["generate", "a b", "--method", "beam", "--beams", "1"], "at least 2 beams"),
    "generate: repetition": (["generate", "a b", "--repetition-penalty", "0"], "is above 0 and finite"),
    "generate: beams' own": (["generate", "a b", "--length-penalty", "2"], "'beam' alone"),
    "generate: unknown script": (["generate", "今日は良い天気です"], "does not know 100% of the pieces"),
    "show: unknown script": (["show", "今日は良い天気です"], "does not know 100% of the pieces"),
    "tokens: half a pair": (["tokens", "a \udcff"], "half a surrogate pair"),
    "words: half a pair": (["words", "chair", "\udcff"], "half a surrogate pair"),
    "words: none known": (["words", "chair", "chair"], "chair"),
    "attribute: row": (["attribute", "translate English to German: Yes.", "--position", "99"], ""),
}


COMMANDS = {str(command.name): command.callback for command in app.registered_commands} | {
    f"{group.name} {command.name or command.callback.__name__}": command.callback
    for group in app.registered_groups
    for command in group.typer_instance.registered_commands
}


def options_of(*kinds: Any) -> list[tuple[str, str]]:
    """The options of all commands whose values are of a kind."""
    return [
        (name, "--" + option.replace("_", "-"))
        for name, function in sorted(COMMANDS.items())
        for option, kind in get_type_hints(function).items()
        if kind in kinds
    ]


FLOATS = options_of(float, float | None)
WITH_ARGUMENTS = {"trace", "compare-models"}
"""Their seeds are checked with the other choices of a run, behind what must be given."""
SEEDS = [name for name, option in options_of(int) if option == "--seed" and name not in WITH_ARGUMENTS]


def test_the_walk_finds_numbers() -> None:
    assert {("plan", "--rate"), ("generate", "--temperature"), ("circuit", "--keeps"), ("diff", "--atol")} <= set(
        FLOATS
    )
    assert {"generate", "run", "compiled make", "circuit"} <= set(SEEDS)


@pytest.mark.parametrize("value", ["nan", "inf", "-inf"])
@pytest.mark.parametrize(("command", "option"), FLOATS)
def test_what_is_no_finite_number_is_refused_by_every_option(command: str, option: str, value: str) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*command.split(), option, value])
    assert result.exit_code == 2
    assert f"'{option}'" in result.stderr


@pytest.mark.parametrize("value", ["-1", "4294967296"])
@pytest.mark.parametrize("command", SEEDS)
def test_a_seed_is_in_range_in_every_command(command: str, value: str) -> None:
    result = CliRunner(env={"COLUMNS": "200"}).invoke(app, [*command.split(), "--seed", value])
    assert result.exit_code == 2
    assert "seed" in result.stderr


def test_no_candidates_below_none() -> None:
    assert CliRunner().invoke(app, ["generate", "a", "--top", "-1"]).exit_code == 2


@pytest.mark.slow
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_sentence_and_leaves_nothing(
    case: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "runs" / "mine").mkdir(parents=True)
    (tmp_path / "runs" / "mine" / "manifest.json").write_text("{")
    (tmp_path / "runs" / "mine" / "index.html").write_text("")
    (tmp_path / "bad.yaml").write_text("promts: x\n")
    monkeypatch.chdir(tmp_path)
    before = sorted(tmp_path.rglob("*"))
    words, message = BAD[case]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, ""), result.stderr
    assert result.stderr.startswith("Error: ")
    assert message in result.stderr
    assert len(result.stderr.strip().splitlines()) == 1
    assert sorted(tmp_path.rglob("*")) == before


USAGE = [["open", "--prnt"], ["list", "hook"], ["diff", "one"], ["diff", "a", "b", "--rtol", "-1"], ["rerun"], ["opne"]]


@pytest.mark.parametrize("words", USAGE, ids=" ".join)
def test_bad_usage_says_what_is_allowed(words: list[str]) -> None:
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "Usage:" in result.stderr
    assert "Traceback" not in result.stderr


def test_the_nearest_name_is_offered_whatever_its_capitals_and_hyphens() -> None:
    known = ("head_specialization", "logit_attribution")
    assert nearest("Logit-Attribution", known) == ("logit_attribution",)
    assert did_you_mean("heads_specialisation", known) == " (did you mean 'head_specialization'?)"
    assert did_you_mean("zzz", known) == ""


@pytest.mark.parametrize(
    ("label", "meant"),
    [
        ("xl2h1", "Did you mean XL2H1?"),
        ("X2.1", "Did you mean XL2H1?"),
        ("cross 2 1", "Did you mean XL2H1?"),
        ("L2H1", "Did you mean EL2H1 or DL2H1 or XL2H1?"),
        ("encoder.0.3", "Did you mean EL0H3?"),
    ],
)
def test_misspelt_heads_are_met_with_the_label(label: str, meant: str) -> None:
    with pytest.raises(InputError) as caught:
        HeadId.parse(label)
    assert str(caught.value).endswith(meant)


@pytest.mark.parametrize("label", ["QL2H1", "EL0", "head", "", "1"])
def test_what_is_no_head_at_all_gets_no_guess(label: str) -> None:
    with pytest.raises(InputError) as caught:
        HeadId.parse(label)
    assert "Did you mean" not in str(caught.value)


def test_a_misspelt_hook_is_bad_input_and_a_missing_key() -> None:
    with pytest.raises(HookNameError) as caught:
        resolve("encoder.0.hook_resid_prr", ["encoder.0.hook_resid_pre"])
    assert isinstance(caught.value, InputError)
    assert isinstance(caught.value, KeyError)
    assert str(caught.value) == "No hook point 'encoder.0.hook_resid_prr' here. Did you mean encoder.0.hook_resid_pre?"
