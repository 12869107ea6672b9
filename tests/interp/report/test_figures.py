import xml.etree.ElementTree as ElementTree

import matplotlib
import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.layout_engine import PlaceHolderLayoutEngine

from interp.report import BarChart, Heatmap, LineGrid, LinePlot, Panel, PointGroup, ScatterPlot, Series
from interp.report.chart_images import INCHES, ChartImage
from interp.report.draw_heatmap import draw_heatmap
from interp.report.draw_line_grid import draw_line_grid
from interp.report.draw_plots import draw_bar_chart, draw_line_plot, draw_scatter_plot
from interp.report.fonts import STYLE, drawable, width

pytestmark = pytest.mark.slow

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "</script><script>alert(1)</script>",
    "$x^2$",
    "$\\frac{",
    "{{7*7}}",
    "مرحبا",
    "\u200b",
    "中文",
    "y" * 10_000,
    "\x00",
    "\ud800",
)
ABC = tuple("abcdefgh")


def panel(values, title="attention"):
    n_rows, n_columns = values.shape
    return Panel(title, values, tuple(map(str, range(n_rows))), tuple(map(str, range(n_columns))), "layer", "head")


def numbers(*shape):
    return np.random.default_rng(7).random(shape)


DRAWINGS = {
    "heatmap": Heatmap((panel(numbers(4, 8)), panel(numbers(6, 5)), panel(numbers(2, 8))), "mass"),
    "signed": Heatmap((panel(numbers(3, 4) - 0.5),), "logits", center=0.0),
    "large": Heatmap((panel(numbers(70, 80)),), "bias", lower=0.0, upper=0.5),
    "lines": LinePlot(
        (
            Series("probe", np.arange(5.0), numbers(5), numbers(5) - 1, numbers(5) + 1),
            Series("untrained", np.arange(5.0), numbers(5) - 0.5, style="control"),
        ),
        "layer",
        "accuracy",
        ("embed", "0", "1", "2", "final"),
    ),
    "small lines": LineGrid(
        tuple(
            (
                f"method {place}",
                (
                    Series("out", np.arange(5.0), numbers(5)),
                    *(Series(name, np.arange(5.0), numbers(5), style="control") for name in ("drawn", "drawn", "twin")),
                ),
            )
            for place in range(7)
        ),
        "share of tokens",
        "share of the difference",
    ),
    "scatter": ScatterPlot(
        (
            PointGroup("heads", numbers(8), numbers(8) ** 2, ABC),
            PointGroup("untrained", numbers(8) / 9, numbers(8) / 9, ("",) * 8, "control"),
        ),
        "direct",
        "total",
        diagonal=True,
    ),
    "bars": BarChart(ABC, numbers(8) - 0.5, numbers(8) - 1, numbers(8) + 0.2, np.zeros(8), "logits"),
    "hostile heatmap": Heatmap(
        (Panel(HOSTILE[0], numbers(10, 10), HOSTILE, HOSTILE, HOSTILE[1], HOSTILE[2]),), HOSTILE[2]
    ),
    "hostile bars": BarChart(HOSTILE, numbers(10), None, None, None, HOSTILE[2]),
    "hostile scatter": ScatterPlot(
        (PointGroup(HOSTILE[2], numbers(10), numbers(10), HOSTILE),), HOSTILE[0], HOSTILE[7]
    ),
    "hostile small lines": LineGrid(
        tuple((text, (Series(text, np.arange(3.0), numbers(3)),)) for text in HOSTILE), HOSTILE[0], HOSTILE[7]
    ),
    "hostile lines": LinePlot((Series(HOSTILE[2], np.arange(3.0), numbers(3)),), HOSTILE[0], HOSTILE[7], HOSTILE[:3]),
}


@pytest.mark.parametrize("name", DRAWINGS)
@pytest.mark.parametrize("size", ["wide", "narrow"])
def test_a_figure_is_the_same_bytes_twice_and_its_text_is_text_and_no_more(name, size):
    picture = ChartImage(DRAWINGS[name], size).svg()
    assert picture == ChartImage(DRAWINGS[name], size).svg()
    root = ElementTree.fromstring(picture)
    assert not [element for element in root.iter() if element.tag in {f"{SVG}script", f"{SVG}a"}]
    assert not [name for element in root.iter() for name in element.attrib if name.startswith("on")]
    assert [element for element in root.iter(f"{SVG}text") if element.text]
    assert b"<!--" not in picture
    assert b"<script" not in picture
    assert b"<dc:date>" not in picture
    assert b"atplotlib v" not in picture


@pytest.mark.parametrize("name", ["scatter", "small lines", "hostile small lines"])
def test_places_of_axes_do_not_depend_on_where_things_lie_in_memory(name):
    kept, found = [], set()
    for count in range(16):
        kept.append([object() for _ in range(37 * count)])
        image = ChartImage(DRAWINGS[name])
        assert isinstance(image._figure.get_layout_engine(), PlaceHolderLayoutEngine | None)
        found.add(tuple(tuple(axes.get_position().bounds) for axes in image._figure.axes))
    assert len(found) == 1


