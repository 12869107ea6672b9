"""A writer that is killed anywhere leaves whole shards, and the same call ends with the bytes of an undisturbed one."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from filelock import FileLock

from interp.activations import ActivationStore, verify_activations, write_activations
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from interp.prompts import PromptStream
from tests.support.paths import ROOT
from tests.support.stores import HOOKS, make_store, write_corpus_file


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("kind", ["float32", "int8"])
@pytest.mark.parametrize("stop", [1, 2])
def test_what_an_interruption_left_is_finished_to_the_same_bytes(
    tiny_byt5: HookedEncoderDecoder, tmp_path: Path, stop: int, kind: str
) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    whole = make_store(tiny_byt5, tmp_path / "a", stored_as=kind).folder
    corpus = PromptStream(write_corpus_file(tmp_path / "b" / "corpus.jsonl"))
    ran: list[int] = []

    def interrupt(what: str, done: int, total: int) -> None:
        ran.append(done)
        if len(ran) == stop:
            raise KeyboardInterrupt

    out = tmp_path / "b" / "stores"
    choices = {"stored_as": kind, "rows_per_shard": 10, "batch_size": 3}
    with pytest.raises(KeyboardInterrupt):
        write_activations(tiny_byt5, corpus, out, HOOKS, progress=interrupt, **choices)  # type: ignore[arg-type]
    half = out / whole.name
    left = {path: path.stat().st_mtime_ns for path in half.rglob("0*.safetensors")}
    assert left, "whole shards stay"
    with pytest.raises(InputError, match="no finished store"):
        ActivationStore(half)
    write_activations(tiny_byt5, corpus, out, HOOKS, **choices)  # type: ignore[arg-type]
    assert all(path.stat().st_mtime_ns == when for path, when in left.items()), "they are not made again"
    assert contents(half) == contents(whole)
    assert not verify_activations(half)


_WRITER = """
import sys
from pathlib import Path
from tests.support.models import tiny
from tests.support.stores import make_store
print(make_store(tiny("byt5"), Path(sys.argv[1]), rows_per_shard=4, batch_size=1).folder, flush=True)
"""


@pytest.mark.slow
def test_killed_as_it_writes_a_store_ends_the_same(tiny_byt5: HookedEncoderDecoder, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    whole = make_store(tiny_byt5, tmp_path / "a", rows_per_shard=4, batch_size=1).folder
    command = [sys.executable, "-c", _WRITER, str(tmp_path / "b")]
    for shards in (1, 9):
        process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)
        records = tmp_path / "b" / "stores" / whole.name / ".shards"
        while process.poll() is None and len(list(records.glob("*.json"))) < shards:
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert contents(Path(done.stdout.strip())) == contents(whole)


def test_two_writers_of_one_store_do_not_meet(tiny_byt5: HookedEncoderDecoder, tmp_path: Path) -> None:
    folder = make_store(tiny_byt5, tmp_path).folder
    (folder / "manifest.json").unlink()
    with FileLock(folder / ".lock"), pytest.raises(InputError, match="Another process is writing"):
        make_store(tiny_byt5, tmp_path)
    make_store(tiny_byt5, tmp_path)
    assert not verify_activations(folder)


def test_a_corpus_that_changes_under_the_writer_leaves_nothing(tiny_byt5: HookedEncoderDecoder, tmp_path: Path) -> None:
    path = write_corpus_file(tmp_path / "c.jsonl")

    def change(what: str, done: int, total: int) -> None:
        os.utime(path)
        path.write_text(path.read_text(encoding="utf-8").replace("A dog", "A cat"), encoding="utf-8")

    with pytest.raises(InputError, match="changed while it was read"):
        write_activations(tiny_byt5, PromptStream(path), tmp_path / "out", HOOKS[0], batch_size=3, progress=change)
    assert not list((tmp_path / "out").iterdir())
