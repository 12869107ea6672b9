"""How far a run is: noted in its hidden folder as it goes on, so that one that failed or was killed leaves a record."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from analyses.runs.run_place import STATUS
from interp.errors import InputError
from interp.input_files import parse_json, read_regular
from interp.output_files import write_whole

if TYPE_CHECKING:
    from analyses.core.observing import Progress

_SECONDS = 1.0
"""Between two notes."""


@dataclass(slots=True)
class Status:
    """What is noted of a run under way.

    Attributes:
        folder: its hidden folder.
        facts: when it began, what it does and how much of it is done, and how it ended.
    """

    folder: Path
    facts: dict[str, Any] = field(default_factory=dict)
    _noted: float = 0.0

    @contextmanager
    def following(self) -> Iterator[None]:
        """Note the beginning, and how the body ended if it failed."""
        self._note(began=_now(), doing="starting", done=0, total=0, ended=None)
        try:
            yield
        except InputError:
            raise
        except BaseException as error:
            with suppress(OSError):
                reason = (
                    "interrupted"
                    if isinstance(error, KeyboardInterrupt)
                    else f"failed: {type(error).__name__}: {error}"
                )
                self._note(ended=reason[:500])
            raise

    def told(self, progress: "Progress") -> "Progress":
        """A progress that is noted too, at most once a second."""

        def follow(doing: str, done: int, total: int) -> None:
            progress(doing, done, total)
            if time.monotonic() - self._noted > _SECONDS:
                self._noted = time.monotonic()
                self._note(doing=doing, done=done, total=total)

        return follow

    def _note(self, **facts: Any) -> None:
        self.facts |= {**facts, "at": _now()}
        if self.folder.is_dir():  # it is gone once the run is shown
            write_whole(self.folder / STATUS, json.dumps(self.facts).encode())


def read_status(folder: Path) -> dict[str, Any]:
    """What was noted last in a hidden folder; empty where nothing can be read."""
    try:
        found = parse_json(read_regular(folder / STATUS, 2**16, follow_links=False))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
