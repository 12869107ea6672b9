"""The analyses: each observes a model on prompts, summarises with controls, and presents a report section.

    from analyses import analyse

    study = analyse("cross_attention_focus", model, batch)

Importing this package loads nothing: every public name is fetched when it is first used. `Analysis` and what it is given are
also what other packages build on (entry points of the group `interp.analyses`).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from analyses._contract import Analysis as Analysis
    from analyses._contract import Evidence as Evidence
    from analyses._contract import Example as Example
    from analyses._contract import Observed as Observed
    from analyses._contract import Pass as Pass
    from analyses._contract import Settings as Settings
    from analyses.config import RunConfig as RunConfig
    from analyses.runner import run as run
    from analyses.study import Study as Study
    from analyses.study import analyse as analyse

_HOME = {
    "Analysis": "analyses._contract",
    "Evidence": "analyses._contract",
    "Example": "analyses._contract",
    "Observed": "analyses._contract",
    "Pass": "analyses._contract",
    "RunConfig": "analyses.config",
    "Settings": "analyses._contract",
    "Study": "analyses.study",
    "analyse": "analyses.study",
    "run": "analyses.runner",
}

__all__ = sorted(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'analyses' has no attribute {name!r}; public names are {', '.join(__all__)}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return __all__
