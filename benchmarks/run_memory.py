"""Peak memory of a whole run with few and with many prompts: what grows with their number must stay small. Linux only.

python -m benchmarks.run_memory                  # 100 and 1,000 prompts; the bar is 1.3
python -m benchmarks.run_memory 50 500 -a logit_attribution
"""

import argparse
import itertools
import os
import random
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

_SUBJECTS = (
    "The old farmer|A small dog|My sister|The tall teacher|A hungry cat|Our neighbour|The tired nurse|A young painter"
)
_VERBS = "carries|finds|watches|cleans|sells|forgets|paints|opens"
_OBJECTS = "a wooden chair|the red bicycle|a heavy basket|the blue door|an empty bottle|the green table|a broken clock"
_PLACES = "in the garden|near the river|behind the house|at the station|before breakfast|every Sunday|with great care"
_LANGUAGES = ("German", "French")


@dataclass(frozen=True)
class Usage:
    """What one run took.

    Attributes:
        prompts: how many.
        peak: resident bytes of its largest process.
        seconds: of wall clock.
    """

    prompts: int
    peak: int
    seconds: float


def sentences(count: int, seed: int = 0) -> list[str]:
    """Different sources of our own, 8 to 15 words each, in random order: every combination of four lists, in two languages."""
    parts = [part.split("|") for part in (_SUBJECTS, _VERBS, _OBJECTS, _PLACES)]
    made = [
        f"translate English to {language}: {' '.join(words)}."
        for words in itertools.product(*parts)
        for language in _LANGUAGES
    ]
    random.Random(seed).shuffle(made)
    if count > len(made):
        raise ValueError(f"There are {len(made)} different sentences, not {count}.")
    return made[:count]


def measure(prompts: int, arguments: list[str]) -> Usage:
    """Run the command in a process of its own.

    Args:
        prompts: how many.
        arguments: further options of `interp run`.
    """
    with tempfile.TemporaryDirectory() as folder:
        texts = Path(folder) / "prompts.txt"
        texts.write_text("\n".join(sentences(prompts)) + "\n", encoding="utf-8")
        words = ["run", "--quiet", "--prompts", str(texts), "--out", str(Path(folder) / "run"), *arguments]
        started = time.monotonic()
        process = subprocess.Popen([sys.executable, "-m", "analyses.cli", *words], stdout=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        if process.returncode != 0:
            raise RuntimeError(f"interp {' '.join(words)} ended with {process.returncode}")
        return Usage(prompts, usage.ru_maxrss * 1024, time.monotonic() - started)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("counts", nargs="*", type=int, default=[100, 1000])
    parser.add_argument("--twins", default="2")
    parser.add_argument("-a", "--analyses")
    chosen = parser.parse_args()
    extra = ["--twins", chosen.twins, *(["--analyses", chosen.analyses] if chosen.analyses else [])]
    first: Usage | None = None
    for count in chosen.counts:
        usage = measure(count, extra)
        first = first or usage
        print(
            f"{count:6d} prompts  {usage.peak / 2**20:7.0f} MiB  {usage.peak / first.peak:5.2f}x  {usage.seconds:6.0f} s",
            flush=True,
        )


if __name__ == "__main__":
    main()
