"""Who draws the figures, and when?

A renderer takes figures as soon as they are known and draws them in a second process while the caller computes on; the
images are collected when the page is written. The bytes are those of drawing here: both ways call `render_figure`. Where no
second process can be had (one core, a system without semaphores, a worker that was killed), figures are drawn in this one.
"""

import base64
import io
from collections.abc import Iterable
from concurrent.futures import BrokenExecutor, Future
from dataclasses import dataclass

from PIL import Image

from interp.report.blocks import Block, Figure
from interp.report.chart_images import ChartImage, FigureFormat
from interp.report.charts import Chart
from interp.report.second_process import second_process

_SMALL = 25_000
"""Bytes of vectors up to which pixels are not even tried: they are rarely lighter, and to draw them is half the work."""

_DOTS_PER_INCH = 144.0
_SMALL_DOTS = 110.0
_LONGEST_SIDE = 16_000
"""Pixels; WebP ends at 16,383."""


@dataclass(frozen=True)
class EmbeddedImage:
    """A figure as a page holds it: a data address and its size in CSS pixels."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class RenderedFigure:
    """All images of one chart.

    Attributes:
        file: the figure as a file of its own.
        wide: for a desk.
        narrow: for a phone.
    """

    file: bytes
    wide: EmbeddedImage
    narrow: EmbeddedImage


def render_figure(chart: Chart, kind: FigureFormat = "svg") -> RenderedFigure:
    """A chart as a file and in both widths of the page.

    Args:
        chart: what to draw.
        kind: the format of the file.
    """
    desk, phone = ChartImage(chart, "wide"), ChartImage(chart, "narrow")
    file, wide = desk.file(kind), _lightest(desk)
    # The same cells on a phone: where pixels are lighter here they are there.
    return RenderedFigure(file, wide, _pixels(phone) if wide.uri.startswith("data:image/webp") else _lightest(phone))


def _lightest(image: ChartImage) -> EmbeddedImage:
    """Vectors where they are small or smaller than pixels finer than a screen's."""
    svg = image.svg()
    vectors = _embedded("svg+xml", svg, (round(side * 96) for side in image.inches))
    if len(svg) <= _SMALL:
        return vectors
    return min(vectors, _pixels(image), key=lambda one: len(one.uri))


def _pixels(image: ChartImage, dots_per_inch: float = _DOTS_PER_INCH) -> EmbeddedImage:
    # A heatmap of a long text can be longer than the format allows; then its pixels are coarser.
    dots = min(dots_per_inch, _LONGEST_SIDE / max(image.inches))
    webp = image.webp(dots)
    with Image.open(io.BytesIO(webp)) as opened:
        return _embedded("webp", webp, (round(side * 96 / dots) for side in opened.size))


def _embedded(kind: str, data: bytes, size: Iterable[int]) -> EmbeddedImage:
    return EmbeddedImage(f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}", *size)


class FigureRenderer:
    """Draws the figures of a report.

    Args:
        in_this_process: draw here, even where the machine has a second core.
        kind: the format of the figures' files.
    """

    def __init__(self, in_this_process: bool = False, kind: FigureFormat = "svg") -> None:
        self.kind = kind
        self._worker = None if in_this_process else second_process()
        self._begun: dict[str, tuple[Chart, Future[RenderedFigure]]] = {}

    def begin(self, blocks: Iterable[Block]) -> None:
        """Begin to draw those figures among some blocks that are not begun; without a second process nothing happens yet.

        Args:
            blocks: blocks of the report.
        """
        if self._worker is None:
            return
        try:
            for block in blocks:
                if isinstance(block, Figure) and block.name not in self._begun:
                    self._begun[block.name] = block.chart, self._worker.submit(render_figure, block.chart, self.kind)
        except BrokenExecutor:
            self._worker = None

    def finish(self) -> None:
        """Draw what still waits here, the last first, while the other process goes on with the first."""
        for name, (chart, begun) in reversed(self._begun.items()):
            if begun.cancel():
                done: Future[RenderedFigure] = Future()
                done.set_result(render_figure(chart, self.kind))
                self._begun[name] = chart, done

    def rendered(self, figure: Figure) -> RenderedFigure:
        """The images of a figure, begun before or not.

        Args:
            figure: a figure of the report.
        """
        chart, begun = self._begun.pop(figure.name, (None, None))
        if begun is None or chart is not figure.chart or begun.cancel():
            return render_figure(figure.chart, self.kind)
        try:
            return begun.result()
        except BrokenExecutor:
            return render_figure(figure.chart, self.kind)

    def small(self, figure: Figure) -> EmbeddedImage:
        """The figure as a card shows it: the narrow layout, no finer than a screen.

        Args:
            figure: a figure of the report.
        """
        return _pixels(ChartImage(figure.chart, "narrow"), _SMALL_DOTS)
