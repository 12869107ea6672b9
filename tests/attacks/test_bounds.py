"""Bounds: what is too large, endless, or never comes is refused within 2 seconds of work and 200 MB, before the work."""

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.paths import ROOT

SECONDS, MEBIBYTES = 2.0, 200
MILLION = "word " * 200_000


def run_with(name: str, text: str, *words: str) -> Callable[[Path], list[str]]:
    def write(folder: Path) -> list[str]:
        (folder / name).write_text(text, encoding="utf-8")
        return [word.replace("FILE", name) for word in words]

    return write


def made(name: str, make: Callable[[Path], object], *words: str) -> Callable[[Path], list[str]]:
    return lambda folder: (make(folder / name), [word.replace("FILE", name) for word in words])[1]


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


PROMPTS, CONFIG, GROUPS = ("run", "-p", "FILE"), ("run", "-c", "FILE"), ("run", "--words", "FILE")
KEYS = {f"key_number_{n}": "x" for n in range(60_000)}
DEEP = "[" * 200_000

TOO_MUCH: dict[str, Callable[[Path], list[str]]] = {
    "a text of a million characters": run_with("mine.txt", MILLION, *PROMPTS),
    "such a text in JSON Lines": run_with("mine.jsonl", json.dumps({"source": MILLION}), *PROMPTS),
    "such a text in CSV": run_with("mine.csv", f"source\n{MILLION}\n", *PROMPTS),
    "such a target": run_with("mine.jsonl", json.dumps({"source": "a", "target": MILLION}), *PROMPTS),
    "such a key": run_with("mine.jsonl", json.dumps({"source": "a", MILLION: "b"}), *PROMPTS),
    "60,000 keys of a prompt": run_with("mine.jsonl", json.dumps(KEYS | {"source": "a"}), *PROMPTS),
    "60,000 keys and no source": run_with("mine.jsonl", json.dumps(KEYS), *PROMPTS),
    "60,000 columns": run_with("mine.csv", ",".join(KEYS) + "\n" + ",".join(KEYS) + "\n", *PROMPTS),
    "a prompt nested 200,000 deep": run_with("mine.jsonl", DEEP, *PROMPTS),
    "prompts from a pipe": made("mine.txt", os.mkfifo, *PROMPTS),
    "prompts from a device": made("mine.txt", device, *PROMPTS),
    "prompts from a folder": made("mine.txt", Path.mkdir, *PROMPTS),
    "prompts from a sparse terabyte": made("mine.txt", lambda path: (path.touch(), os.truncate(path, 2**40)), *PROMPTS),
    "60,000 keys of a run file": run_with("mine.yaml", "".join(f"{key}: 1\n" for key in KEYS)[: 2**20], *CONFIG),
    "60,000 keys on one line": run_with("mine.yaml", "{" + ", ".join(f"k{n}: 1" for n in range(60_000)) + "}", *CONFIG),
    "60,000 settings": run_with(
        "mine.yaml", "settings:\n  x: {" + ", ".join(f"k{n}: 1" for n in range(60_000)) + "}", *CONFIG
    ),
    "a run file nested 200,000 deep": run_with("mine.yaml", DEEP, *CONFIG),
    "a run file of aliases": run_with(
        "mine.yaml",
        "a: &a [x, x]\n"
        + "".join(f"{chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(20)),
        *CONFIG,
    ),
    "settings of aliases": run_with(
        "mine.yaml",
        "settings:\n  head_specialization:\n    a: &a [x, x]\n"
        + "".join(f"    {chr(98 + n)}: &{chr(98 + n)} [{', '.join([f'*{chr(97 + n)}'] * 9)}]\n" for n in range(20)),
        *CONFIG,
    ),
    "settings that hold themselves": run_with("mine.yaml", "settings: {head_specialization: &a {lift: [*a]}}", *CONFIG),
    "a run file from a pipe": made("mine.yaml", os.mkfifo, *CONFIG),
    "a run file from a device": made("mine.yaml", device, *CONFIG),
    "a run file of a gigabyte": made("mine.yaml", lambda path: (path.touch(), os.truncate(path, 2**30)), *CONFIG),
    "1e14 resamples": run_with("mine.yaml", "settings: {head_specialization: {resamples: 100000000000000}}", *CONFIG),
    "1.0e+14 resamples": run_with("mine.yaml", "settings: {head_specialization: {resamples: 1.0e+14}}", *CONFIG),
    "1e14 resamples as a text": run_with("mine.yaml", "settings: {head_specialization: {resamples: 1e14}}", *CONFIG),
    "4 billion resamples": run_with("mine.yaml", "settings: {head_specialization: {resamples: 4000000000}}", *CONFIG),
    "an infinite setting": run_with("mine.yaml", "settings: {head_specialization: {lift: .inf}}", *CONFIG),
    "a setting that is no number": run_with("mine.yaml", "settings: {head_specialization: {lift: .nan}}", *CONFIG),
    "a setting that is a date": run_with("mine.yaml", "settings: {head_specialization: {lift: 2026-01-01}}", *CONFIG),
    "a billion twins": lambda folder: ["run", "--twins", "1000000000"],
    "groups from a pipe": made("mine.json", os.mkfifo, *GROUPS),
    "groups from a device": made("mine.json", device, *GROUPS),
    "groups nested 200,000 deep": run_with("mine.json", DEEP, *GROUPS),
    "groups in YAML nested 200,000 deep": run_with("mine.yaml", DEEP, *GROUPS),
    "a group named twice": run_with("mine.json", '{"a": ["b", "c"], "a": ["d", "e"], "f": ["g", "h"]}', *GROUPS),
    "a manifest from a pipe": made("manifest.json", os.mkfifo, "verify", "."),
    "a manifest from a device": made("manifest.json", device, "verify", "."),
    "a manifest of a terabyte": made(
        "manifest.json", lambda path: (path.touch(), os.truncate(path, 2**40)), "verify", "."
    ),
    "a manifest nested 200,000 deep": run_with("manifest.json", DEEP, "verify", "."),
}


LAUNCHER = """
import json, resource, subprocess, sys
done = subprocess.run([sys.executable, "-m", "analyses.cli", *sys.argv[1:]], capture_output=True)
used = resource.getrusage(resource.RUSAGE_CHILDREN)
texts = [text.decode("utf-8", "replace") for text in (done.stdout, done.stderr)]
print(json.dumps([done.returncode, *texts, used.ru_utime + used.ru_stime, used.ru_maxrss / 1024]))
"""


def measured(words: list[str], folder: Path, stdin: IO[bytes] | int = subprocess.DEVNULL) -> list[Any]:
    """Exit code, what was printed, what was said, seconds of work and most MiB of memory of a command.

    It is started by a small process: what a child of this one takes at its start would count as its own.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    launcher = [sys.executable, "-c", LAUNCHER, *words]
    done = subprocess.run(launcher, cwd=folder, stdin=stdin, env=environment, stdout=subprocess.PIPE, check=True)
    return json.loads(done.stdout)


@pytest.mark.parametrize("case", TOO_MUCH)
def test_too_much_is_refused_at_once(case: str, tmp_path: Path) -> None:
    folder = tmp_path / "here"
    folder.mkdir()
    words = TOO_MUCH[case](folder)
    before = sorted(folder.iterdir())
    code, out, err, seconds, memory = measured(words, folder)
    assert (code, out) == (2, ""), err
    assert len(err) < 3000
    assert seconds < SECONDS
    assert memory < MEBIBYTES
    assert sorted(folder.iterdir()) == before


@pytest.mark.parametrize("endless", ["/dev/zero", "/dev/urandom"])
def test_an_endless_standard_input_is_refused(endless: str, tmp_path: Path) -> None:
    with Path(endless).open("rb") as stdin:
        code, out, err, seconds, memory = measured(["run", "-p", "-"], tmp_path, stdin=stdin)
    assert (code, out) == (2, ""), err
    assert seconds < SECONDS
    assert memory < MEBIBYTES


def test_pairs_that_grow_without_end_when_unpacked_are_refused(tmp_path: Path) -> None:
    from interp.text.translation_pairs import read_pairs

    with gzip.open(tmp_path / "pairs.tsv.gz", "wb") as file:
        for _ in range(200):
            file.write(bytes(2**20))
    with pytest.raises(ValueError, match="more than"):
        read_pairs(tmp_path / "pairs.tsv.gz")
