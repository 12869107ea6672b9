"""What one page of a prompt costs in the section on heads, where every head is drawn: run `python -m benchmarks.prompt_page`.

Pages are markup (pictures of a few hundred bytes), because a figure costs a third of a second and a run draws a hundred pages.
"""

import argparse
import statistics
import time

import numpy as np

from analyses.core.contract import Example
from analyses.head_specialization.present.prompt_page import portray
from interp.axes import ATTENTION_KINDS


def example(tokens: int, layers: int, heads: int) -> Example:
    """A prompt of so many tokens with random patterns of so many heads in each kind of attention."""
    generator = np.random.default_rng(0)
    pieces = tuple(f"▁{index}" for index in range(tokens))
    shape = (layers, heads, tokens)
    patterns = {f"pattern.{kind}": generator.dirichlet(np.full(tokens, 0.2), shape) for kind in ATTENTION_KINDS}
    return Example("p0", pieces, pieces, pieces, patterns, 1)


def seconds(shown: Example, rounds: int) -> float:
    """Median processor time of one page, after one that is not counted."""
    portray(shown)
    times = []
    for _ in range(rounds):
        started = time.process_time()
        portray(shown)
        times.append(time.process_time() - started)
    return statistics.median(times)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=15)
    rounds = parser.parse_args().rounds
    for tokens, layers, heads in ((24, 2, 3), (24, 4, 8), (60, 6, 12)):
        taken = 1000 * seconds(example(tokens, layers, heads), rounds)
        print(f"{tokens} tokens, {layers} layers of {heads} heads: {taken:.0f} ms")


if __name__ == "__main__":
    main()
