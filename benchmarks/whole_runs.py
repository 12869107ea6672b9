"""How long whole commands take, against another commit's: the default `interp run`, and `interp trace` on the shipped tiny runs.

    git worktree add --detach /tmp/old fceafd1
    python -m benchmarks.whole_runs run --old /tmp/old              # alternating; the bar is 0.6
    python -m benchmarks.whole_runs trace                           # four runs of twelve moments; the bar is 60 s
    python -m benchmarks.whole_runs run --old /tmp/old -- --limit 6 --twins 2

Time is the processor's of the command with all its processes, and the wall clock's. What stands behind `--` is added to both
commands. Linux or macOS.
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

HERE = Path(__file__).parents[1]
_TRACES = HERE / "training" / "traces"
COMMANDS = {
    "run": ["run"],
    "trace": [
        *("trace", str(_TRACES / "seed-0"), "--prompts", str(_TRACES / "prompts.jsonl")),
        *("--gold", str(_TRACES / "prompts.gold"), "--control", str(_TRACES / "shuffled")),
        *("--seed-run", str(_TRACES / "seed-1"), "--seed-run", str(_TRACES / "seed-2")),
    ],
}


@dataclass(frozen=True)
class Usage:
    """What one command took, in seconds.

    Attributes:
        processor: of all its processes.
        wall: from its start to its end.
    """

    processor: float
    wall: float


def usage(tree: Path, words: list[str]) -> Usage:
    """Run a command of the package as it is in a working tree, its results thrown away."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "analyses.cli", *words, "--out", f"{folder}/out", "--quiet"]
        started, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(
            command, check=True, stdout=subprocess.DEVNULL, env=os.environ | {"PYTHONPATH": str(tree)}, cwd=folder
        )
        now, wall = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter() - started
    return Usage(now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime, wall)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("command", choices=tuple(COMMANDS))
    parser.add_argument("--old", type=Path, help="a working tree of the commit to compare with")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("more", nargs="*", help="further words of the command, behind --")
    asked = parser.parse_args()
    trees = {"this": HERE} | ({} if asked.old is None else {"old": asked.old.resolve()})
    found: dict[str, list[Usage]] = {name: [] for name in trees}
    for _ in range(asked.rounds):
        for name, tree in trees.items():
            found[name].append(usage(tree, [*COMMANDS[asked.command], *asked.more]))
            print(
                f"{name}: {found[name][-1].processor:.1f} s of processor, {found[name][-1].wall:.1f} s of wall clock",
                flush=True,
            )
    if asked.old is not None:
        for what in ("processor", "wall"):
            ratios = [getattr(a, what) / getattr(b, what) for a, b in zip(found["this"], found["old"], strict=True)]
            print(f"{what}: {statistics.median(ratios):.2f} of the old")


if __name__ == "__main__":
    main()
