"""What is in the trusted markup of a view: its scripts, its identifiers, and every address it would load.

A page holds all it shows, and its Content-Security-Policy allows scripts one by one; so each view is read before it is printed.
"""

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from html.parser import HTMLParser

from interp.report.blocks import Sketch, View

_BESIDE = re.compile(r"(?:[a-z0-9][a-z0-9_-]*/)*[a-z0-9][a-z0-9_-]*\.html(?:#[a-z0-9_-]+)?")

_ADDRESSES = ("src", "href", "srcset", "data", "action")


@dataclass(frozen=True)
class Scripts:
    """The scripts of a page's views.

    Attributes:
        texts: each script's text, in order.
        drawn: whether a view is BertViz's, which needs its libraries.
    """

    texts: tuple[str, ...]
    drawn: bool


class _Markup(HTMLParser):
    """Collects what matters about one view."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self.identifiers: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        # A link to a file beside the page is followed by its reader and loads nothing by itself.
        link = tag == "a" and _BESIDE.fullmatch(values.get("href") or "")
        self.addresses += [
            values[name] or "" for name in _ADDRESSES if name in values and not (link and name == "href")
        ]
        self.identifiers += [values["id"] or ""] if "id" in values else []
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data


def read_scripts(views: Iterable[View | Sketch]) -> Scripts:
    """The scripts of all views of one page, checked to be self-contained and distinct; sketches have none.

    Raises:
        ValueError: if one would load something from outside, a sketch has a script, or the same view occurs twice.
    """
    scripts: list[str] = []
    roots: Counter[str] = Counter()
    for view in views:
        markup = _Markup()
        markup.feed(view.html)
        markup.close()
        outside = [address for address in markup.addresses if not address.startswith(("data:", "#"))]
        if outside:
            kind = type(view).__name__
            raise ValueError(f"{kind} {view.name!r} would load {outside[0]!r}; a page must hold everything it shows.")
        if isinstance(view, Sketch) and markup.scripts:
            raise ValueError(f"Sketch {view.name!r} holds a script; make it a View, or leave the script out.")
        scripts += markup.scripts
        roots.update(identifier for identifier in markup.identifiers if identifier.startswith("bertviz-"))
    repeated = [root for root, times in roots.items() if times > 1]
    if repeated:
        raise ValueError(f"The same interactive view ({repeated[0]}) occurs twice in the report; show it once.")
    return Scripts(tuple(scripts), drawn=bool(roots))
