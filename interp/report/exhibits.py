"""How is one block of a report shown in a notebook?

Tables and figures are plain markup; a view, which needs scripts, stands in a frame of its own with the report's policy, so
that nothing in it reaches the notebook or the network.
"""

import base64
from dataclasses import dataclass, replace
from html import escape

from interp.report.blocks import Block, Figure, Report, Section, Sketch, Table, View
from interp.report.figures import svg
from interp.report.labels import shorten, visible
from interp.report.page import render

_LONGEST_CELL = 60
_FRAME_HEIGHT = 620


@dataclass(frozen=True, slots=True)
class Exhibit:
    """One block as markup that a notebook shows.

    Attributes:
        name: the block's name.
        html: the markup.
    """

    name: str
    html: str

    def _repr_html_(self) -> str:
        return self.html


def exhibit(block: Block) -> Exhibit:
    """A block of a section, ready to be shown."""
    if isinstance(block, Table):
        return Exhibit(block.name, _table(block))
    if isinstance(block, Figure):
        return Exhibit(block.name, _figure(block))
    if isinstance(block, View):
        return Exhibit(block.name, _view(block))
    if isinstance(block, Sketch):
        caption = f"<figcaption>{_text(block.title)}</figcaption>"
        return Exhibit(block.name, f"<figure style='margin:0'>{block.html}{caption}</figure>")
    return Exhibit("", f"<p>{_text(block.text)}</p>")


def _table(block: Table) -> str:
    rows = block.frame if block.rows_shown is None else block.frame.head(block.rows_shown)
    columns = list(block.columns_shown or rows.columns)
    shown = rows[columns].map(lambda cell: shorten(visible(cell), _LONGEST_CELL) if isinstance(cell, str) else cell)
    markup = shown.to_html(index=False, border=0, na_rep="–", float_format="{:.4g}".format)
    return f"<figure style='margin:0'><figcaption>{_text(block.caption)}</figcaption>{markup}</figure>"


def _figure(block: Figure) -> str:
    data = base64.b64encode(svg(block.drawing)).decode("ascii")
    picture = (
        f'<img src="data:image/svg+xml;base64,{data}" alt="{_text(block.alt)}" style="background:#fff;max-width:100%">'
    )
    return f"<figure style='margin:0'>{picture}<figcaption>{_text(block.caption)}</figcaption></figure>"


def _view(block: View) -> str:
    alone = replace(block, fallback="The report shows the same as a figure or table.")
    section = Section("view", block.title, block.title, (block.title,), (alone,), ("One prompt only.",))
    page = render(Report(block.title, block.title, (block.title,), "interp run", (section,), ()))["index.html"]
    title = _text(block.title)
    return f'<iframe title="{title}" srcdoc="{escape(page.decode())}" width="100%" height="{_FRAME_HEIGHT}"></iframe>'


def _text(text: str) -> str:
    return escape(visible(text))
