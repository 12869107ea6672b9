"""The registry: which analyses are there? Ours in report order, then those of other packages, by name.

Another distribution adds an analysis by an entry point of the group `interp.analyses` whose name is the analysis' name and whose
object is its `Analysis`:

    [project.entry-points."interp.analyses"]
    word_order = "my_package.word_order:ANALYSIS"

Nothing is imported before it is asked for, so an analysis that cannot be loaded harms nobody who does not ask for it.
"""

from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from interp.errors import InputError, did_you_mean

if TYPE_CHECKING:
    from analyses.core.contract import Analysis, Settings

ANALYSES: dict[str, str] = {
    "head_specialization": "what each attention head does: position, content, sinks",
    "cross_attention_focus": "what the decoder reads in each layer",
    "logit_attribution": "which heads and layers wrote the predicted logit",
    "embedding_geometry": "how the embeddings of words lie",
    "circuits": "which edges between heads and MLPs carry an answer (on minimal pairs; when asked for)",
    "expert_routing": "which tokens each expert computes (in models with experts; when asked for)",
}
"""Name -> one line, in the order of the report."""

DEFAULT = tuple(name for name in ANALYSES if name not in ("circuits", "expert_routing"))
"""Those of a run that names none: circuits ask about pairs of their own and cost as much as all others together, and experts are
in few models."""

GROUP = "interp.analyses"
"""Entry-point group in which other distributions offer analyses."""


@dataclass(frozen=True, slots=True)
class PlugIn:
    """An analysis of another distribution, not yet imported.

    Attributes:
        name: of the analysis, as the entry point gives it.
        distribution: who offers it.
        version: of that distribution.
        entry: where its `Analysis` is.
    """

    name: str
    distribution: str
    version: str
    entry: EntryPoint

    def __str__(self) -> str:
        return f"{self.name!r} of {self.distribution} {self.version}"

    def describe(self) -> str:
        """One line, from the distribution's metadata alone."""
        summary = None if self.entry.dist is None else self.entry.dist.metadata["Summary"]
        return f"{summary or 'plug-in'} ({self.distribution} {self.version})"

    def load(self) -> "Analysis":
        """Import the analysis.

        Raises:
            InputError: naming the plug-in, if it cannot be imported or is not what it should be.
        """
        # Names are asked for far more often than analyses, and must come at once.
        from analyses.core.contract import Analysis

        try:
            found = self.entry.load()
        except Exception as error:  # importing another package may raise anything
            reason = " ".join(str(error).split()) or "no message"
            raise InputError(f"The plug-in {self} cannot be loaded: {type(error).__name__}: {reason}") from error
        if not isinstance(found, Analysis):
            kind = type(found).__name__
            raise InputError(
                f"The plug-in {self} cannot be used: {self.entry.value} is of type {kind}, not an Analysis."
            )
        if found.name != self.name:
            raise InputError(f"The plug-in {self} cannot be used: its Analysis calls itself {found.name!r}.")
        return found

    def source_hash(self) -> str:
        """SHA-256 over the Python files of the top package that holds it: a version number does not change while one edits."""
        spec = find_spec(self.entry.module.split(".")[0])
        folders = [] if spec is None else [Path(place) for place in spec.submodule_search_locations or ()]
        files = [path for folder in folders for path in sorted(folder.rglob("*.py"))]
        if spec is not None and not folders and spec.origin is not None:
            files = [Path(spec.origin)]
        return sha256(b"".join(sha256(path.read_bytes()).digest() for path in files)).hexdigest()


@cache
def plug_ins() -> dict[str, PlugIn]:
    """Analyses that other installed distributions offer, by name. A name that is taken goes to whoever comes first.

    Ours come first, then distributions by their name.
    """
    found: dict[str, PlugIn] = {}
    offered = [
        PlugIn(entry.name, entry.dist.name, entry.dist.version, entry)
        for entry in entry_points(group=GROUP)
        if entry.dist is not None
    ]
    for plug_in in sorted(offered, key=lambda plug_in: (plug_in.name, plug_in.distribution)):
        if plug_in.name not in ANALYSES:
            found.setdefault(plug_in.name, plug_in)
    return found


def names() -> tuple[str, ...]:
    """Every analysis there is, in report order."""
    return (*ANALYSES, *plug_ins())


def check(name: str) -> None:
    """Hold a name to those that exist, without importing anything.

    Raises:
        InputError: if there is no such analysis; the message offers the nearest.
    """
    if name not in names():
        raise InputError(
            f"No analysis is called {name!r}{did_you_mean(name, names())}; known are {', '.join(names())}."
        )


def get(name: str) -> "Analysis":
    """The analysis of a name.

    Raises:
        InputError: if there is none, or it belongs to a plug-in that cannot be loaded.
    """
    check(name)
    if name in ANALYSES:
        analysis: Analysis = import_module(f"analyses.{name}").ANALYSIS
        return analysis
    return plug_ins()[name].load()


def settings_of(name: str) -> "type[Settings]":
    """What a user may choose for an analysis; of ours, read without importing the analysis itself.

    Raises:
        InputError: as for `get`.
    """
    check(name)
    if name not in ANALYSES:
        return get(name).settings
    from analyses.core.settings import Settings

    found = vars(import_module(f"analyses.{name}.settings")).values()
    return next(
        kind for kind in found if isinstance(kind, type) and issubclass(kind, Settings) and kind is not Settings
    )


def source_of(name: str) -> str:
    """An analysis' name, and whose it is if it is not ours, for messages."""
    return str(plug_ins().get(name, repr(name)))


def loadable() -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The names that can be used, in report order, and one sentence for each plug-in that cannot."""
    usable, complaints = list(ANALYSES), []
    for name, plug_in in plug_ins().items():
        try:
            plug_in.load()
        except InputError as error:
            complaints.append(str(error))
        else:
            usable.append(name)
    return tuple(usable), tuple(complaints)
