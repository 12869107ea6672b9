import base64
import io
import os
import signal

import numpy as np
import pytest
from PIL import Image

from interp.report import Bars, Figure, Heatmap, Panel, Paragraph, Studio
from interp.report.studio import develop

pytestmark = pytest.mark.slow

BARS = Figure("bars", "c", "a", Bars(("a", "b"), np.array([0.5, -0.25]), None, None, None, "logits"))
LABELS = tuple(map(str, range(30)))
PANEL = Panel("p", np.arange(900.0).reshape(30, 30), LABELS, LABELS, "key", "query")
MAP = Figure("map", "c", "a", Heatmap((PANEL,), "weight"))


def test_a_second_process_draws_the_same_bytes():
    studio = Studio(beside=True)
    studio.order([BARS, Paragraph("Text."), MAP])
    assert [studio.prints(figure) for figure in (MAP, BARS)] == [develop(figure.drawing) for figure in (MAP, BARS)]


def test_a_studio_without_a_second_process_draws_here():
    studio = Studio(beside=False)
    studio.order([BARS])
    assert studio.prints(BARS) == develop(BARS.drawing)
    assert studio.prints(BARS).wide.uri.startswith("data:image/svg")
    assert studio.prints(MAP).wide.uri.startswith("data:image/webp")


def test_a_drawing_longer_than_the_format_allows_has_coarser_pixels():
    labels = tuple(map(str, range(60)))
    panels = tuple(Panel(f"head {head}", np.zeros((60, 60)), labels, labels, "key", "query") for head in range(14))
    wide = develop(Heatmap(panels, "weight")).wide
    assert wide.height * 144 / 96 > 16_383
    with Image.open(io.BytesIO(base64.b64decode(wide.uri.partition(",")[2]))) as picture:
        assert picture.height <= 16_383


def test_another_drawing_under_an_ordered_name_is_drawn_itself():
    studio = Studio(beside=True)
    studio.order([BARS])
    assert studio.prints(Figure("bars", "c", "a", MAP.drawing)) == develop(MAP.drawing)


def test_a_killed_worker_costs_time_and_no_figure():
    studio = Studio(beside=True)
    studio.order([BARS])
    studio.prints(BARS)
    (worker,) = studio._worker._processes.values()
    os.kill(worker.pid, signal.SIGKILL)
    studio.order([BARS, MAP])
    assert [studio.prints(figure) for figure in (BARS, MAP)] == [develop(figure.drawing) for figure in (BARS, MAP)]
