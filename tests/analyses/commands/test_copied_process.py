"""Commands that work in two processes begin the second one as a copy, before a model is loaded; none is left to loky.

What loky begins has semaphores that its tracker tells of ("leaked semlock objects") when the command is ended from outside,
and it imports torch anew.
"""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import ByT5Tokenizer

from interp.report.second_process import second_process
from tests.support.models import tiny_hf
from tests.support.paths import ROOT

pytestmark = pytest.mark.skipif(
    sys.platform != "linux" or second_process() is None, reason="processes are copied on Linux with two cores"
)

_SCRIPT = """
import json, os, sys
sys.argv[0] = "interp"  # what a console script is called
from loky.backend.resource_tracker import _resource_tracker
from interp.report import second_process
{work}
print(json.dumps([os.getpid() in second_process._copies, _resource_tracker._pid is None]))
"""


def copied(work: str, *words: object) -> list[object]:
    """Whether the second process of some work is a copy, and whether loky's tracker was never begun."""
    script = [sys.executable, "-c", _SCRIPT.format(work=work), *map(str, words)]
    done = subprocess.run(script, capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout, done.stderr
    return list(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize("where", ["runs.runner import session_of as begun", "runs.crew import crew_of as begun"])
def test_where_models_are_loaded_there_is_a_copy_already(where: str) -> None:
    asked = "begun(None)" if "session" in where else "begun(None, dict)"
    assert copied(f"from analyses.{where}\nwith {asked}: print(len(second_process._copies))") == [True, True]


@pytest.mark.slow
def test_two_models_are_compared_without_loky(tmp_path: Path) -> None:
    tiny_hf("byt5").save_pretrained(tmp_path / "byt5")
    ByT5Tokenizer().save_pretrained(tmp_path / "byt5")
    lines = [{"source": f"The {word} sleeps.", "target": word} for word in ("dog", "cat", "cow", "man")]
    (tmp_path / "prompts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    work = "from analyses.cli import app\napp(sys.argv[1:], standalone_mode=False)"
    few = ("--prompts", tmp_path / "prompts.jsonl", "--analyses", "cross_attention_focus", "--pages", 0, "--twins", 2)
    out = tmp_path / "both"
    assert copied(work, "compare-models", tmp_path / "byt5", "untrained:0", *few, "--quiet", "--out", out) == [
        True,
        True,
    ]
    assert (out / "index.html").is_file()
