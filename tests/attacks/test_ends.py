"""Ends: whatever ends a run ends its worker too, leaves nothing outside its hidden folder, and a record of how far it came."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from analyses.runs.run_place import hidden_folder
from tests.support.paths import ROOT

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="processes are counted where Linux lists them"),
]
WORKER = """
import sys, time
from interp.report.figure_renderer import FigureRenderer
from tests.support.reports import FULL
renderer = FigureRenderer()
renderer.begin([block for section in FULL.sections for block in section.blocks])
renderer._begun["effects"][1].result()
print("drawn", flush=True)
time.sleep(600)
"""


def below(pid: int) -> set[int]:
    """The processes that a process started, and those that they started."""
    parents = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:
            continue
        if fields[0] != "Z":
            parents[int(stat.parent.name)] = int(fields[1])
    found, waiting = set(), [pid]
    while waiting:
        waiting = [child for child, parent in parents.items() if parent in waiting]
        found |= set(waiting)
    return found


def alive(pids: set[int]) -> set[int]:
    return {pid for pid in pids if Path(f"/proc/{pid}").exists() and below_state(pid) != "Z"}


def below_state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


def gone(pids: set[int], seconds: float = 15) -> bool:
    until = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < until:
        time.sleep(0.1)
    return not alive(pids)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_a_worker_that_waits_ends_with_its_parent(how: signal.Signals) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", WORKER], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"drawn\n"
    children = below(process.pid)
    assert children
    process.send_signal(how)
    process.communicate()
    assert gone(children)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM], ids=lambda how: how.name)
def test_a_run_that_is_ended_leaves_its_hidden_folder_and_no_process(how: signal.Signals, tmp_path: Path) -> None:
    temporary = tmp_path / "tmp"
    temporary.mkdir()
    words = ["run", "--limit", "2", "--twins", "2", "-a", "logit_attribution", "-o", str(tmp_path / "reports" / "mine")]
    process = subprocess.Popen(
        [sys.executable, "-m", "analyses.cli", *words],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=ROOT,
        env=os.environ | {"TMPDIR": str(temporary)},
    )
    shards = hidden_folder(tmp_path / "reports" / "mine") / "shards"
    while process.poll() is None and not list(shards.glob("*.sha256")):
        time.sleep(0.1)
    children = below(process.pid)
    process.send_signal(how)
    process.communicate()
    assert gone(children)
    assert [path.name for path in (tmp_path / "reports").iterdir()] == [".mine.partial"]
    assert list(temporary.iterdir()) == []
    listed = subprocess.run(
        [sys.executable, "-m", "analyses.cli", "list", "runs", str(tmp_path / "reports")],
        check=True,
        capture_output=True,
        text=True,
        cwd=ROOT,
    ).stdout
    assert "killed" in listed
    assert "mine" in listed
