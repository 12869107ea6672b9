"""How long commands take that need no model, beside importing torch and transformers: run `python -m benchmarks.command_start`.

What is printed is the median wall time of the whole command, and that as a share of importing what a model needs.
"""

import argparse
import statistics
import subprocess
import sys
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
FLOOR = (sys.executable, "-c", "import torch, transformers; transformers.AutoModelForSeq2SeqLM")


def seconds(command: tuple[str, ...], rounds: int) -> float:
    """Median wall time of a command, after one start that is not counted."""
    times = []
    for _ in range(rounds + 1):
        started = time.perf_counter()
        subprocess.run(command, capture_output=True, check=True)
        times.append(time.perf_counter() - started)
    return statistics.median(times[1:])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    floor = seconds(FLOOR, rounds)
    print(f"importing torch and transformers: {floor:.2f} s")
    for command in COMMANDS:
        taken = seconds((sys.executable, "-m", "analyses.cli", *command), rounds)
        print(f"interp {' '.join(command)}: {taken:.2f} s, {taken / floor:.2f} of it")


if __name__ == "__main__":
    main()
