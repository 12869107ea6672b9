"""A job for engines that a test computes in no time."""

from functools import partial

from analyses.core.observing import ConfiguredAnalysis
from analyses.core.registry import get
from analyses.core.shards import Shards
from analyses.core.work import Job
from interp.model.untrained_twins import Architecture
from tests.support.models import tiny

FOCUS = get("cross_attention_focus")


def job(store: Shards | None = None) -> Job:
    """Five batches of two prompts in three shards, with two twins."""
    ids = [f"p{number}" for number in range(10)]
    shards = [(0, 2), (2, 4), (4, 5)]
    model = tiny("byt5")
    batches, items = [model.batch(["a", "b"], ["x", "y"])] * 5, [ConfiguredAnalysis(FOCUS, FOCUS.settings())]
    kept = {} if store is None else store
    return Job(partial(tiny, "byt5"), Architecture.of(model), ids, batches, shards, items, (7, 8), kept)
