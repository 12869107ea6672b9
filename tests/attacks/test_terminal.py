"""Terminals: what others wrote never reaches one raw, and one that shows little, or a home that takes nothing, stops nobody."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from analyses.runs.config import make_config
from analyses.runs.manifest import canonical_json
from tests.support.paths import ROOT
from tests.support.runs import CONTENT, write_run

HOSTILE = "\x1b]0;title\x07\x1b[2Jgone\u202etxt.\u2066\x9b31m"
OBEYED = set("\x1b\x07\x9b\u202e\u2066")


def said(folder: Path, *words: str, **environment: str) -> tuple[int, str, str]:
    done = subprocess.run(
        [sys.executable, "-m", "analyses.cli", *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT)} | environment,
        capture_output=True,
        check=False,
    )
    return done.returncode, done.stdout.decode("utf-8", "replace"), done.stderr.decode("utf-8", "replace")


def added(folder: Path) -> list[str]:
    (write_run(folder / "run") / f"{HOSTILE}.csv").write_text("x")
    return ["verify", "run"]


def column(folder: Path) -> list[str]:
    table = f"head,{HOSTILE}\nXL0H0,1\n"
    write_run(folder / "run", CONTENT | {"tables/a.csv": table.encode()})
    write_run(folder / "other", CONTENT | {"tables/a.csv": table.replace(",1", ",2").encode()})
    return ["diff", "run", "other"]


def recorded(folder: Path) -> list[str]:
    write_run(folder / "run", config={"seed": HOSTILE})
    write_run(folder / "other")
    return ["diff", "run", "other"]


def prompt_file(folder: Path) -> list[str]:
    (folder / "mine.jsonl").write_text('{"source": 5, "' + "\\u001b[2J" + '": "x"}\n')
    return ["run", "-p", "mine.jsonl"]


def printed(folder: Path) -> list[str]:
    (folder / f"{HOSTILE}.txt").write_text("A dog.\n")
    return ["run", "--dry-run", "-p", f"{HOSTILE}.txt"]


def listed(folder: Path) -> list[str]:
    write_run(folder / "reports" / HOSTILE)
    return ["list", "runs"]


SHOWN: dict[str, Callable[[Path], list[str]]] = {
    "a file of a run": added,
    "a column of a table": column,
    "a choice in a manifest": recorded,
    "a key of a prompt": prompt_file,
    "a run's folder": listed,
    "a prompt file that is not there": lambda folder: ["run", "-p", f"{HOSTILE}.txt"],
    "a run file that is not there": lambda folder: ["run", "-c", f"{HOSTILE}.yaml"],
    "a run that is not there": lambda folder: ["verify", HOSTILE],
    "a place": lambda folder: ["run", "-o", f"/dev/null/{HOSTILE}"],
    "an analysis": lambda folder: ["run", "-a", HOSTILE],
    "a command": lambda folder: [HOSTILE],
    "an option": lambda folder: ["run", f"--{HOSTILE}"],
    "a value": lambda folder: ["run", "--limit", HOSTILE],
    "a key": lambda folder: ["verify", str(write_run(folder / "run")), "--key", HOSTILE],
    "what a dry run prints": printed,
}


@pytest.mark.parametrize("case", SHOWN)
def test_what_others_wrote_is_spelled_out(case: str, tmp_path: Path) -> None:
    _, out, err = said(tmp_path, *SHOWN[case](tmp_path))
    assert out + err
    assert not OBEYED & set(out + err)


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONIOENCODING": "ascii"},
        {"LANG": "C", "LC_ALL": "C"},
        {"LANG": "C", "LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"},
        {"HOME": "/proc", "XDG_CACHE_HOME": "/proc", "XDG_CONFIG_HOME": "/proc"},
        {"TERM": "dumb", "NO_COLOR": "1"},
        {"COLUMNS": "10"},
    ],
    ids=["ascii", "C", "C and bytes", "no home", "dumb", "narrow"],
)
def test_it_works_where_little_is_to_be_had(environment: dict[str, str], tmp_path: Path) -> None:
    write_run(tmp_path / "réports" / "rün")
    for words, code in (
        (["verify", "réports/rün"], 0),
        (["list", "runs", "réports"], 0),
        (["list", "analyses"], 0),
        (["tokens", "Übergröße → 猫"], 0),
        (["verify", "nichts→"], 2),
    ):
        found, out, err = said(tmp_path, *words, **environment)
        assert found == code, err
        assert "Traceback" not in err
        assert out or err
    assert [path.name for path in tmp_path.iterdir()] == ["réports"]


def test_files_beside_the_page_spell_it_out_and_mean_the_same() -> None:
    written = canonical_json({"text": HOSTILE, "plain": "Übergröße ▁the 猫"}).decode()
    assert not OBEYED & set(written)
    assert "Übergröße ▁the 猫" in written
    config = make_config(prompts=f"{HOSTILE}.txt")
    assert not OBEYED & set(config.to_yaml())
