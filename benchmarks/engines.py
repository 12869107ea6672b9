"""Engines measured: how much faster two workers are, what 100,000 prompts need, and whether killed workers cost a number.

python -m benchmarks.engines speed        # t5-small's shape, one and two workers of one thread; the bar is 1.6 (3 minutes)
python -m benchmarks.engines prompts      # a tiny model, the cheapest analysis; peak memory and time per prompt (8 minutes)
python -m benchmarks.engines kills        # workers killed at random moments, each engine; one digest (8 minutes)

The minutes are those of two quiet cores. What has been measured is printed at once, so that what is cut short is no loss. Linux
only. Time and memory are those of the whole command with its processes; a busy machine shows in both.
"""

import argparse
import itertools
import json
import os
import random
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
from analyses.core.observing import ConfiguredAnalysis, make_batches, no_progress
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
from tests.support.processes import computing, kill

_SMALL = {"d_model": 512, "d_kv": 64, "d_ff": 2048, "num_layers": 6, "num_heads": 8}
_TINY = {"d_model": 16, "d_kv": 4, "d_ff": 24, "num_layers": 1, "num_heads": 2}
CHEAPEST = "logit_attribution"
"""Fewest bytes a prompt (252 on the tiny model; embedding geometry 692, cross-attention focus 708), no vocabulary to compare."""
_UNIT = 16
"""Prompts of a unit whose time is taken: one batch, a quarter of a shard, so that dealing out weighs more than in a run."""


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
        prompts: how many, in units of `_UNIT`.
        workers: how many processes, on one thread each.
        place: an empty folder.
    """
    torch.set_num_threads(1)
    model = load(folder)
    texts = [Prompt(str(at), text, text.partition(": ")[2]) for at, text in enumerate(sentences(prompts))]
    batches = make_batches(model, texts, _UNIT, no_progress)
    items = [ConfiguredAnalysis(get(name), get(name).settings()).fitted(model, batches) for name in ANALYSES]
    store = Staging(place / "final", place, b"key", Status(place))
    ids = [prompt.id for prompt in texts]
    bounds = [(start, start + 1) for start in range(len(batches))]
    job = Job(partial(load, folder), Architecture.of(model), ids, batches, bounds, items, (), store)
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
            took = {}
            for workers in (1, 2) if turn % 2 else (2, 1):
                place = folder / f"{turn}-{workers}"
                place.mkdir()
                took[workers] = observing_seconds(folder / "model", prompts, workers, place)
                print(f"round {turn}: {workers} at work {took[workers]:.1f} s for {prompts} prompts", flush=True)
            ratios.append(took[1] / took[2])
            print(f"round {turn}: {ratios[-1]:.2f}x, median {sorted(ratios)[len(ratios) // 2]:.2f}x", flush=True)


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
    """Print peak memory and time per prompt of runs with so many prompts.

    The time of a further prompt is that between one count and the next, so that what every run pays once is not in it.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_model(folder / "model", _TINY)
        found: list[tuple[int, float, float]] = []
        for count in counts:
            many_prompts(folder / "prompts.jsonl", count)
            given = ["--model", str(folder / "model"), "--prompts", str(folder / "prompts.jsonl")]
            chosen = ["--analyses", CHEAPEST, "--twins", "2", "--batch-size", "128", "--quiet", *words]
            out = ["--out", str(folder / f"run-{count}")]
            process = subprocess.Popen(
                [sys.executable, "-m", "analyses.cli", "run", *given, *chosen, *out], stdout=subprocess.DEVNULL
            )
            _, status, used = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                raise RuntimeError(f"interp run ended with {process.returncode}")
            found.append((count, used.ru_maxrss / 1024, used.ru_utime + used.ru_stime))
            memory, seconds = found[-1][1:]
            said = (
                f"{count:7d} prompts  {memory:6.0f} MiB  {memory / found[0][1]:.2f}x  {seconds:5.0f} s of the processor"
            )
            if len(found) > 1:
                before = found[-2]
                said += f", {1000 * (seconds - before[2]) / (count - before[0]):.2f} ms for each after the first {before[0]}"
            print(said, flush=True)


def digest_of(words: Sequence[str], out: Path, kills: int, seed: int) -> tuple[str, int]:
    """The digest of a run some of whose workers are killed, and how many were.

    Args:
        words: options of `interp run`.
        out: its folder.
        kills: how many at most.
        seed: of the moments.
    """
    command = [sys.executable, "-m", "analyses.cli", "run", "--quiet", "--out", str(out), *words]
    process, draw, done, units = subprocess.Popen(command, stdout=subprocess.DEVNULL), random.Random(seed), 0, 0
    shards = out.with_name(f".{out.name}.partial") / "shards"
    while process.poll() is None:
        with suppress(subprocess.TimeoutExpired):
            process.wait(draw.uniform(0.05, 2.0))
        working, made = computing(process.pid), len(list(shards.glob("[mt]*.sha256")))
        # Between two kills something is made, or a unit would be killed three times before anybody came to it.
        if done < kills and made > units and working:
            kill(draw.choice(working))
            done, units = done + 1, made
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return read_manifest(out).digest, done


def kills(count: int, engines: Sequence[str], each: int) -> None:
    """Print whether the digest is that of an undisturbed run, for every engine; so many kills, in runs with some each."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        save_model(folder / "model", _TINY)
        many_prompts(folder / "prompts.jsonl", 640)
        words = ["--model", str(folder / "model"), "--prompts", str(folder / "prompts.jsonl")]
        words += ["--analyses", CHEAPEST, "--twins", "2", "--pages", "0"]
        words += [f"--set={CHEAPEST}.{name}=0" for name in ("causal_prompts", "patching_pairs", "neurons")]
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
    parser.add_argument("--each", type=int, default=7, help="most kills in one run")
    parser.add_argument("--engines", default="local,torchrun,ray")
    chosen, words = parser.parse_known_args()
    if chosen.what == "speed":
        speed((chosen.counts or [256])[0], chosen.rounds)
    elif chosen.what == "prompts":
        prompts_cost(chosen.counts or [1000, 10_000, 100_000], words)
    else:
        kills(chosen.kills, chosen.engines.split(","), chosen.each)


if __name__ == "__main__":
    main()
