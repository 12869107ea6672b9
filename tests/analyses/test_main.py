"""The command's first moments: an interrupt while it imports ends it quietly, and one that is to be ignored is ignored."""

import subprocess
import sys

import pytest

from tests.support.paths import ROOT

# The interrupt comes while the named module is being looked for, in the middle of an import; here it may not be swallowed.
INTERRUPTED = """
import os, signal, sys
class Interrupt:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            sys.meta_path.remove(self)
            os.kill(os.getpid(), signal.SIGINT)
sys.meta_path.insert(0, Interrupt())
signal.signal(signal.SIGINT, signal.default_int_handler)  # whoever runs the tests may have it ignored
{before}
sys.argv = ["interp", "--version"]
from analyses.__main__ import main
main()
"""


def command(module: str, before: str = "") -> subprocess.CompletedProcess[str]:
    code = INTERRUPTED.format(module=module, before=before)
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False, cwd=ROOT)


@pytest.mark.parametrize("module", ["analyses.cli", "typer", "analyses.commands.weights"])
def test_an_interrupt_while_the_command_imports_ends_it_without_a_word(module: str) -> None:
    done = command(module)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


def test_an_interrupt_that_is_to_be_ignored_is_ignored() -> None:
    done = command("typer", "signal.signal(signal.SIGINT, signal.SIG_IGN)")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("t5-interp ")


def test_the_package_is_the_command() -> None:
    words = [sys.executable, "-m", "analyses", "--version"]
    done = subprocess.run(words, capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout.startswith("t5-interp ")
