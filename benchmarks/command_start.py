"""How long commands take beside importing what a model needs: run `python -m benchmarks.command_start`.

Commands about files and names need no model; `show` loads one, runs it and writes its page. What is printed is the median time of
the whole command, processor and wall, and the processor's as a share of importing torch and the host's model class.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time

COMMANDS: tuple[tuple[str, ...], ...] = (
    ("--help",),
    ("tokens", "translate English to German: The dog is running."),
    ("list", "hooks"),
    ("list", "settings"),
    ("list", "analyses"),
    ("list", "prompts"),
    ("verify", "reports/example"),
    ("diff", "reports/example", "reports/example"),
    ("open", "reports/example", "--print"),
)
IMPORTS = (
    "import torch, transformers",
    "import torch; from transformers import AutoTokenizer, T5ForConditionalGeneration",
)


def seconds(command: tuple[str, ...], rounds: int) -> tuple[float, float]:
    """Median processor and wall time of a command, after one start that is not counted."""
    times = []
    for _ in range(rounds + 1):
        started, used = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(command, capture_output=True, check=True)
        now = resource.getrusage(resource.RUSAGE_CHILDREN)
        processor = now.ru_utime + now.ru_stime - used.ru_utime - used.ru_stime
        times.append((processor, time.perf_counter() - started))
    return statistics.median(one for one, _ in times[1:]), statistics.median(one for _, one in times[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    floor = 0.0
    for code in IMPORTS:
        floor, wall = seconds((sys.executable, "-c", code), rounds)
        print(f"{code}: {floor:.2f} s of the processor, {wall:.2f} s")
    with tempfile.TemporaryDirectory() as folder:
        show = (
            "show",
            "translate English to German: The dog is running.",
            "--out",
            f"{folder}/page.html",
            "--overwrite",
        )
        for command in (*COMMANDS, show):
            taken, wall = seconds((sys.executable, "-m", "analyses.cli", *command), rounds)
            print(f"interp {' '.join(command)}: {taken:.2f} s of the processor, {wall:.2f} s; {taken / floor:.2f}")


if __name__ == "__main__":
    main()
