"""Real processes, real ranks, a real cluster: one digest, whoever computes, how many, and whoever dies meanwhile."""

import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from analyses.core.contract import Analysis, Arrays, Pass
from analyses.core.evidence import Crew, gather
from analyses.core.observing import ConfiguredAnalysis
from analyses.core.registry import get
from analyses.core.work import Engine, UnitError
from analyses.engines import start
from analyses.runs.config import make_config
from analyses.runs.run_folder import Staging
from analyses.runs.run_status import Status
from analyses.runs.runner import run
from analyses.runs.verify import read_manifest, verify_run
from interp.errors import InputError
from interp.model.hooked_model import HookedEncoderDecoder
from tests.support.models import tiny
from tests.support.processes import computing, kill, parent_of

pytestmark = pytest.mark.slow

CHOICES: dict[str, Any] = {"limit": 6, "twins": 2, "batch_size": 2, "pages": 0}
CONFIG = make_config(analyses=("cross_attention_focus",), **CHOICES)
WORDS = ["--limit", "6", "--twins", "2", "--batch-size", "2", "--pages", "0", "-a", "cross_attention_focus"]


@pytest.fixture(autouse=True)
def _unpinned() -> Iterator[None]:
    """The runner asks torch for deterministic algorithms; give the other tests back what they had."""
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture(scope="module")
def digest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Of the run that one process makes."""
    page = run(CONFIG, tmp_path_factory.mktemp("plain") / "run", overwrite=False, progress=lambda *_: None)
    return read_manifest(page.parent).digest


class Killer:
    """A progress that kills one of the engine's processes after each of some numbers of units."""

    def __init__(self, *after: int) -> None:
        self.waiting, self.killed = list(after), 0
        self.others = set(computing(os.getpid()))  # such as the one that draws figures

    def __call__(self, what: str, done: int, total: int) -> None:
        assert 0 <= done <= total
        due = what.startswith("computing shards") and self.waiting and done >= self.waiting[0]
        if due and (processes := self.left()):
            self.waiting.pop(0)
            kill(processes[self.killed % len(processes)])
            self.killed += 1

    def left(self) -> list[int]:
        """The engine's processes."""
        return [process for process in computing(os.getpid()) if process not in self.others]


@pytest.mark.parametrize(("name", "workers"), [("local", 1), ("local", 2), ("ray", 2)])
def test_the_digest_is_that_of_one_process_whoever_dies(name: Any, workers: int, digest: str, tmp_path: Path) -> None:
    if name == "ray":
        pytest.importorskip("ray", reason="needs the extra `ray`: pip install -e '.[ray]'")
    killer = Killer(1, 2) if workers > 1 else Killer()
    page = run(CONFIG, tmp_path / "run", overwrite=False, progress=killer, engine=start(name, workers))
    assert read_manifest(page.parent).digest == digest
    assert verify_run(page.parent).whole
    assert killer.waiting == []
    assert killer.killed == (2 if workers > 1 else 0)
    assert len(killer.left()) <= 1  # the one that draws figures
    assert [path.name for path in tmp_path.iterdir()] == ["run"]


@pytest.mark.parametrize("rank", [0, 1])
def test_two_ranks_of_torchrun_give_the_same_digest_though_one_is_killed(
    rank: int, digest: str, tmp_path: Path
) -> None:
    """Torchrun asks the other one to leave, and lists its exit code beside that of the one that died."""
    out = tmp_path / "run"
    words = [sys.executable, "-m", "analyses.cli", "run", *WORDS, "--engine", "torchrun", "--workers", "2", "-q"]
    process = subprocess.Popen([*words, "--out", str(out)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    shards = tmp_path / ".run.partial" / "shards"
    while process.poll() is None and not list(shards.glob("model-0*.sha256")):
        time.sleep(0.1)
    kill([each for each in computing(process.pid) if parent_of(each) == process.pid][rank])
    said, errors = process.communicate()
    assert process.returncode == 0, errors
    assert said == f"{out / 'index.html'}\n"
    assert read_manifest(out).digest == digest


def test_a_command_that_is_asked_to_end_takes_the_ranks_of_torchrun_with_it(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "analyses.cli", "run", *WORDS, "--engine", "torchrun", "--workers", "2", "-q"]
    process = subprocess.Popen([*words, "--out", str(tmp_path / "run")], stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not list(tmp_path.glob(".run.partial/shards/*.sha256")):
        time.sleep(0.1)
    ranks = computing(process.pid)
    process.terminate()
    errors = process.communicate()[1]
    assert process.returncode == 128 + signal.SIGTERM, errors
    assert "Traceback" not in errors
    assert len(ranks) >= 2
    assert all(parent_of(rank) is None for rank in ranks)


def test_heads_and_reruns_are_the_same_whoever_observes(tmp_path: Path) -> None:
    model = tiny("byt5")
    assert model.tokenizer is not None
    model.hf.save_pretrained(tmp_path / "model")
    model.tokenizer.save_pretrained(tmp_path / "model")
    lines = [f'{{"source": "{text}", "target": "Ja."}}' for text in ("The cat sleeps.", "A dog runs.", "We sing.")]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines) + "\n")
    of_model = ["-m", str(tmp_path / "model"), "-q"]
    given = [*of_model, "-p", str(tmp_path / "prompts.jsonl"), "--twins", "2", "-b", "2"]

    def told(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "analyses.cli", *words], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    heads = ["heads", *given, "--sample", "2", "--every"]
    assert told(*heads, "--engine", "torchrun", "--workers", "2") == told(*heads)
    told("run", *given, "-a", "cross_attention_focus", "--pages", "0", "--out", str(tmp_path / "run"))
    said = told("rerun", str(tmp_path / "run"), *of_model, "--engine", "local", "--workers", "2")
    assert said == f"The same digest: {read_manifest(tmp_path / 'run').digest}.\n"
    assert {path.name for path in tmp_path.iterdir()} == {"model", "prompts.jsonl", "run"}


def dies(run: Pass) -> Arrays:
    os._exit(9)


def refuses(run: Pass) -> Arrays:
    raise InputError("this model cannot be observed")


def _observed(observe: Any, model: HookedEncoderDecoder, engine: Engine, place: Path) -> None:
    hooks = ("decoder.*.cross_attn.hook_pattern",)
    focus = get("cross_attention_focus")
    item = ConfiguredAnalysis(Analysis("test", "t", "q?", hooks, observe, dict, print), focus.settings())
    batches = [model.batch(["a b", "c d e"], ["x", "y"])]
    store, crew = (
        Staging(place / "run", place, secrets.token_bytes(32), Status(place)),
        Crew(engine, partial(tiny, "byt5")),
    )
    list(gather([item], model, ["one", "two"], batches, 2, 0, store=store, crew=crew))


def test_a_shard_whose_process_dies_three_times_stops_the_run_with_its_prompts(
    tiny_byt5: HookedEncoderDecoder, tmp_path: Path
) -> None:
    with pytest.raises(UnitError, match=r"(?s)model-00000 failed 3 times.*\(prompts one, two\)"):
        _observed(dies, tiny_byt5, start("local", 1), tmp_path)  # type: ignore[arg-type, unused-ignore]


def test_bad_input_found_in_another_process_is_this_ones(tiny_byt5: HookedEncoderDecoder, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be observed"):
        _observed(refuses, tiny_byt5, start("local", 1), tmp_path)  # type: ignore[arg-type, unused-ignore]
