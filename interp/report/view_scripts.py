"""What is in the markup of a view: its scripts, its identifiers, and every address it would load.

A page holds all it shows, and its Content-Security-Policy allows scripts one by one; so each view is read before it is printed.
"""

from collections import Counter
from collections.abc import Iterable
from html.parser import HTMLParser

from markupsafe import Markup

from interp.report.blocks import Block, Card, View
from interp.report.card_parts import leads_beside

_ADDRESSES = ("src", "href", "srcset", "data", "action")


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
        link = tag == "a" and leads_beside(values.get("href") or "")
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


def read_scripts(blocks: Iterable[Block]) -> tuple[list[str], bool]:
    """The scripts of all views of one page, checked to be self-contained and distinct; cards have none.

    Args:
        blocks: the blocks of the page.

    Returns:
        Each script's text, in order, and whether a view is BertViz's, which needs its libraries.

    Raises:
        ValueError: if one would load something from outside, a card has a script, or the same view occurs twice.
    """
    scripts: list[str] = []
    roots: Counter[str] = Counter()
    for block in blocks:
        if not isinstance(block, View | Card):
            continue
        markup, kind = _Markup(), type(block).__name__
        for trusted in [block.html] if isinstance(block, View) else block.parts:
            markup.feed(str(trusted) if isinstance(trusted, Markup) else "")
        markup.close()
        outside = [address for address in markup.addresses if not address.startswith(("data:", "#"))]
        if outside:
            raise ValueError(f"{kind} {block.name!r} would load {outside[0]!r}; a page must hold everything it shows.")
        if isinstance(block, Card) and markup.scripts:
            raise ValueError(f"Card {block.name!r} holds a script; make it a View, or leave the script out.")
        scripts += markup.scripts
        roots.update(identifier for identifier in markup.identifiers if identifier.startswith("bertviz-"))
    repeated = [root for root, times in roots.items() if times > 1]
    if repeated:
        raise ValueError(f"The same interactive view ({repeated[0]}) occurs twice in the report; show it once.")
    return scripts, bool(roots)
