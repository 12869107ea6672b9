"""How long does the geometry of a whole vocabulary take, and how much memory?

A random table of T5's size, 32,000 pieces, 100 sentinels and 28 unused rows, 512 features; both static spaces, hubs among all
pieces (no sample), intrinsic dimension at up to 4,000 pieces. The bars are 20 s on 2 cores and 1.5 GB. Processor time is printed
too: on a busy machine it tells what the wall clock cannot.

    python -m benchmarks.embedding_geometry
"""

import resource
import sys
import time

import numpy as np

from analyses.embedding_geometry.measure.whole_table import count_hubs, table_geometry
from interp.geometry import two_nn_at_sizes
from interp.text.vocabulary import KINDS, Vocabulary

PIECES, SENTINELS, UNUSED, FEATURES = 32_000, 100, 28, 512
SIZES = (500, 1000, 2000, 4000)
BAR_SECONDS, BAR_GIGABYTES = 20.0, 1.5


def vocabulary() -> Vocabulary:
    """Rows of every kind; frequencies fall with the rank, as in text (Zipf)."""
    kinds = np.repeat([KINDS.index(kind) for kind in ("piece", "sentinel", "unused")], [PIECES, SENTINELS, UNUSED])
    rank = np.arange(1, PIECES + 1)
    frequency = -np.log(rank) - np.log((1 / rank).sum())
    rest = np.full(SENTINELS + UNUSED, np.nan)
    return Vocabulary(("▁x",) * len(kinds), kinds, np.concatenate([frequency, rest]))


def main() -> int:
    """Time one full analysis; exit status 1 above a bar."""
    words = vocabulary()
    generator = np.random.default_rng(0)
    shape = (PIECES + SENTINELS + UNUSED, FEATURES)
    # A common direction, as in trained tables, so that there are hubs.
    table = (generator.normal(size=shape) + 0.2).astype(np.float32)
    output = table * generator.uniform(0.5, 1.5, size=FEATURES).astype(np.float32)
    wall, processor = time.perf_counter(), time.process_time()
    hubs = count_hubs(table, words, None, 0)
    steps = {"hubs": time.perf_counter() - wall}
    found = [table_geometry(table, words, hubs), table_geometry(output, words, None)]
    steps["tables"] = time.perf_counter() - wall - steps["hubs"]
    sizes = [two_nn_at_sizes(space, SIZES, 0, rows=np.flatnonzero(words.ordinary)) for space in (table, output)]
    steps["dimension"] = time.perf_counter() - wall - steps["hubs"] - steps["tables"]
    seconds, processor = time.perf_counter() - wall, time.process_time() - processor
    # Linux counts the peak in kibibytes, macOS in bytes.
    gigabytes = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024) / 1e9
    parts = ", ".join(f"{name} {value:.1f}" for name, value in steps.items())
    print(f"wall {seconds:.1f} s ({parts}), processor {processor:.1f} s, peak {gigabytes:.2f} GB")
    print(f"skewness of hubs {found[0].hub_skewness:.2f}, intrinsic dimension {np.round(sizes[0], 1).tolist()}")
    return int(seconds > BAR_SECONDS or gigabytes > BAR_GIGABYTES)


if __name__ == "__main__":
    sys.exit(main())
