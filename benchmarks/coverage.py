"""How often do intervals cover the mean, and tests reject a true null? `python -m benchmarks.coverage` prints both tables.

Simulated prompts of four distributions, from 6 to 60 of them; the nominal coverage is 95 %, the nominal level 5 %. A ratio is one
of an exponential to an independent, narrower denominator. The tables stand in the method cards.
"""

from collections.abc import Callable

import numpy as np

from interp.statistics import (
    FEWEST_TESTED,
    bootstrap_mean,
    bootstrap_ratio,
    max_statistic_test,
    skewness_corrected_test,
)

SIZES = (6, 8, 20, 60)
EXPERIMENTS = 4000
RESAMPLES = 2000
CELLS, FAMILIES = 50, 200
"""Cells that are tested together, and how many such families."""

Sampler = Callable[[np.random.Generator, tuple[int, int]], np.ndarray]
DISTRIBUTIONS: dict[str, tuple[Sampler, float]] = {
    "normal": (lambda draw, shape: draw.normal(size=shape), 0.0),
    "exponential": (lambda draw, shape: draw.exponential(size=shape), 1.0),
    "beta(0.5, 2)": (lambda draw, shape: draw.beta(0.5, 2.0, size=shape), 0.2),
    "lognormal": (lambda draw, shape: draw.lognormal(size=shape), float(np.exp(0.5))),
}


def coverage(name: str, size: int, seed: int = 0) -> float:
    """Share of simulated experiments whose interval holds the true mean."""
    sampler, truth = DISTRIBUTIONS[name]
    values = sampler(np.random.default_rng([seed, size]), (size, EXPERIMENTS))
    interval = bootstrap_mean(values, seed, RESAMPLES)
    return float(((interval.low <= truth) & (truth <= interval.high)).mean())


def ratio_coverage(size: int, seed: int = 0) -> float:
    """The same for a ratio of means, with the true value 0.5."""
    draw = np.random.default_rng([seed, size])
    top, bottom = draw.exponential(size=(size, EXPERIMENTS)), draw.uniform(1.0, 3.0, (size, EXPERIMENTS))
    interval = bootstrap_ratio(top, bottom, seed, RESAMPLES)
    return float(((interval.low <= 0.5) & (interval.high >= 0.5)).mean())


def level(name: str, size: int, corrected: bool) -> float:
    """Share of simulated families of `CELLS` cells with a mean of 0 in which a cell passes the 5 % level."""
    sampler, truth = DISTRIBUTIONS[name]
    test = skewness_corrected_test if corrected else max_statistic_test
    passed = [
        bool((test(sampler(np.random.default_rng([one, size]), (size, CELLS)) - truth, one, 499).p_value <= 0.05).any())
        for one in range(FAMILIES)
    ]
    return float(np.mean(passed))


def main() -> None:
    """Prints the tables of coverage and of levels."""
    print("| distribution | " + " | ".join(f"n = {size}" for size in SIZES) + " |")
    print("|---" * (len(SIZES) + 1) + "|")
    for name in DISTRIBUTIONS:
        print(f"| {name} | " + " | ".join(f"{coverage(name, size):.3f}" for size in SIZES) + " |")
    print("| ratio | " + " | ".join(f"{ratio_coverage(size):.3f}" for size in SIZES) + " |")
    sizes = [size for size in (*SIZES, 40) if size >= FEWEST_TESTED]
    print(
        "\n| family-wise level, sign flips / corrected | " + " | ".join(f"n = {size}" for size in sorted(sizes)) + " |"
    )
    print("|---" * (len(sizes) + 1) + "|")
    for name in DISTRIBUTIONS:
        pairs = [
            " / ".join(f"{level(name, size, corrected):.2f}" for corrected in (False, True)) for size in sorted(sizes)
        ]
        print(f"| {name} | " + " | ".join(pairs) + " |")


if __name__ == "__main__":
    main()
