"""Docstrings as this package writes them, for reStructuredText.

Code stands in single backticks (Sphinx' default role does that), formulas and examples stand indented below an empty line, and
stars and bars outside backticks mean themselves.
"""

import re
from typing import Any

from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

_SECTION = re.compile(r"^(Args|Attributes|Raises|Returns|Yields|Note|Example)s?:$")
_CODE = re.compile(r"(``.*?``|`[^`]*`)")
_MARKUP = re.compile(r"([*|])|(\w)_(?!\w)")


def literal(lines: list[str]) -> list[str]:
    """Mark what is indented below an empty line as text to be shown as it stands, and quote markup elsewhere."""
    done: list[str] = []
    inside, in_section = False, False
    for number, line in enumerate(lines):
        indented = line.startswith("    ")
        if line.strip() and not indented:
            inside, in_section = False, bool(_SECTION.match(line))
        begins = indented and not inside and not in_section and number > 0 and not lines[number - 1].strip()
        if begins:
            done += ["::", ""]
            inside = True
        done.append(line if inside and indented else _quoted(line))
    return done


def _quoted(line: str) -> str:
    parts = _CODE.split(line)
    return "".join(
        part if position % 2 else _MARKUP.sub(lambda found: f"\\{found[1]}" if found[1] else f"{found[2]}\\_", part)
        for position, part in enumerate(parts)
    )


def _process(app: Sphinx, what: str, name: str, thing: Any, options: Any, lines: list[str]) -> None:
    lines[:] = literal(lines)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Come before the extension that reads Google style."""
    app.connect("autodoc-process-docstring", _process, priority=100)
    return {"version": "1", "parallel_read_safe": True}
