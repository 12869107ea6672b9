"""How is one block of a report, or a whole section, shown in a notebook?

Tables, cards and figures are plain markup; a view, which needs scripts, stands in a frame of its own with the report's policy,
so that nothing in it reaches the notebook or the network.
"""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, replace

from markupsafe import Markup, escape

from interp.report.blocks import Block, Card, Figure, Table, View
from interp.report.cards import card_html
from interp.report.chart_images import ChartImage
from interp.report.escaping import fill
from interp.report.notebook_html import table
from interp.report.page import render
from interp.report.report import Report, Section
from interp.report.tables import grid


@dataclass(frozen=True, slots=True)
class BlockDisplay:
    """One block as markup that a notebook shows.

    Attributes:
        html: the markup.
    """

    html: Markup

    def _repr_html_(self) -> str:
        return self.html


def display_block(block: Block) -> BlockDisplay:
    """A block of a section, ready to be shown.

    Args:
        block: the block.
    """
    if isinstance(block, Table):
        shown = grid(block)
        rows = ([f"{cell.text} {cell.note}".rstrip() for cell in row] for row in shown.rows)
        return BlockDisplay(table(block.caption, shown.columns, rows))
    if isinstance(block, View):
        return display_page(block.title, _view_page(block))
    content: dict[str, object] = {}
    if isinstance(block, Figure):
        content["image"] = base64.b64encode(ChartImage(block.chart).svg()).decode("ascii")
    elif isinstance(block, Card):
        content["html"] = card_html(block)
    return BlockDisplay(fill("notebook_block.html.jinja", block=block, **content))


def display_page(title: str, page: str, height: int = 620) -> BlockDisplay:
    """A whole page in a frame of its own.

    Args:
        title: what it shows.
        page: the page, which loads nothing.
        height: of the frame in pixels.
    """
    # The page is escaped only: its line breaks are its own.
    return BlockDisplay(fill("notebook_frame.html.jinja", title=title, page=escape(page), height=height))


def section_html(section: Section, kinds: Mapping[str, str]) -> Markup:
    """What a section says, and the names of what it shows.

    Args:
        section: the section.
        kinds: name -> kind of every block that can be shown.
    """
    return fill("notebook_section.html.jinja", section=section, kinds=kinds)


def _view_page(view: View) -> str:
    """A page with nothing but the view."""
    alone = replace(view, fallback="The report shows the same as a figure or table.")
    section = Section("view", view.title, view.title, (view.title,), (alone,), ("One prompt only.",))
    page = render(Report(view.title, view.title, (view.title,), "interp run", (section,), ()))["index.html"]
    return page.decode()
