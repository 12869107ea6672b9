"""The bibliography: labels as the text cites them ("Kobayashi et al. 2020"), and a link from every such place to its entry."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

from docutils import nodes
from pybtex.database import Entry, parse_file
from pybtex.plugin import register_plugin
from pybtex.style.formatting.plain import Style
from pybtex.style.labels import BaseLabelStyle
from sphinx.application import Sphinx
from sphinx.util.typing import ExtensionMetadata

FILE = Path(__file__).parent.parent / "references.bib"
PAGE = "bibliography"


def label(entry: Entry) -> str:
    """How the text cites a source: `Page 1963`, `Och and Ney 2003`, `Kobayashi et al. 2020`."""
    names = [
        " ".join(map(str, person.rich_prelast_names + person.rich_last_names)) for person in entry.persons["author"]
    ]
    who = " and ".join(names) if len(names) < 3 else f"{names[0]} et al."
    return f"{who} {entry.fields['year']}"


def keys() -> dict[str, str]:
    """Label -> key of every source, longer labels first, so that none is found inside another."""
    found = {label(entry): key for key, entry in parse_file(FILE).entries.items()}
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


KEYS = keys()
_CITED = re.compile("|".join(re.escape(name).replace(r"\ ", r"\s+") for name in KEYS))


class _LabelStyle(BaseLabelStyle):
    def format_labels(self, entries: Iterable[Entry]) -> Iterator[str]:
        return map(label, entries)


class _BibliographyStyle(Style):
    default_label_style = _LabelStyle


def _link(app: Sphinx, tree: nodes.document, page: str) -> None:
    """Turn every citation on a page into a link to its entry."""
    if page == PAGE:
        return
    base = app.builder.get_relative_uri(page, PAGE)
    for text in list(tree.findall(nodes.Text)):
        if isinstance(text.parent, nodes.reference | nodes.literal | nodes.literal_block | nodes.raw | nodes.title):
            continue
        parts: list[nodes.Node] = []
        end = 0
        for found in _CITED.finditer(text):
            target = f"{base}#cite-{KEYS[' '.join(found[0].split())]}"
            parts += [
                nodes.Text(text[end : found.start()]),
                nodes.reference("", found[0], refuri=target, internal=True),
            ]
            end = found.end()
        if parts:
            text.parent.replace(text, [*parts, nodes.Text(text[end:])])


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the style of the bibliography's page and the links to it."""
    register_plugin("pybtex.style.formatting", "as_cited", _BibliographyStyle)
    app.connect("doctree-resolved", _link)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
