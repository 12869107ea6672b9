"""Weights of resamples: how often each prompt occurs in every bootstrap draw, by blocks (Efron and Tibshirani 1993)."""

from collections.abc import Iterable, Iterator
from functools import lru_cache

import numpy as np
from jaxtyping import Float

# Numbers held at once: 2 MiB of weights a block, 8 MiB of weights that are kept.
_BLOCK = 2**18
_KEPT = 2**20


def resample_weights(n_prompts: int, seed: int, resamples: int) -> Iterable[Float[np.ndarray, "draw prompt"]]:
    """Blocks of draws: how often each prompt occurs in each resample; the last few are kept where they are small.

    Args:
        n_prompts: how many there are.
        seed: of the draws.
        resamples: how many.
    """
    small = n_prompts * resamples <= _KEPT
    return _kept_weights(n_prompts, seed, resamples) if small else _drawn_weights(n_prompts, seed, resamples)


@lru_cache(maxsize=4)
def _kept_weights(n_prompts: int, seed: int, resamples: int) -> tuple[Float[np.ndarray, "draw prompt"], ...]:
    return tuple(_drawn_weights(n_prompts, seed, resamples))


def _drawn_weights(n_prompts: int, seed: int, resamples: int) -> Iterator[Float[np.ndarray, "draw prompt"]]:
    generator = np.random.default_rng(seed)
    rows = max(1, _BLOCK // n_prompts)
    for start in range(0, resamples, rows):
        size = min(rows, resamples - start)
        drawn = generator.integers(n_prompts, size=(size, n_prompts))
        drawn += n_prompts * np.arange(size)[:, None]
        yield np.bincount(drawn.ravel(), minlength=drawn.size).reshape(drawn.shape).astype(np.float64)
