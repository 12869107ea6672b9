"""Faults: whatever ends a run, nothing half-written looks whole, nothing that was there is lost, and the next run goes on.

Ctrl-C and a kill in the middle of a real run are in `test_runner`, damaged shards and two runs at once in `test_run_folder`.
"""

import errno
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from analyses.cli import app
from analyses.runs.config import make_config
from analyses.runs.inputs import read_inputs
from analyses.runs.run_folder import staging
from analyses.runs.run_place import hidden_folder
from interp.errors import InputError
from tests.support.runs import run_files

FILES = run_files({"index.html": b"new"} | {f"tables/{n}.csv": bytes(2000) for n in range(100)})
OLD = run_files({"index.html": b"old"})


def test_a_full_disk_ends_a_run_and_keeps_what_was_done(tmp_path: Path) -> None:
    final = tmp_path / "run"

    def fill() -> None:
        with staging(final, "a", overwrite=False) as store:
            store["model-00000"] = {"x": np.arange(3.0)}
            # A limit on the size of files fails as a full disk does.
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
            store["model-00001"] = {"x": np.arange(4000.0)}

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        with pytest.raises(OSError, match="File too large") as caught:
            fill()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert "make room and give the same command again" in caught.value.__notes__[0]
    assert not final.exists()
    with staging(final, "a", overwrite=False) as store:
        assert "model-00000" in store
        assert "model-00001" not in store


def test_a_disk_that_fills_up_while_a_run_is_replaced_leaves_the_old_one(tmp_path: Path) -> None:
    final = tmp_path / "run"
    with staging(final, "a", overwrite=False) as store:
        store.publish(OLD, overwrite=False)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def replace() -> None:
        with staging(final, "b", overwrite=True) as store:
            resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
            store.publish(FILES, overwrite=True)

    try:
        with pytest.raises(OSError, match="File too large") as caught:
            replace()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert sorted(path.name for path in final.iterdir()) == sorted(OLD)
    assert (final / "index.html").read_bytes() == b"old"


REPLACE_FOREVER = """
import sys
from pathlib import Path
from analyses.runs.run_folder import staging
from tests.support.runs import run_files
files = run_files({"index.html": b"new"} | {f"tables/{n}.csv": bytes(2000) for n in range(100)})
print("ready", flush=True)
while True:
    with staging(Path(sys.argv[1]), "a", overwrite=True) as store:
        store.publish(files, overwrite=True)
"""


@pytest.mark.slow
def test_killed_at_any_moment_of_being_replaced_a_run_is_there_whole(tmp_path: Path) -> None:
    final = tmp_path / "run"
    with staging(final, "a", overwrite=False) as store:
        store.publish(FILES, overwrite=False)
    moments = random.Random(0)
    for _ in range(8):
        process = subprocess.Popen([sys.executable, "-c", REPLACE_FOREVER, str(final)], stdout=subprocess.PIPE)
        assert process.stdout is not None
        process.stdout.readline()
        time.sleep(moments.uniform(0.05, 0.4))
        process.kill()
        process.communicate()
        if final.exists():
            assert {str(path.relative_to(final)) for path in final.rglob("*") if path.is_file()} == set(FILES)
    # What the next run finds: a whole run in its place again, wherever the last kill fell.
    with staging(final, "a", overwrite=True):
        assert {str(path.relative_to(final)) for path in final.rglob("*") if path.is_file()} == set(FILES)


def test_a_run_lost_between_two_renames_comes_back(tmp_path: Path) -> None:
    final = tmp_path / "run"
    with staging(final, "a", overwrite=False) as store:
        store.publish(OLD, overwrite=False)
    with pytest.raises(KeyboardInterrupt), staging(final, "b", overwrite=True):
        raise KeyboardInterrupt
    final.rename(hidden_folder(final) / "replaced")
    with pytest.raises(InputError, match="already exists; give --overwrite"), staging(final, "a", overwrite=False):
        pass
    assert (final / "index.html").read_bytes() == b"old"


ASK_AS_NOBODY = """
import os, sys
from pathlib import Path
from analyses.runs.run_folder import check_place
from interp.errors import InputError
if os.geteuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    check_place(Path(sys.argv[1]) / "run", overwrite=False)
except InputError as error:
    print(error)
"""


def test_a_folder_that_may_not_be_written_is_refused_before_the_work() -> None:
    # Root may write everywhere, so the question is asked by a user who may not; pytest's own folders are closed to others.
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        words = [sys.executable, "-c", ASK_AS_NOBODY, name]
        said = subprocess.run(words, check=True, capture_output=True, text=True).stdout
        Path(name).chmod(0o755)
    assert said == f"Cannot write to {name!r}; give --out a folder that you may write to.\n"


def test_prompts_that_change_between_two_runs_make_another_run(tmp_path: Path) -> None:
    prompts = tmp_path / "mine.txt"
    config = make_config(prompts=str(prompts), twins=2, analyses="logit_attribution")
    prompts.write_text("translate English to German: Yes.\n")
    before = read_inputs(config)
    # Leaving without publishing is what an interruption does.
    with staging(tmp_path / "run", before.identity(), overwrite=False) as store:
        store["model-00000"] = {"x": np.zeros(1)}
    prompts.write_text("translate English to German: No.\n")
    after = read_inputs(config)
    assert after.slug() != before.slug()
    with staging(tmp_path / "run", after.identity(), overwrite=False) as store:
        assert "model-00000" not in store


def test_truncated_weights_are_one_sentence(tmp_path: Path) -> None:
    from interp.model.checkpoints import find_checkpoint

    (tmp_path / "model").mkdir()
    for path in find_checkpoint().folder.iterdir():
        if path.is_file():
            data = path.read_bytes()
            cut = data[: len(data) // 2] if path.suffix == ".safetensors" else data
            (tmp_path / "model" / path.name).write_bytes(cut)
    words = ["run", "--model", str(tmp_path / "model"), "--out", str(tmp_path / "run")]
    result = CliRunner().invoke(app, words)
    assert (result.exit_code, result.stdout) == (2, "")
    assert "damaged or cut short" in result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
