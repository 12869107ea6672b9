"""Engines measured: how much faster two workers are, what 100,000 prompts need, and whether killed workers cost a number.

python -m benchmarks.engines speed                       # t5-small's shape, one and two workers of one thread; the bar is 1.6
python -m benchmarks.engines prompts 1000 100000         # a tiny model, the cheapest analysis; peak memory and time per prompt
python -m benchmarks.engines kills --kills 20            # workers killed at random moments, each engine; one digest

Linux only. Time and memory are those of the whole command with its processes; a busy machine shows in both.
"""

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path

import torch
from transformers import T5Config, T5ForConditionalGeneration

import interp
from analyses.core.observing import ConfiguredAnalysis, make_batches, no_progress, shard_bounds
from analyses.core.registry import ANALYSES, get
from analyses.core.work import Job
from analyses.engines import LocalEngine
from analyses.runs.run_folder import Staging
from analyses.runs.run_status import Status
from analyses.runs.verify import read_manifest
from benchmarks.run_memory import sentences
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.untrained_twins import Architecture
from interp.prompts import Prompt
from tests.support.processes import below, computing, kill

_SMALL = {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8}
_TINY = {"d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 1, "num_heads": 2}
CHEAPEST = "embedding_geometry"


def save_model(folder: Path, sizes: dict[str, int], seed: int = 0) -> None:
    """Write a checkpoint with random weights and the bundled tokenizer.

    Args:
        folder: where.
        sizes: of its configuration.
        seed: of the weights.
    """
    bundled = interp.load(device="cpu")
    own = bundled.hf.config
    ids = {name: getattr(own, name) for name in ("decoder_start_token_id", "pad_token_id", "eos_token_id")}
    torch.manual_seed(seed)
    T5ForConditionalGeneration(T5Config(vocab_size=own.vocab_size, **sizes, **ids)).save_pretrained(folder)
    assert bundled.tokenizer is not None
    bundled.tokenizer.save_pretrained(folder)


def load(folder: Path) -> HookedEncoderDecoder:
    """The model of a folder, on the processor."""
    return interp.load(folder, device="cpu")


def observing_seconds(folder: Path, prompts: int, workers: int, place: Path) -> float:
    """Seconds in which workers that have the model observe all four analyses on all prompts.

    What every worker does before its first shard (importing, loading) is not counted: a corpus pays it once.

    Args:
        folder: of the model.
        prompts: how many, in shards of 64.
        workers: how many processes, on one thread each.
        place: an empty folder.
    """
    torch.set_num_threads(1)
    model = load(folder)
    texts = [Prompt(str(at), text, text.partition(": ")[2]) for at, text in enumerate(sentences(prompts))]
    batches = make_batches(model, texts, 16, no_progress)
    items = [ConfiguredAnalysis(get(name), get(name).settings()).fitted(model, batches) for name in ANALYSES]
    store = Staging(place / "final", place, b"key", Status(place))
    ids = [prompt.id for prompt in texts]
    job = Job(partial(load, folder), Architecture.of(model), ids, batches, shard_bounds(batches), items, (), store)
    units = [unit for unit in job.units() if unit.kind == "shard"]
    moments: list[tuple[int, float]] = []
    LocalEngine(workers).make(job, units, lambda what, done, total: moments.append((done, time.monotonic())))
    # The first unit of every worker pays for its start: time runs from there.
    begun, start = next((done, moment) for done, moment in moments if done >= workers)
    return (moments[-1][1] - start) / (len(units) - begun) * len(units)


def speed(prompts: int, rounds: int) -> None:
    """Print how much faster two workers are than one; rounds alternate."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_model(folder / "model", _SMALL)
        ratios = []
        for turn in range(rounds):
            seconds = []
            for workers in (1, 2) if turn % 2 else (2, 1):
                place = folder / f"{turn}-{workers}"
                place.mkdir()
                seconds.append((workers, observing_seconds(folder / "model", prompts, workers, place)))
            took = dict(seconds)
            ratios.append(took[1] / took[2])
            print(f"round {turn}: one {took[1]:.1f} s, two {took[2]:.1f} s, {ratios[-1]:.2f}x", flush=True)
        print(f"median {sorted(ratios)[len(ratios) // 2]:.2f}x")


def many_prompts(path: Path, count: int) -> None:
    """Write as many different pairs of our own, in random order."""
    short = [
        text.removeprefix("translate English to German: ").rstrip(".") for text in sentences(6272) if "German" in text
    ]
    pairs = itertools.product(range(len(short)), repeat=2)
    numbers = random.Random(0).sample(range(len(short) ** 2), count)
    chosen = set(numbers)
    with path.open("w", encoding="utf-8") as file:
        for number, (first, second) in enumerate(pairs):
            if number in chosen:
                source = f"translate English to German: {short[first]} and {short[second].lower()}."
                file.write(json.dumps({"source": source, "target": f"{short[second]}."}) + "\n")


def prompts_cost(counts: Sequence[int], words: Sequence[str]) -> None:
    """Print peak memory and time per prompt of a run with so many prompts."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_model(folder / "model", _TINY)
        first: tuple[int, int, float] | None = None
        for count in counts:
            many_prompts(folder / "prompts.jsonl", count)
            out = folder / f"run-{count}"
            given = ["--model", str(folder / "model"), "--prompts", str(folder / "prompts.jsonl"), "--out", str(out)]
            chosen = ["--analyses", CHEAPEST, "--twins", "2", "--quiet", *words]
            process = subprocess.Popen(
                [sys.executable, "-m", "analyses.cli", "run", *given, *chosen], stdout=subprocess.DEVNULL
            )
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise RuntimeError(f"interp run ended with {process.returncode}")
            seconds = used.ru_utime + used.ru_stime
            first = first or (count, used.ru_maxrss, seconds)
            rest = (
                ""
                if count == first[0]
                else f", {1000 * (seconds - first[2]) / (count - first[0]):.2f} ms a further one"
            )
            print(
                f"{count:7d} prompts  {used.ru_maxrss / 1024:6.0f} MiB  {used.ru_maxrss / first[1]:.2f}x  "
                f"{1000 * seconds / count:.2f} ms of processor time a prompt{rest}",
                flush=True,
            )


def digest_of(words: Sequence[str], out: Path, kills: int, seed: int) -> tuple[str, int]:
    """The digest of a run some of whose workers are killed, and how many were.

    Args:
        words: options of `interp run`.
        out: its folder.
        kills: how many at most.
        seed: of the moments.
    """
    command = [sys.executable, "-m", "analyses.cli", "run", "--quiet", "--out", str(out), *words]
    process, draw, done = subprocess.Popen(command, stdout=subprocess.DEVNULL), random.Random(seed), 0
    while process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(draw.uniform(0.2, 3.0))
        working = computing(process.pid)
        if process.returncode is None and done < kills and working:
            kill(draw.choice(working))
            done += 1
            with suppress(subprocess.TimeoutExpired):
                process.wait(draw.uniform(1.0, 20.0))  # the next one has to come to its work
    for left in below(process.pid):
        os.kill(left, signal.SIGKILL)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return read_manifest(out).digest, done


def kills(count: int, engines: Sequence[str], each: int) -> None:
    """Print whether the digest is that of an undisturbed run, for every engine; so many kills, in runs with some each."""
    words = ["--analyses", "cross_attention_focus", "--twins", "2", "--batch-size", "4", "--pages", "0"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        undisturbed, _ = digest_of(words, folder / "undisturbed", 0, 0)
        for engine in engines:
            done = runs = same = 0
            while done < count:
                given = [*words, "--engine", engine, "--workers", "2"]
                digest, killed = digest_of(given, folder / f"{engine}-{runs}", min(each, count - done), runs)
                done, runs, same = done + killed, runs + 1, same + (digest == undisturbed)
                print(f"{engine}: {done} kills, {runs} runs, {same} with the digest of the undisturbed run", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("speed", "prompts", "kills"))
    parser.add_argument("counts", nargs="*", type=int)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--each", type=int, default=4, help="kills in one run")
    parser.add_argument("--engines", default="local,torchrun,ray")
    chosen, words = parser.parse_known_args()
    if chosen.what == "speed":
        speed((chosen.counts or [512])[0], chosen.rounds)
    elif chosen.what == "prompts":
        prompts_cost(chosen.counts or [1000, 100_000], words)
    else:
        kills(chosen.kills, chosen.engines.split(","), chosen.each)


if __name__ == "__main__":
    main()