@pytest.mark.parametrize("name", DRAWINGS)
def test_a_figure_keeps_to_the_page(name):
    """At natural size a phone shows a narrow figure without scrolling and no figure is cut."""
    for size, inches in INCHES.items():
        root = ElementTree.fromstring(ChartImage(DRAWINGS[name], size).svg())
        assert float(root.get("width").removesuffix("pt")) / 72 <= inches + 0.01


def test_only_references_inside_the_file():
    for drawing in DRAWINGS.values():
        for element in ElementTree.fromstring(ChartImage(drawing).svg()).iter():
            for key, value in element.attrib.items():
                if key.endswith(("href", "src")):
                    assert value.startswith(("#", "data:image/png;base64,"))


def test_png_carries_no_version_and_is_stable():
    picture = ChartImage(DRAWINGS["bars"]).png()
    assert picture.startswith(b"\x89PNG")
    assert b"Software" not in picture
    assert picture == ChartImage(DRAWINGS["bars"]).png()


def test_the_users_matplotlib_settings_change_nothing():
    expected = ChartImage(DRAWINGS["lines"]).svg()
    with matplotlib.rc_context({"font.size": 30, "axes.grid": True, "svg.fonttype": "none", "figure.dpi": 300}):
        assert ChartImage(DRAWINGS["lines"]).svg() == expected
        assert matplotlib.rcParams["font.size"] == 30


def styled(draw, drawing, inches=INCHES["wide"]):
    with matplotlib.style.context(["default", STYLE]):
        figure = draw(drawing, inches)
        FigureCanvasAgg(figure).draw()
    return figure


def written(figure):
    texts = [text for axes in figure.axes for text in axes.texts] + figure.texts
    return [text.get_text() for text in texts]


def marks(axes):
    return {(line.get_marker(), x, y) for line in axes.lines for x, y in line.get_xydata()}


def test_undefined_cells_carry_a_cross_and_the_legend_says_so():
    values = numbers(3, 4)
    values[1, 2] = np.nan
    figure = styled(draw_heatmap, Heatmap((panel(values),), "mass"))
    assert marks(figure.axes[0]) == {("x", 2.5, 1.5)}
    assert "× not defined" in written(figure)
    assert "× not defined" not in written(styled(draw_heatmap, Heatmap((panel(numbers(3, 4)),), "mass")))


def test_clipped_cells_are_marked_where_numbers_do_not_fit():
    values = np.full((6, 60), 0.5)
    values[0, 0], values[5, 59] = 2.0, -1.0
    figure = styled(draw_heatmap, Heatmap((panel(values),), "mass", lower=0.0, upper=1.0))
    assert marks(figure.axes[0]) == {("+", 0.5, 0.5), ("_", 59.5, 5.5)}
    assert "+ above the scale   − below the scale" in written(figure)


def test_small_panels_print_their_numbers():
    figure = styled(draw_heatmap, Heatmap((panel(np.array([[0.5, -0.25], [1.0, 0.001]])),), "effect", center=0.0))
    inside = [text for text in figure.axes[0].texts if all(0 < place < 2 for place in text.get_position())]
    assert [text.get_text() for text in inside] == ["0.50", "−0.25", "1.00", "0.00"]


def test_panels_of_one_heatmap_color_equal_numbers_equally():
    small, large = np.array([[0.1, 0.2]]), np.array([[0.2, 9.0]])
    figure = styled(draw_heatmap, Heatmap((panel(small), panel(large)), "mass"))
    first, second = (axes.collections[0].get_facecolors() for axes in figure.axes[:2])
    np.testing.assert_array_equal(first[1], second[0])
    assert (first[0] != second[1]).any()


def boxes(texts, figure):
    """Where texts are, measured finely: at screen resolution hinting widens letters, which the SVG does not do."""
    figure.set_dpi(720)
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    return [text.get_window_extent(renderer) for text in texts if text.get_text()]


def tick_labels(axes):
    lower, upper = sorted(axes.get_xlim())
    columns = [label for label in axes.get_xticklabels() if lower <= label.get_position()[0] <= upper]
    lower, upper = sorted(axes.get_ylim())
    return columns + [label for label in axes.get_yticklabels() if lower <= label.get_position()[1] <= upper]


def overlaps(items):
    return [(a, b) for index, a in enumerate(items) for b in items[index + 1 :] if a.overlaps(b)]


