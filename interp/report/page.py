"""How does a report become files?

`render` returns every file as bytes and writes none. The page is one file that works from disk without a network:
figures are data addresses, styles and scripts stand in the page, and its Content-Security-Policy forbids everything
else. Scripts are allowed one by one, by their SHA-256 (CSP level 3, hash sources), so text of a prompt could not run
even if it were printed unescaped. There is no clock and no chance in it: the same report gives the same bytes.
"""

import base64
import hashlib
import io
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path

import jinja2
from markupsafe import Markup
from PIL import Image

from interp.report.blocks import Block, Figure, Report, Table, View, is_slug
from interp.report.figures import Plate
from interp.report.labels import visible
from interp.report.tables import Grid, csv_bytes, grid

_HERE = Path(__file__).parent
_LIBRARIES = ("vendor/d3.min.js", "vendor/jquery.slim.min.js", "templates/views.js")
_LARGE = 40_000  # bytes of a figure's outlines, beyond which the page shows pixels
_LARGE = 40_000  # bytes of outlines beyond which the page shows pixels instead
_DOTS_PER_INCH = 144.0
_PIXELS_PER_POINT = 96 / 72


@dataclass(frozen=True)
class _Picture:
    """A figure as the page holds it: a data address and its size in CSS pixels."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class _Pictures:
    """The two widths of one figure."""

    wide: _Picture
    narrow: _Picture


def render(report: Report) -> dict[str, bytes]:
    """Turn a report into files.

    Args:
        report: what to show.

    Returns:
        Relative path to content: `index.html`, `tables/<name>.csv` and `figures/<name>.svg`.

    Raises:
        ValueError: if two blocks share a name, a view names a figure that is not there, or a view would load
            something from outside.
    """
    blocks = [block for section in report.sections for block in section.blocks]
    _check_names(report, blocks)
    files: dict[str, bytes] = {}
    images: dict[str, _Pictures] = {}
    for block in blocks:
        if isinstance(block, Table):
            files[f"tables/{block.name}.csv"] = csv_bytes(block.frame)
        elif isinstance(block, Figure):
            desk = Plate(block.drawing, "wide")
            outlines = desk.svg()
            files[f"figures/{block.name}.svg"] = outlines
            # Outlines where they are small, else pixels finer than a screen's.
            wide = _outlines(outlines) if len(outlines) <= _LARGE else _pixels(desk)
            images[block.name] = _Pictures(wide, _pixels(Plate(block.drawing, "narrow")))
    page = _page(report, blocks, images)
    return {"index.html": page.encode("utf-8", errors="replace"), **files}


def _page(report: Report, blocks: list[Block], images: dict[str, _Pictures]) -> str:
    scripts = _scripts(blocks)
    libraries = [(_HERE / path).read_text(encoding="utf-8") for path in _LIBRARIES] if scripts else []
    return (
        _environment()
        .get_template("page.html.jinja")
        .render(
            report=report,
            images=images,
            numbers=_number(blocks),
            # Our own files and hash sources hold no character that HTML would read.
            style=Markup((_HERE / "templates/style.css").read_text(encoding="utf-8")),
            libraries=[Markup(library) for library in libraries],
            policy=_policy([*libraries, *scripts]),
        )
    )


def _policy(scripts: list[str]) -> str:
    sources = [f"'sha256-{_digest(script)}'" for script in scripts]
    allowed = " ".join(dict.fromkeys(sources)) or "'none'"
    return (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src {allowed}; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")


def _outlines(picture: bytes) -> _Picture:
    root = picture[picture.index(b"<svg ") :]
    size = [re.search(rb"\b%s=\"([\d.]+)pt\"" % side, root) for side in (b"width", b"height")]
    width, height = (round(float(match[1]) * _PIXELS_PER_POINT) if match else 0 for match in size)
    return _Picture(f"data:image/svg+xml;base64,{base64.b64encode(picture).decode('ascii')}", width, height)


def _pixels(plate: Plate) -> _Picture:
    picture = plate.webp(_DOTS_PER_INCH)
    with Image.open(io.BytesIO(picture)) as opened:
        size = [round(side * 96 / _DOTS_PER_INCH) for side in opened.size]
    return _Picture(f"data:image/webp;base64,{base64.b64encode(picture).decode('ascii')}", *size)


def _number(blocks: list[Block]) -> dict[tuple[str, str], int]:
    """Figures and tables numbered through the page, each kind from 1."""
    tables = [block.name for block in blocks if isinstance(block, Table)]
    figures = [block.name for block in blocks if isinstance(block, Figure)]
    return {
        (kind, name): number
        for kind, names in (("table", tables), ("figure", figures))
        for number, name in enumerate(names, start=1)
    }


def _check_names(report: Report, blocks: list[Block]) -> None:
    named = [block for block in blocks if isinstance(block, Table | Figure | View)]
    names = [("Section", section.name) for section in report.sections]
    names += [(type(block).__name__, block.name) for block in named]
    for (kind, name), times in Counter(names).items():
        if times > 1:
            raise ValueError(
                f"{kind} {name!r} occurs {times} times; every {kind.lower()} of a report needs its own name."
            )
    figures = {block.name for block in named if isinstance(block, Figure)}
    for view in named:
        if isinstance(view, View) and is_slug(view.fallback) and view.fallback not in figures:
            raise ValueError(
                f"View {view.name!r} names the figure {view.fallback!r} as its fallback, but the report has "
                f"{', '.join(sorted(figures)) or 'no figures'}; name one of them or give a sentence."
            )


class _Markup(HTMLParser):
    """Collects what matters about trusted markup: its scripts, its identifiers, and addresses it would load."""

    def __init__(self) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.addresses: list[str] = []
        self.identifiers: list[str] = []
        self._in_script = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = dict(attrs)
        self.addresses += [values[name] or "" for name in ("src", "href", "srcset", "data", "action") if name in values]
        self.identifiers += [values["id"] or ""] if "id" in values else []
        self._in_script = tag == "script"
        if self._in_script:
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self._in_script = self._in_script and tag != "script"

    def handle_data(self, data: str) -> None:
        if self._in_script:
            self.scripts[-1] += data


def _scripts(blocks: list[Block]) -> list[str]:
    """The scripts of all views, checked to be self-contained and distinct."""
    scripts: list[str] = []
    roots: Counter[str] = Counter()
    for view in _views(blocks):
        markup = _Markup()
        markup.feed(view.html)
        markup.close()
        outside = [address for address in markup.addresses if not address.startswith(("data:", "#"))]
        if outside:
            raise ValueError(f"View {view.name!r} would load {outside[0]!r}; a page must hold everything it shows.")
        scripts += markup.scripts
        roots.update(identifier for identifier in markup.identifiers if identifier.startswith("bertviz-"))
    repeated = [root for root, times in roots.items() if times > 1]
    if repeated:
        raise ValueError(f"The same interactive view ({repeated[0]}) occurs twice in the report; show it once.")
    return scripts


def _views(blocks: list[Block]) -> Iterator[View]:
    return (block for block in blocks if isinstance(block, View))


def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(_HERE / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "visible": visible,
        "paragraphs": _paragraphs,
        "kind": lambda block: type(block).__name__,
        "grid": _grid,
        "trusted": Markup,
    }
    return environment


def _paragraphs(text: str) -> list[str]:
    """Split at empty lines; single line ends become spaces."""
    return [" ".join(part.split()) for part in re.split(r"\n\s*\n", text) if part.strip()]


def _grid(table: Table) -> Grid:
    return grid(table.frame, table.rows_shown, table.columns_shown)
