"""Where do the methods of a section come from? BibTeX of `docs/references.bib`, which the wheel carries beside this file."""

import functools
import re
from collections.abc import Iterable
from importlib.metadata import metadata
from pathlib import Path

_PLACES = (Path(__file__).parent / "references.bib", Path(__file__).parents[2] / "docs" / "references.bib")
_ENTRY = re.compile(r"^@\w+\{(\w+),.*?^\}", re.DOTALL | re.MULTILINE)


def bibtex(keys: Iterable[str]) -> str:
    """The entries of some keys in their order, and that of this package last.

    Args:
        keys: of the bibliography.

    Raises:
        KeyError: if it has no such entry.
    """
    return "\n\n".join([*(_entries()[key] for key in keys), _own_entry()])


@functools.cache
def _entries() -> dict[str, str]:
    path = next(place for place in _PLACES if place.is_file())
    return {found[1]: found[0] for found in _ENTRY.finditer(path.read_text(encoding="utf-8"))}


def _own_entry() -> str:
    about = metadata("t5-interp")
    return (
        "@software{t5interp,\n  author = {The t5-interp authors},\n"
        f"  title = {{t5-interp: {about['Summary'].rstrip('.')}}},\n  version = {{{about['Version']}}}\n}}"
    )