@pytest.mark.parametrize("inches", list(INCHES.values()))
@pytest.mark.parametrize("name", ["small lines", "hostile small lines"])
def test_small_lines_name_every_label_once_and_nothing_overlaps(name, inches):
    figure = styled(draw_line_grid, DRAWINGS[name], inches)
    (legend,) = figure.legends
    said = [text.get_text() for text in legend.get_texts()]
    assert said == (["out", "drawn", "twin"] if name == "small lines" else list(dict.fromkeys(said)))
    if name == "small lines":
        lines = [axes.lines for axes in figure.axes[:7]]
        assert len({tuple((line.get_color(), line.get_marker()) for line in some) for some in lines}) == 1
        assert lines[0][1].get_marker() == lines[0][2].get_marker() != lines[0][3].get_marker()
    found = boxes([*(axes.title for axes in figure.axes), *figure.texts, *legend.get_texts()], figure)
    assert not overlaps(found)
    names = boxes([*figure.texts, *legend.get_texts()], figure)
    ticks = [label for axes in figure.axes[:7] for label in tick_labels(axes) if label.get_text()]
    assert not [tick for tick in boxes(ticks, figure) for name in names if tick.overlaps(name)]
    assert all(figure.bbox.padded(10).contains(*corner) for box in found for corner in (box.min, box.max))


@pytest.mark.parametrize("inches", list(INCHES.values()))
def test_labels_of_a_heatmap_do_not_overlap(inches):
    tokens = tuple(f"·token{index}" for index in range(40))
    wordy = Panel(
        "cross-attention", numbers(3, 40), ("·eins", "·zwei", "·drei"), tokens, "target token", "source token"
    )
    for drawing in (Heatmap((wordy,), "weight"), DRAWINGS["heatmap"], DRAWINGS["hostile heatmap"]):
        figure = styled(draw_heatmap, drawing, inches)
        *panels, bar = figure.axes
        labels = [text for axes in panels for text in axes.texts]
        assert drawing.panels[0] is not wordy or {"·eins", "·token0", "·token39"} <= set(written(figure))
        found = boxes(labels + tick_labels(bar) + figure.texts, figure)
        assert len(found) > 6
        assert not overlaps(found)
        assert all(figure.bbox.padded(10).contains(*corner) for box in found for corner in (box.min, box.max))


@pytest.mark.parametrize("inches", list(INCHES.values()))
def test_names_of_points_do_not_overlap_and_none_is_lost_silently(inches):
    rng = np.random.default_rng(3)
    names = tuple(f"XL{index // 8}H{index % 8}" for index in range(96))
    group = PointGroup("heads", rng.random(96), rng.random(96), names)
    figure = styled(draw_scatter_plot, ScatterPlot((group,), "x", "y"), inches)
    shown = {text.get_text() for text in figure.axes[0].texts}
    assert not overlaps(boxes(figure.axes[0].texts, figure))
    assert 10 < len(shown) < 96
    assert any(text.startswith(f"{96 - len(shown)} of 96 names") for text in written(figure))


@pytest.mark.parametrize("inches", list(INCHES.values()))
@pytest.mark.parametrize("name", ["lines", "bars", "scatter", "hostile bars", "hostile lines", "hostile scatter"])
def test_charts_keep_their_words_apart_and_inside(name, inches):
    draw = {"lines": draw_line_plot, "bars": draw_bar_chart, "scatter": draw_scatter_plot}[
        name.removeprefix("hostile ")
    ]
    figure = styled(draw, DRAWINGS[name], inches)
    (axes,) = figure.axes
    words = [axes.xaxis.label, axes._left_title, *tick_labels(axes)]
    words += [text for legend in figure.legends for text in legend.get_texts()] + figure.texts
    found = boxes(words, figure)
    assert not overlaps(found)
    assert all(figure.bbox.padded(10).contains(*corner) for box in found for corner in (box.min, box.max))


def test_controls_differ_in_more_than_color():
    figure = styled(draw_line_plot, DRAWINGS["lines"])
    model, control = figure.axes[0].lines[:2]
    assert model.get_markerfacecolor() != "white"
    assert control.get_markerfacecolor() == "white"
    assert model.get_linestyle() == "-"
    assert control.get_linestyle() == "--"


def test_bars_print_their_values_and_begin_at_a_drawn_zero():
    values = np.array([1.25, -0.5, np.nan])
    figure = styled(draw_bar_chart, BarChart(("a", "b", "c"), values, None, None, None, "logits"))
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.child_axes[0].get_yticklabels()] == ["1.25", "−0.50", "–"]
    assert [bar.get_width() for bar in axes.patches] == [1.25, -0.5]
    assert any(list(line.get_xdata()) == [0.0, 0.0] for line in axes.lines)
    assert axes.get_ylim()[0] > axes.get_ylim()[1]


def test_labels_name_what_the_font_cannot_draw():
    assert drawable("中") == "[U+4E2D]"
    assert drawable("▁a") == "▁a"
    assert drawable("$x$") == "$x$"
    assert len(drawable("y" * 10_000)) == 28


def test_widths_are_measured():
    assert width("mm", 9.0) == pytest.approx(2 * width("m", 9.0), rel=0.02)
    assert width("m", 18.0) == pytest.approx(2 * width("m", 9.0), rel=0.02)
    assert width("i", 9.0) < width("m", 9.0)
