"""How does a chart become bytes?

The same chart gives the same bytes on every run: one style, outlines instead of fonts, a constant salt for the
identifiers, no date and no version in the file. Figures come in two widths, so that letters keep their size on a
desk (about 830 CSS pixels) and on a phone (about 340) instead of shrinking with the page.

Colours follow Okabe and Ito 2008, which readers with any common colour vision can tell apart; each line and group
has its own marker as well.
"""

import io
import re
from contextlib import AbstractContextManager
from typing import Literal

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from interp.report.charts import BarChart, CategoryHeatmap, Chart, Heatmap, LinePlot
from interp.report.draw_category_heatmap import draw_category_heatmap
from interp.report.draw_heatmap import draw_heatmap
from interp.report.draw_plots import draw_bar_chart, draw_line_plot, draw_scatter_plot
from interp.report.fonts import STYLE

Width = Literal["wide", "narrow"]

INCHES: dict[Width, float] = {"wide": 8.6, "narrow": 3.5}


class ChartImage:
    """A chart laid out once, to be saved in several formats.

    Args:
        chart: what to draw.
        width: for a desk or for a phone; a heatmap of many columns may be wider than that.
    """

    def __init__(self, chart: Chart, width: Width = "wide") -> None:
        with _style():
            self._figure = _draw(chart, INCHES[width])
            FigureCanvasAgg(self._figure)  # its own canvas: pyplot's list of open figures is never touched

    @property
    def inches(self) -> tuple[float, float]:
        """Width and height."""
        width, height = self._figure.get_size_inches()
        return float(width), float(height)

    def svg(self) -> bytes:
        """Outlines, equal for equal drawings under the same version of matplotlib."""
        return _compact(self._save("svg", {"Date": None, "Creator": None}, "figure"))

    def png(self, dots_per_inch: float = 160.0) -> bytes:
        """Pixels, for places that show no SVG.

        Args:
            dots_per_inch: how fine they are.
        """
        return self._save("png", {"Software": None}, dots_per_inch)

    def webp(self, dots_per_inch: float = 160.0) -> bytes:
        """Lossless WebP: every colour of the PNG in two fifths of its size.

        Args:
            dots_per_inch: how fine its pixels are.
        """
        buffer = io.BytesIO()
        picture = Image.open(io.BytesIO(self.png(dots_per_inch))).convert("RGB")
        picture.save(buffer, format="webp", lossless=True, quality=50, method=2)
        return buffer.getvalue()

    def _save(self, kind: Literal["svg", "png"], metadata: dict[str, None], dpi: float | Literal["figure"]) -> bytes:
        buffer = io.BytesIO()
        with _style():
            self._figure.savefig(buffer, format=kind, metadata=metadata, dpi=dpi)
        return buffer.getvalue()


def _style() -> AbstractContextManager[None]:
    return matplotlib.style.context(["default", STYLE])


def _compact(picture: bytes) -> bytes:
    """Drop what matplotlib writes for readers of the source: a third of the file, and the only raw text in it.

    Labels stand in comments beside their outlines; without the comments no text of a prompt is in the file at all.
    """
    picture = re.sub(rb"<!--.*?-->", b"", picture, flags=re.DOTALL)
    picture = re.sub(rb">\s+<", b"><", picture)
    picture = re.sub(rb' id="(?:text|patch|line2d|axes|figure|matplotlib\.axis|xtick|ytick)_\d+"', b"", picture)
    return picture.replace(b"DejaVuSans-", b"g") + b"\n"


def _draw(chart: Chart, inches: float) -> Figure:
    if isinstance(chart, Heatmap):
        return draw_heatmap(chart, inches)
    if isinstance(chart, CategoryHeatmap):
        return draw_category_heatmap(chart, inches)
    if isinstance(chart, LinePlot):
        return draw_line_plot(chart, inches)
    if isinstance(chart, BarChart):
        return draw_bar_chart(chart, inches)
    return draw_scatter_plot(chart, inches)
