"""Where tests must tell, a skip for something that should be there is a failure, and other skips stay what they are."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.skips import ELSEWHERE

FILE = """
import pytest

@pytest.mark.skipif(True, reason="needs chromium and chromedriver on the path")
def test_in_a_browser(): ...

def test_example():
    pytest.skip("{elsewhere}: torch 2.6 (here 2.13)")

@pytest.mark.xfail(strict=True)
def test_known(): assert False
"""


@pytest.mark.parametrize(("ci", "counted"), [("true", "1 skipped, 1 xfailed, 1 error"), ("", "2 skipped, 1 xfailed")])
def test_a_missing_browser_fails_in_ci_and_skips_elsewhere(tmp_path: Path, ci: str, counted: str) -> None:
    (tmp_path / "test_it.py").write_text(FILE.format(elsewhere=ELSEWHERE), encoding="utf-8")
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "tests.support.skips",
        "--rootdir",
        str(tmp_path),
        str(tmp_path),
    ]
    environment = os.environ | {"CI": ci, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False, env=environment)
    assert counted in done.stdout, done.stdout + done.stderr
    assert (done.returncode == 0) != bool(ci)
    assert ("skipped where it must run: needs chromium" in done.stdout) == bool(ci)
