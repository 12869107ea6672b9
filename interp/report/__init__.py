"""Reports: blocks, drawings and pages. This package knows no model and imports no torch.

files = render(Report(...))    # relative path -> bytes; writing them is the caller's business
"""

from interp.report.blocks import Block, Figure, Heading, Page, Paragraph, Report, Section, Table, View
from interp.report.drawings import Bars, Drawing, Heatmap, Lines, Panel, PointGroup, Scatter, Series
from interp.report.figures import png, svg
from interp.report.labels import shorten, visible
from interp.report.page import render
from interp.report.studio import Studio
from interp.report.tables import csv_bytes

__all__ = [
    "Bars",
    "Block",
    "Drawing",
    "Figure",
    "Heading",
    "Heatmap",
    "Lines",
    "Page",
    "Panel",
    "Paragraph",
    "PointGroup",
    "Report",
    "Scatter",
    "Section",
    "Series",
    "Studio",
    "Table",
    "View",
    "csv_bytes",
    "png",
    "render",
    "shorten",
    "svg",
    "visible",
]
