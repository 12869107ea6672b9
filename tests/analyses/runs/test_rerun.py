"""Reruns: the same digest again, what differs in words, and no work where prompts or weights are not those of the run."""

import shutil
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from analyses.cli import app
from analyses.runs.config import make_config
from analyses.runs.diff import compare_runs
from analyses.runs.manifest import MANIFEST
from analyses.runs.prompt_set import KEPT, kept_prompts, read_kept
from analyses.runs.runner import run
from analyses.runs.verify import read_manifest
from interp.model.checkpoints import find_checkpoint
from interp.prompts import bundled, parse_prompts

pytestmark = pytest.mark.slow

SOURCES = ("The cat sleeps.", "A dog runs in the garden.", "We drink cold water.")
SETTINGS = {"logit_attribution": {"causal_prompts": 2}}


def invoke(*words: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, list(words))
    torch.use_deterministic_algorithms(False)
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with prompts, a model and their run; the run knows both by name only."""
    folder = tmp_path_factory.mktemp("home")
    (folder / "mine.txt").write_text("".join(f"translate English to German: {text}\n" for text in SOURCES))
    shutil.copytree(find_checkpoint().folder, folder / "translator")
    config = make_config(
        model=str(folder / "translator"),
        prompts=str(folder / "mine.txt"),
        analyses=("logit_attribution",),
        twins=2,
        settings=SETTINGS,
    )
    run(config, folder / "run", overwrite=False, progress=lambda *_: None)
    torch.use_deterministic_algorithms(False)
    return folder


def test_from_elsewhere_with_files_of_other_names_the_digest_is_the_same(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(home / "translator", tmp_path / "model")
    shutil.copytree(home / "run", tmp_path / "run")
    words = ["rerun", "run", "--model", "model", "--out", "again", "--quiet"]
    code, out, err = invoke(*words)
    assert (code, err) == (0, ""), out
    assert out == f"The same digest: {read_manifest(home / 'run').digest}.\n"
    assert compare_runs(home / "run", tmp_path / "again") == ()
    assert read_manifest(tmp_path / "again").config["settings"] == SETTINGS


def test_another_version_gives_another_digest_and_is_named(
    home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(home)
    shutil.copytree(home / "run", tmp_path / "run")
    manifest = read_manifest(tmp_path / "run")
    other = manifest.model_copy(update={"versions": manifest.versions | {"torch": "1.0"}}).sealed()
    (tmp_path / "run" / MANIFEST).write_bytes(other.to_json())
    code, out, _ = invoke("rerun", str(tmp_path / "run"))
    assert code == 1
    assert out.splitlines()[0].startswith("versions.torch: '1.0' against ")
    assert out.splitlines()[-1] == "Another digest than before."
    assert not list(tmp_path.glob("*rerun*"))


REFUSED = {
    "no model": (
        ["--prompts", "HOME/mine.txt"],
        "model was a folder called 'translator', which is not here; give --model",
    ),
    "other prompts": (["--prompts", "HERE/other.txt"], "are not those of the run: their sha256 is"),
    "missing prompts": (["--prompts", "HERE/none.txt"], "does not exist"),
    "bundled prompts": (["--prompts", "translation"], "are not those of the run"),
    "other model": (
        ["--prompts", "HOME/mine.txt", "--model", "HERE/changed"],
        "config.json is not what the manifest lists",
    ),
    "no run": (["HERE"], "has no manifest.json"),
    "changed manifest": (["HERE/changed-run"], "The manifest itself was changed"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_the_runs_own_is_refused_before_any_work(
    case: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "other.txt").write_text((home / "mine.txt").read_text() + "One more.\n")
    shutil.copytree(home / "translator", tmp_path / "changed")
    (tmp_path / "changed" / "config.json").write_text("{}")
    shutil.copytree(home / "run", tmp_path / "changed-run")
    text = (home / "run" / MANIFEST).read_text(encoding="utf-8")
    (tmp_path / "changed-run" / MANIFEST).write_text(text.replace('"twins": 2', '"twins": 3'), encoding="utf-8")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    options, message = REFUSED[case]
    words = [word.replace("HOME", str(home)).replace("HERE", str(tmp_path)) for word in options]
    target = [] if case in ("no run", "changed manifest") else [str(home / "run")]
    code, out, err = invoke("rerun", *target, *words)
    assert (code, out) == (2, ""), err
    assert message in err
    assert len(err.splitlines()) == 1
    assert list((tmp_path / "here").iterdir()) == []


NOT_KEPT = {
    "mine.txt": "prompts from a file called 'mine.txt', which is not here; give --prompts",
    "-": "from standard input; save the same text in a file",
}


@pytest.mark.parametrize("prompts", NOT_KEPT)
def test_prompts_must_be_given_to_a_run_that_has_not_kept_them(
    prompts: str, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(home / "run", tmp_path / "run")
    (tmp_path / "run" / KEPT).unlink()
    manifest = read_manifest(home / "run")
    without = {name: hashed for name, hashed in manifest.files.items() if name != KEPT}
    older = manifest.model_copy(update={"config": manifest.config | {"prompts": prompts}, "files": without}).sealed()
    (tmp_path / "run" / MANIFEST).write_bytes(older.to_json())
    code, _, err = invoke("rerun", "run")
    assert code == 2
    assert NOT_KEPT[prompts] in err


def test_a_run_keeps_its_prompts_as_they_were_read(home: Path) -> None:
    text = (
        '{"id": "a", "source": "say: =1+1\\u2028\\u00e9", "target": "x", "prefix": "say: ", "label": "3"}\n'
        '{"source": ["A", "dog", "."], "target": "y"}\n'
    )
    read = parse_prompts(text.encode(), "jsonl", "mine")
    assert read_kept(kept_prompts(read)[KEPT], read.sha256) == replace(read, name=KEPT)
    assert kept_prompts(bundled("translation", 3)) == {}
    assert kept_prompts(replace(read, name="translation")) != {}
    assert len((home / "run" / KEPT).read_text(encoding="utf-8").splitlines()) == len(SOURCES)


def test_a_diff_sees_pages_unless_numbers_are_tolerated(home: Path, tmp_path: Path) -> None:
    shutil.copytree(home / "run", tmp_path / "run")
    manifest = read_manifest(home / "run")
    (tmp_path / "run" / "index.html").write_bytes(b"another page")
    files = manifest.files | {"index.html": sha256(b"another page").hexdigest()}
    (tmp_path / "run" / MANIFEST).write_bytes(manifest.model_copy(update={"files": files}).sealed().to_json())
    first, second = str(home / "run"), str(tmp_path / "run")
    assert invoke("diff", first, second)[:2] == (1, "index.html: other bytes\n")
    assert invoke("diff", first, second, "--rtol", "1e-3")[0] == 0
    assert invoke("diff", first, second, "--tables")[0] == 0
    assert invoke("diff", first, second, "--rtol", "-1")[0] == 2
