"""The second process of a command is a copy of it; that of a caller's own code is not."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from interp.report import second_process
from interp.report.second_process import begin_copy
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(
    second_process.second_process() is None, reason="needs two cores; run on a machine that has them"
)

_COMMAND = """
import os, signal, sys, time
sys.argv[0] = "interp"  # what a console script is called
from interp.report.second_process import begin_copy, second_process
sys.only_in_memory = "known"
begin_copy()
worker = second_process()
pid = worker.submit(os.getpid).result()
assert pid != os.getpid() and worker.submit(getattr, sys, "only_in_memory", "new").result() == {expected!r}
begin_copy()
assert second_process() is worker
assert worker.submit(lambda: bytearray(400_000_000)).result() and worker.submit(int).result() == 0
time.sleep(2)
assert worker.submit(os.getpid).result() == pid, "growing is no reason to begin another"
os.kill(pid, signal.SIGKILL)
while second_process() is worker:
    time.sleep(0.01)
assert second_process().submit(os.getpid).result() not in (pid, os.getpid())
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere processes are not copied")
def test_a_commands_second_process_has_what_it_had_in_memory_and_is_replaced_when_it_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    # A module is sent by its name, so the copy answers from its own memory.
    script.write_text(_COMMAND.format(expected="known"))
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, timeout=120, check=False)
    assert done.stdout == "done\n", done.stderr


def test_a_callers_own_code_is_never_copied() -> None:
    begin_copy()
    assert os.getpid() not in second_process._copies


@pytest.mark.parametrize("name", ["interp.py", "cli.py", "interp_study.py"])
def test_a_callers_own_script_is_no_command_whatever_it_is_called(name: str, tmp_path: Path) -> None:
    """It may have computed before, and a copy of it could wait for ever."""
    script = tmp_path / name
    script.write_text("from interp.report.second_process import is_command\nprint(is_command())\n", encoding="utf-8")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    called = ([sys.executable, "-P", script], [sys.executable, "-m", script.stem])
    for words in called if name != "interp.py" else called[:1]:
        done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path, env=environment)
        assert done.stdout == "False\n", done.stderr
