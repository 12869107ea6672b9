"""How does a report become files?

`render` returns every file as bytes and writes none. Each page is one file that works from disk without a network:
figures are data addresses, styles and scripts stand in the page, and its Content-Security-Policy forbids everything
else. Scripts are allowed one by one, by their SHA-256 (CSP level 3, hash sources), so text of a prompt could not run
even if it were printed unescaped. There is no clock and no chance in it: the same report gives the same bytes.
"""

import base64
import functools
import re
import zlib
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from markupsafe import Markup

from interp.report.bibliography import bibtex
from interp.report.blocks import Block, Card, Figure, Table, View, is_slug
from interp.report.cards import card_html
from interp.report.escaping import fill
from interp.report.figure_renderer import FigureRenderer, RenderedFigure
from interp.report.policy import script_policy
from interp.report.report import MOST_HIGHLIGHTS, Page, Report, Section
from interp.report.tables import Cell, csv_bytes, grid
from interp.report.view_scripts import read_scripts

_HEAD = re.compile(r"[EDX]L\d+H\d+")
_HERE = Path(__file__).parent
_LIBRARIES = ("vendor/d3.min.js", "vendor/jquery.slim.min.js", "templates/views.js")
_NAMED = Table | Figure | View | Card


def render(report: Report, renderer: FigureRenderer | None = None) -> dict[str, bytes]:
    """The files of a report, by relative path.

    Args:
        report: what to show.
        renderer: what draws the figures, perhaps begun before; by default they are drawn here and now.

    Returns:
        Path to content: `index.html`, `pages/<name>.html`, `tables/<name>.csv` and `figures/<name>.svg` (or .pdf, .png).

    Raises:
        ValueError: if two blocks share a name, a view names a figure that is not on its page, or a view would load
            something from outside.
    """
    renderer = renderer or FigureRenderer(in_this_process=True)
    pages = [page for section in report.sections for page in section.pages]
    index = [block for section in report.sections for block in _in_order(section)]
    _check_names(report, pages)
    renderer.begin([*index, *(block for page in pages for block in page.blocks)])
    files: dict[str, bytes] = {}
    # Pages below the first have few figures or none, so that they are written while another process draws.
    rendered = {
        f"pages/{page.name}.html": _document(
            "subpage.html.jinja", page.blocks, files, renderer, base="../", report=report, page=page
        )
        for page in pages
    }
    renderer.finish()
    rendered["index.html"] = _document("page.html.jinja", index, files, renderer, base="", report=report)
    return rendered | files


def _document(
    template: str,
    blocks: Sequence[Block],
    files: dict[str, bytes],
    renderer: FigureRenderer,
    base: str,
    report: Report,
    page: Page | None = None,
) -> bytes:
    """One page; what its blocks put beside it is added to `files`."""
    _check_fallbacks(blocks)
    images: dict[str, RenderedFigure] = {}
    for block in blocks:
        if isinstance(block, Table):
            files[f"tables/{block.name}.csv"] = csv_bytes(block.frame)
        elif isinstance(block, Figure):
            images[block.name] = renderer.rendered(block)
            files[f"figures/{block.name}.{renderer.kind}"] = images[block.name].file
    scripts, bertviz = read_scripts(blocks)
    libraries = tuple(map(_text, _LIBRARIES)) if bertviz else ()
    if not base and any(isinstance(block, Table) for block in blocks):
        libraries = (*libraries, _text("templates/tables.js"))
    html = fill(
        template,
        report=report,
        page=page,
        base=base,
        level=2 if base else 3,
        images=images,
        numbers=_number(blocks),
        grid=grid,
        packed=_packed,
        leads_to=lambda cell: _leads_to(cell, report.explorer),
        unlinked=_unlinked,
        bibtex=bibtex,
        figure_kind=renderer.kind,
        card_html=card_html,
        small=renderer.small,
        glance=any(section.headline for section in report.sections),
        evidence=_evidence,
        most=MOST_HIGHLIGHTS,
        # Our own files and hash sources hold no character that HTML would read.
        style=Markup(_text("templates/style.css")),
        libraries=[Markup(library) for library in libraries],
        policy=script_policy([*libraries, *scripts]),
    )
    return html.encode("utf-8", errors="replace")


def _evidence(section: Section) -> list[Block]:
    """What follows the main figure and the findings: everything but tables in its order, then the tables."""
    rest = [block for block in section.blocks if block is not section.main_figure]
    return sorted(rest, key=lambda block: isinstance(block, Table))


def _in_order(section: Section) -> list[Block]:
    """All blocks of a section in the order in which the page shows them."""
    return [*filter(None, [section.main_figure]), *_evidence(section)]


def _unlinked(section: Section) -> list[Page]:
    """The pages of a section to which no row of its tables leads."""
    linked = {address for block in section.blocks if isinstance(block, Table) for address in block.addresses}
    return [page for page in section.pages if f"pages/{page.name}.html" not in linked]


def _leads_to(cell: Cell, explorer: str) -> str:
    """Where a cell leads beside the report: to its own address, or a head to its place in the page to explore."""
    return cell.address or (f"{explorer}#{cell.text}" if explorer and _HEAD.fullmatch(cell.text) else "")


def _packed(rows: Markup) -> Markup:
    """Rows of a table as deflated text in base 64, which a script puts into the page when a reader opens the table."""
    return Markup(base64.b64encode(zlib.compress(rows.encode("utf-8", errors="replace"), 9)).decode("ascii"))


@functools.cache
def _text(path: str) -> str:
    return (_HERE / path).read_text(encoding="utf-8")


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
