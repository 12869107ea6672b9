"""How does a chart become bytes?

The same chart gives the same bytes on every run: one style, a constant salt for the identifiers, no date and no version in the
file. Text stays text, so that a figure can be searched and set anew in a paper; its places are those of DejaVu Sans' widths.
Figures come in two widths, so that letters keep their size on a desk (about 830 CSS pixels) and on a phone (about 340) instead
of shrinking with the page.

Colors follow Okabe and Ito 2008, which readers with any common color vision can tell apart; each line and group
has its own marker as well.
"""

import io
import re
from collections import Counter
from contextlib import AbstractContextManager
from typing import Literal

import matplotlib.style
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from interp.report.charts import BarChart, CategoryHeatmap, Chart, Heatmap, LineGrid, LinePlot
from interp.report.draw_category_heatmap import draw_category_heatmap
from interp.report.draw_graph import draw_graph
from interp.report.draw_heatmap import draw_heatmap
from interp.report.draw_line_grid import draw_line_grid
from interp.report.draw_plots import draw_bar_chart, draw_line_plot, draw_scatter_plot
from interp.report.fonts import STYLE
from interp.report.layered_graph import LayeredGraph
from interp.report.settled_layout import settle_layout

Width = Literal["wide", "narrow"]
FigureFormat = Literal["svg", "pdf", "png"]

_FAMILIES = "'DejaVu Sans',Verdana,sans-serif"
"""Letters of the figure where they are installed, else those of nearly the same width, else what there is."""

_TAG = re.compile(r"<[^>]*>")

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
            settle_layout(self._figure)
        self._svg = b""

    @property
    def inches(self) -> tuple[float, float]:
        """Width and height."""
        width, height = self._figure.get_size_inches()
        return float(width), float(height)

    def file(self, kind: FigureFormat) -> bytes:
        """The figure as a file of its own, with text as text where the format has it.

        Args:
            kind: its format.
        """
        return {"svg": self.svg, "pdf": self.pdf, "png": self.png}[kind]()

    def pdf(self) -> bytes:
        """A page with its fonts in it."""
        return self._save("pdf", {"CreationDate": None, "Creator": None, "Producer": None}, "figure")

    def svg(self) -> bytes:
        """Vectors and text, equal for equal drawings under the same version of matplotlib."""
        if not self._svg:
            self._svg = _compact(self._save("svg", {"Date": None, "Creator": None}, "figure"))
        return self._svg

    def png(self, dots_per_inch: float = 160.0) -> bytes:
        """Pixels, for places that show no SVG.

        Args:
            dots_per_inch: how fine they are.
        """
        return self._save("png", {"Software": None}, dots_per_inch)

    def webp(self, dots_per_inch: float = 160.0) -> bytes:
        """Lossless WebP: every color of the PNG in two fifths of its size.

        Args:
            dots_per_inch: how fine its pixels are.
        """
        buffer = io.BytesIO()
        pixels = self._save("rgba", None, dots_per_inch)
        width, height = (int(side * dots_per_inch) for side in self._figure.get_size_inches())
        picture = Image.frombytes("RGBA", (width, height), pixels).convert("RGB")
        picture.save(buffer, format="webp", lossless=True, quality=50, method=2)
        return buffer.getvalue()

    def _save(
        self, kind: FigureFormat | Literal["rgba"], metadata: dict[str, None] | None, dpi: float | Literal["figure"]
    ) -> bytes:
        buffer = io.BytesIO()
        with _style():
            self._figure.savefig(buffer, format=kind, metadata=metadata, dpi=dpi)
        return buffer.getvalue()


def _style() -> AbstractContextManager[None]:
    return matplotlib.style.context(["default", STYLE])


def _compact(picture: bytes) -> bytes:
    """The same drawing in half the bytes: no remarks, hundredths of a point at most, styles that are said twice said once.

    Only tags are rewritten, never the text between them.
    """
    text = re.sub(r"<!--.*?-->|<!DOCTYPE.*?>|<metadata>.*?</metadata>", "", picture.decode("utf-8"), flags=re.DOTALL)
    text = _TAG.sub(lambda tag: _shorter(tag[0]), re.sub(r">\s+<", "><", text))
    counts = Counter(style for tag in _TAG.findall(text) for style in re.findall(r' style="([^"]*)"', tag))
    classes = {style: f"s{number}" for number, style in enumerate(one for one, times in counts.items() if times > 1)}

    def classed(tag: re.Match[str]) -> str:
        return re.sub(
            r' style="([^"]*)"', lambda one: f' class="{classes[one[1]]}"' if one[1] in classes else one[0], tag[0]
        )

    rules = "".join(f".{name}{{{style}}}" for style, name in classes.items())
    return (_TAG.sub(classed, text).replace("</style>", f"{rules}</style>", 1) + "\n").encode("utf-8")


def _shorter(tag: str) -> str:
    """A tag without what nobody needs, its places with two decimals."""
    tag = re.sub(r' id="(?:text|patch|line2d|axes|figure|matplotlib\.axis|xtick|ytick)_\d+"', "", tag)
    tag = re.sub(r' transform="rotate\(-?0 [^"]*\)"', "", tag).replace("'DejaVu Sans'", _FAMILIES)
    return re.sub(r' (d|x|y|transform)="\s*([^"]*?)\s*"', lambda found: f' {found[1]}="{_rounded(found[2])}"', tag)


def _rounded(numbers: str) -> str:
    short = re.sub(r"-?\d+\.\d{3,}", lambda found: f"{float(found[0]):z.2f}".rstrip("0").rstrip("."), numbers)
    return re.sub(r"\s+", " ", short)


def _draw(chart: Chart, inches: float) -> Figure:
    if isinstance(chart, Heatmap):
        return draw_heatmap(chart, inches)
    if isinstance(chart, CategoryHeatmap):
        return draw_category_heatmap(chart, inches)
    if isinstance(chart, LinePlot):
        return draw_line_plot(chart, inches)
    if isinstance(chart, LineGrid):
        return draw_line_grid(chart, inches)
    if isinstance(chart, LayeredGraph):
        return draw_graph(chart, inches)
    if isinstance(chart, BarChart):
        return draw_bar_chart(chart, inches)
    return draw_scatter_plot(chart, inches)
