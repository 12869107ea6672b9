"""Mosaics: hues that every reader can tell apart, lightness that orders cells, letters and frames that need no color."""

from dataclasses import replace
from itertools import combinations, pairwise

import numpy as np
import pytest
from matplotlib.collections import LineCollection

from interp.report.chart_images import ChartImage
from interp.report.charts import CategoryHeatmap
from interp.report.draw_category_heatmap import draw_category_heatmap
from interp.report.palette import HUES, luminance, readable_ink, tint

# Machado et al. 2009, table of severity 1.0; linear RGB.
VISION = {
    "normal": np.eye(3),
    "protan": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deutan": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "tritan": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def lab(color, vision):
    """CIE 1976 L*a*b* of `#rrggbb` as seen with one kind of color vision."""
    channels = np.array([int(color[start : start + 2], 16) / 255 for start in (1, 3, 5)])
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    xyz = TO_XYZ @ np.clip(np.array(VISION[vision]) @ linear, 0, 1) / np.array([0.9505, 1.0, 1.089])
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("vision", VISION)
def test_hues_are_told_apart_with_any_common_color_vision(vision):
    hues = [color for hue, color in HUES.items() if hue != "gray"]
    distances = [np.linalg.norm(lab(first, vision) - lab(second, vision)) for first, second in combinations(hues, 2)]
    assert min(distances) >= 16


@pytest.mark.parametrize("hue", HUES)
def test_a_stronger_cell_is_darker_and_its_ink_stays_readable(hue):
    colors = [tint(hue, strength) for strength in np.linspace(0, 1, 21)]
    light = [luminance(color) for color in colors]
    assert all(first > second for first, second in pairwise(light))
    for color in colors:
        dark, bright = sorted((luminance(color), luminance(readable_ink(color))))
        assert (bright + 0.05) / (dark + 0.05) >= 4.5, color
    assert tint(hue, 7.0) == HUES[hue].lower()
    assert tint(hue, -1.0) == tint(hue, 0.0) != "#f4f6f7"


def mosaic(rows=2, columns=3, **changes):
    drawn = CategoryHeatmap(
        category=np.arange(rows * columns).reshape(rows, columns) % 3 - 1,
        strength=np.linspace(0, 1, rows * columns).reshape(rows, columns),
        codes=(("prev",) * columns,) * rows,
        marks=(("",) * columns,) * rows,
        categories=(("position", "blue"), ("special tokens, of which there are rather many in this text", "orange")),
        strength_label="share of the way from chance to always",
        mark_labels=("has the role", "clear tendency", "uncertain under resampling"),
        row_axis="layer",
        column_axis="head",
    )
    return replace(drawn, **changes)


def words(figure):
    return [text.get_text() for text in (*figure.texts, *(text for axes in figure.axes for text in axes.texts))]


def frames(figure):
    """Number of frames of each kind around cells."""
    lines = [item for item in figure.axes[0].collections if isinstance(item, LineCollection)]
    return [len(line.get_segments()) for line in lines]


def test_cells_carry_their_code_and_the_legend_names_what_occurs():
    found = words(draw_category_heatmap(mosaic(), 8.6))
    assert found.count("prev") == 6
    assert {"position", "0 to 1: share of the way from chance to always", "layer", "head", "1.00"} <= set(found)
    assert not {"has the role", "not defined"} & set(found)
    only = words(draw_category_heatmap(mosaic(category=np.full((2, 3), -1)), 8.6))
    assert "position" not in only


def test_undefined_certain_and_uncertain_cells_are_marked_without_color():
    strength = np.full((2, 3), 0.5)
    strength[1, 2] = np.nan
    marked = mosaic(strength=strength, marks=(("certain", "", "uncertain"), ("uncertain", "", "")))
    figure = draw_category_heatmap(marked, 8.6)
    assert {"has the role", "uncertain under resampling", "not defined"} <= set(words(figure))
    assert words(figure).count("prev") == 5
    assert frames(figure) == [1, 0, 2]
    (crosses,) = figure.axes[0].lines
    assert crosses.get_xydata().tolist() == [[2.5, 1.5]]
    bold = [text.get_text() for text in figure.axes[0].texts if text.get_fontweight() == "bold"]
    assert bold == ["prev"]


@pytest.mark.parametrize("inches", [8.6, 3.5])
@pytest.mark.parametrize("columns", [6, 16])
def test_nothing_leaves_the_figure_and_letters_stay_readable(inches, columns):
    figure = draw_category_heatmap(mosaic(6, columns), inches)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    for text in (*figure.texts, *(text for axes in figure.axes for text in axes.texts)):
        box = text.get_window_extent()
        assert box.x0 >= -1, text.get_text()
        assert box.x1 <= width + 1, text.get_text()
        assert box.y0 >= -1, text.get_text()
        assert box.y1 <= height + 1, text.get_text()
        assert text.get_fontsize() >= 5.5
    assert figure.get_figwidth() <= inches + 1e-6


def test_the_same_mosaic_gives_the_same_bytes_and_holds_no_text_of_a_prompt():
    hostile = mosaic(codes=(("<b>", "$x$", "a"),) * 2)
    assert ChartImage(hostile).svg() == ChartImage(hostile).svg()
    assert b"<b>" not in ChartImage(hostile).svg()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strength": np.full((2, 3), 1.5)}, r"CategoryHeatmap.strength must lie between 0 and 1, got 1.5 to 1.5"),
        ({"category": np.full((2, 3), 2)}, r"whole numbers from -1 to 1 of shape \(2, 3\), got shape \(2, 3\)"),
        ({"codes": (("a", "b", "c"),)}, "CategoryHeatmap.codes must have 2 entries, got 1"),
        ({"marks": (("",), ("",))}, "CategoryHeatmap.codes and marks need rows of 3 entries each"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        mosaic(**changes)
