"""Other processes that observe for a call in memory, and a folder of their own for what they give."""

import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from analyses.core.evidence import Crew
from analyses.core.shards import Shards
from analyses.core.work import Engine
from analyses.runs.run_folder import Staging
from analyses.runs.run_status import Status
from interp.model.hooked_model import HookedEncoderDecoder
from interp.report.second_process import begin_copy


@contextmanager
def crew_of(
    engine: Engine | None, load: Callable[[], HookedEncoderDecoder]
) -> Iterator[tuple[Crew | None, Shards | None] | None]:
    """A crew and where it keeps its shards, gone with the block; None in a rank that has helped another and is done.

    Args:
        engine: deals the work out; without one there is no crew, and shards stay in memory.
        load: gives the model in each process; to be pickled.
    """
    if engine is None:
        begin_copy()
        yield None, None
        return
    with TemporaryDirectory(prefix="interp-") as name, engine.session() as leads:
        place = Path(name)
        store = Staging(place / "run", place, secrets.token_bytes(32), Status(place))
        yield (Crew(engine, load), store) if leads else None
