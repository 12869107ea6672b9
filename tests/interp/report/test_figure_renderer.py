import base64
import io
import os
import signal
import time

import numpy as np
import pytest
from PIL import Image

from interp.report import BarChart, ChartImage, Figure, FigureRenderer, Heatmap, Panel, Paragraph
from interp.report.figure_renderer import _pixels, render_figure

pytestmark = pytest.mark.slow

BARS = Figure("bars", "c", "a", BarChart(("a", "b"), np.array([0.5, -0.25]), None, None, None, "logits"))
LABELS = tuple(map(str, range(30)))
PANEL = Panel("p", np.arange(900.0).reshape(30, 30), LABELS, LABELS, "key", "query")
MAP = Figure("map", "c", "a", Heatmap((PANEL,), "weight"))


def test_a_second_process_draws_the_same_bytes():
    renderer = FigureRenderer()
    renderer.begin([BARS, Paragraph("Text."), MAP])
    assert [renderer.rendered(figure) for figure in (MAP, BARS)] == [
        render_figure(figure.chart) for figure in (MAP, BARS)
    ]


def test_a_renderer_without_a_second_process_draws_here():
    renderer = FigureRenderer(in_this_process=True)
    renderer.begin([BARS])
    assert renderer.rendered(BARS) == render_figure(BARS.chart)
    assert renderer.rendered(BARS).wide.uri.startswith("data:image/svg")
    assert len(renderer.rendered(MAP).wide.uri) <= min(
        len(_pixels(ChartImage(MAP.chart)).uri), 4 * len(ChartImage(MAP.chart).svg()) // 3 + 30
    ), "whichever of vectors and pixels is lighter"


def test_a_phone_has_vectors_or_pixels_as_the_desk_has():
    labels = tuple(map(str, range(40)))
    cells = Panel("p", np.random.default_rng(0).normal(size=(37, 40)), labels[:37], labels, "key", "query")
    kinds = []
    for chart in (BARS.chart, Heatmap((cells,), "weight")):
        drawn = render_figure(chart)
        kinds.append(drawn.wide.uri[:15])
        assert drawn.narrow.uri.startswith(kinds[-1])
    assert kinds == ["data:image/svg+", "data:image/webp"]


@pytest.mark.parametrize(("kind", "start"), [("svg", b"<?xml"), ("pdf", b"%PDF"), ("png", b"\x89PNG")])
def test_files_come_in_the_format_that_was_asked_for_with_text_as_text(kind, start):
    file = FigureRenderer(in_this_process=True, kind=kind).rendered(BARS).file
    assert file.startswith(start)
    assert file == FigureRenderer(in_this_process=True, kind=kind).rendered(BARS).file
    if kind == "svg":
        assert ">logits</text>" in file.decode()
    if kind == "pdf":
        assert b"/TrueType" in file or b"/CIDFontType2" in file, "fonts are in the file, letters are no outlines"
        assert b"CreationDate" not in file


def test_a_chart_longer_than_the_format_allows_has_coarser_pixels():
    labels = tuple(map(str, range(60)))
    panels = tuple(Panel(f"head {head}", np.zeros((60, 60)), labels, labels, "key", "query") for head in range(14))
    wide = _pixels(ChartImage(Heatmap(panels, "weight")))
    assert wide.height * 144 / 96 > 16_383
    with Image.open(io.BytesIO(base64.b64decode(wide.uri.partition(",")[2]))) as picture:
        assert picture.height <= 16_383


def test_another_chart_under_a_name_begun_before_is_drawn_itself():
    renderer = FigureRenderer()
    renderer.begin([BARS])
    assert renderer.rendered(Figure("bars", "c", "a", MAP.chart)) == render_figure(MAP.chart)


def test_a_killed_worker_costs_time_and_no_figure():
    renderer = FigureRenderer()
    renderer.begin([BARS])
    renderer.rendered(BARS)
    (worker,) = renderer._worker._processes.values()
    os.kill(worker.pid, signal.SIGKILL)
    renderer.begin([BARS, MAP])
    assert [renderer.rendered(figure) for figure in (BARS, MAP)] == [
        render_figure(figure.chart) for figure in (BARS, MAP)
    ]


def test_what_waits_when_the_page_is_written_is_drawn_here_from_the_last_on():
    renderer = FigureRenderer()
    figures = [Figure(f"bars-{number}", "c", "a", BARS.chart) for number in range(6)]
    renderer._worker.submit(time.sleep, 3)
    renderer.begin(figures)
    renderer.finish()
    assert [renderer._begun[figure.name][1].done() for figure in figures[-2:]] == [True] * 2
    assert not renderer._begun[figures[0].name][1].done()
    assert {renderer.rendered(figure).file for figure in figures} == {render_figure(BARS.chart).file}
