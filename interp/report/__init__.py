"""Reports: blocks, drawings and pages. This package knows no model and imports no torch.

files = render(Report(...))    # relative path -> bytes; writing them is the caller's business
"""

from interp.report.blocks import Block, Figure, Heading, Page, Paragraph, Report, Section, Sketch, Table, View
from interp.report.drawings import Bars, Drawing, Heatmap, Lines, Mosaic, Panel, PointGroup, Scatter, Series
from interp.report.figures import png, svg
from interp.report.labels import shorten, visible
from interp.report.page import render
from interp.report.palette import HUES, Hue, readable_ink, tint
from interp.report.studio import Studio
from interp.report.tables import csv_bytes

__all__ = [
    "HUES",
    "Bars",
    "Block",
    "Drawing",
    "Figure",
    "Heading",
    "Heatmap",
    "Hue",
    "Lines",
    "Mosaic",
    "Page",
    "Panel",
    "Paragraph",
    "PointGroup",
    "Report",
    "Scatter",
    "Section",
    "Series",
    "Sketch",
    "Studio",
    "Table",
    "View",
    "csv_bytes",
    "png",
    "readable_ink",
    "render",
    "shorten",
    "svg",
    "tint",
    "visible",
]
