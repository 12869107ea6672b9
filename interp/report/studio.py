"""Who draws the figures, and when?

A studio takes figures as soon as they are known and draws them in a process of its own while the caller computes on; the
pictures are collected when the page is written. The bytes are those of drawing here: both ways call `develop`. Where no
second process can be had (one core, a system without semaphores, a worker that was killed), figures are drawn in this one.

`loky` starts the process without importing the caller's script again, so a notebook or a script without a main guard
may hold a studio too.
"""

import base64
import io
import os
import re
from collections.abc import Iterable
from concurrent.futures import BrokenExecutor, Executor, Future
from dataclasses import dataclass

from loky import get_reusable_executor
from PIL import Image

from interp.report.blocks import Block, Figure
from interp.report.drawings import Drawing
from interp.report.figures import Plate

_LARGE = 40_000
"""Bytes of a figure's outlines beyond which the page shows pixels instead."""

_DOTS_PER_INCH = 144.0
_LONGEST_SIDE = 16_000
"""Pixels; WebP ends at 16,383."""

_PIXELS_PER_POINT = 96 / 72
_IDLE_SECONDS = 30


@dataclass(frozen=True)
class Picture:
    """A figure as a page holds it: a data address and its size in CSS pixels."""

    uri: str
    width: int
    height: int


@dataclass(frozen=True)
class Prints:
    """All that is made of one drawing.

    Attributes:
        outlines: the SVG file.
        wide: for a desk.
        narrow: for a phone.
    """

    outlines: bytes
    wide: Picture
    narrow: Picture


def develop(drawing: Drawing) -> Prints:
    """Draw in both widths: outlines where they are small, else pixels finer than a screen's."""
    desk = Plate(drawing, "wide")
    outlines = desk.svg()
    wide = _outlines(outlines) if len(outlines) <= _LARGE else _pixels(desk)
    return Prints(outlines, wide, _pixels(Plate(drawing, "narrow")))


def _outlines(picture: bytes) -> Picture:
    root = picture[picture.index(b"<svg ") :]
    size = [re.search(rb"\b%s=\"([\d.]+)pt\"" % side, root) for side in (b"width", b"height")]
    width, height = (round(float(match[1]) * _PIXELS_PER_POINT) if match else 0 for match in size)
    return Picture(f"data:image/svg+xml;base64,{base64.b64encode(picture).decode('ascii')}", width, height)


def _pixels(plate: Plate) -> Picture:
    # A heatmap of a long text can be longer than the format allows; then its pixels are coarser.
    dots = min(_DOTS_PER_INCH, _LONGEST_SIDE / max(plate.inches))
    picture = plate.webp(dots)
    with Image.open(io.BytesIO(picture)) as opened:
        size = [round(side * 96 / dots) for side in opened.size]
    return Picture(f"data:image/webp;base64,{base64.b64encode(picture).decode('ascii')}", *size)


class Studio:
    """Draws the figures of a report.

    Args:
        beside: whether to use a second process; by default where the machine has a second core.
    """

    def __init__(self, beside: bool | None = None) -> None:
        wanted = _cores() > 1 if beside is None else beside
        self._worker = _worker() if wanted else None
        self._orders: dict[str, tuple[Drawing, Future[Prints]]] = {}

    def order(self, blocks: Iterable[Block]) -> None:
        """Begin with the figures among some blocks; without a second process nothing happens yet."""
        if self._worker is None:
            return
        try:
            for block in blocks:
                if isinstance(block, Figure):
                    self._orders[block.name] = block.drawing, self._worker.submit(develop, block.drawing)
        except BrokenExecutor:
            self._worker = None

    def prints(self, figure: Figure) -> Prints:
        """The pictures of a figure, ordered or not."""
        drawing, ordered = self._orders.pop(figure.name, (None, None))
        if ordered is None or drawing is not figure.drawing:
            return develop(figure.drawing)
        if ordered.cancel():  # not begun yet: two draw the rest faster than one
            return develop(figure.drawing)
        try:
            return ordered.result()
        except BrokenExecutor:
            return develop(figure.drawing)


def _cores() -> int:
    """Cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _worker() -> Executor | None:
    try:
        worker: Executor = get_reusable_executor(max_workers=1, timeout=_IDLE_SECONDS)
    except (OSError, ImportError, NotImplementedError):
        return None
    return worker
