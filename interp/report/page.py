"""How does a report become files?

`render` returns every file as bytes and writes none. Each page is one file that works from disk without a network:
figures are data addresses, styles and scripts stand in the page, and its Content-Security-Policy forbids everything
else. Scripts are allowed one by one, by their SHA-256 (CSP level 3, hash sources), so text of a prompt could not run
even if it were printed unescaped. There is no clock and no chance in it: the same report gives the same bytes.
"""

import base64
import functools
import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup

from interp.report.blocks import Block, Figure, Page, Report, Sketch, Table, View, is_slug
from interp.report.labels import visible
from interp.report.markup import read_scripts
from interp.report.palette import HUES
from interp.report.studio import Prints, Studio
from interp.report.tables import Grid, csv_bytes, grid

_HERE = Path(__file__).parent
_LIBRARIES = ("vendor/d3.min.js", "vendor/jquery.slim.min.js", "templates/views.js")
_NAMED = Table | Figure | View | Sketch


def render(report: Report, studio: Studio | None = None) -> dict[str, bytes]:
    """Turn a report into files.

    Args:
        report: what to show.
        studio: who draws the figures, perhaps ordered before; by default they are drawn here and now.

    Returns:
        Relative path to content: `index.html`, `pages/<name>.html`, `tables/<name>.csv` and `figures/<name>.svg`.

    Raises:
        ValueError: if two blocks share a name, a view names a figure that is not on its page, or a view would load
            something from outside.
    """
    studio = studio or Studio(beside=False)
    pages = [page for section in report.sections for page in section.pages]
    index = [block for section in report.sections for block in section.blocks]
    _check_names(report, pages)
    files: dict[str, bytes] = {}
    rendered = {"index.html": _document("page.html.jinja", index, files, studio, base="", report=report)}
    for page in pages:
        rendered[f"pages/{page.name}.html"] = _document(
            "subpage.html.jinja", page.blocks, files, studio, base="../", report=report, page=page
        )
    return rendered | files


def _document(
    template: str, blocks: Sequence[Block], files: dict[str, bytes], studio: Studio, base: str, **content: Report | Page
) -> bytes:
    """One page; what its blocks put beside it is added to `files`."""
    _check_fallbacks(blocks)
    images: dict[str, Prints] = {}
    for block in blocks:
        if isinstance(block, Table):
            files[f"tables/{block.name}.csv"] = csv_bytes(block.frame)
        elif isinstance(block, Figure):
            images[block.name] = studio.prints(block)
            files[f"figures/{block.name}.svg"] = images[block.name].outlines
    scripts = read_scripts(block for block in blocks if isinstance(block, View | Sketch))
    libraries = _libraries() if scripts.drawn else ()
    if any(isinstance(block, Table) and block.sortable for block in blocks):
        libraries = (*libraries, _text("templates/sort.js"))
    page = (
        _environment()
        .get_template(template)
        .render(
            **content,
            base=base,
            level=2 if base else 3,
            images=images,
            numbers=_number(blocks),
            # Our own files and hash sources hold no character that HTML would read.
            style=Markup(_text("templates/style.css")),
            libraries=[Markup(library) for library in libraries],
            policy=_policy([*libraries, *scripts.texts]),
        )
    )
    return page.encode("utf-8", errors="replace")


@functools.cache
def _text(path: str) -> str:
    return (_HERE / path).read_text(encoding="utf-8")


def _libraries() -> tuple[str, ...]:
    return tuple(_text(path) for path in _LIBRARIES)


def _policy(scripts: list[str]) -> str:
    sources = [f"'sha256-{_digest(script)}'" for script in scripts]
    allowed = " ".join(dict.fromkeys(sources)) or "'none'"
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _number(blocks: Iterable[Block]) -> dict[tuple[str, str], int]:
    """Figures and tables numbered through the page, each kind from 1."""
    numbers: dict[tuple[str, str], int] = {}
    counts: Counter[str] = Counter()
    for block in blocks:
        if isinstance(block, Table | Figure):
            kind = type(block).__name__.lower()
            counts[kind] += 1
            numbers[kind, block.name] = counts[kind]
    return numbers


def _check_names(report: Report, pages: Sequence[Page]) -> None:
    """Names become files and anchors, so each kind's are distinct over the whole report."""
    blocks = [block for section in report.sections for block in section.blocks]
    blocks += [block for page in pages for block in page.blocks]
    names = [("Section", section.name) for section in report.sections]
    names += [("Page", page.name) for page in pages]
    names += [(type(block).__name__, block.name) for block in blocks if isinstance(block, _NAMED)]
    for (kind, name), times in Counter(names).items():
        if times > 1:
            raise ValueError(
                f"{kind} {name!r} occurs {times} times; every {kind.lower()} of a report needs its own name."
            )


def _check_fallbacks(blocks: Iterable[Block]) -> None:
    figures = {block.name for block in blocks if isinstance(block, Figure)}
    for view in blocks:
        if isinstance(view, View) and is_slug(view.fallback) and view.fallback not in figures:
            raise ValueError(
                f"View {view.name!r} names the figure {view.fallback!r} as its fallback, but its page has "
                f"{', '.join(sorted(figures)) or 'no figures'}; name one of them or give a sentence."
            )


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    filters: dict[str, Any] = {
        "visible": visible,
        "paragraphs": _paragraphs,
        "kind": lambda block: type(block).__name__,
        "grid": _grid,
        "trusted": Markup,
        "colour": lambda hue: HUES[hue],
    }
    environment.filters |= filters
    return environment


def _paragraphs(text: str) -> list[str]:
    """Split at empty lines; single line ends become spaces."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def _grid(table: Table) -> Grid:
    return grid(table.frame, table.rows_shown, table.columns_shown)
