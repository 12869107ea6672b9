"""What is a chart before it is drawn?

Plain data: arrays, labels and the meaning of the scale. An analysis fills one of them; `chart_images.py`
alone knows how they look.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float, Int

from interp.report.array_fields import ArrayFields
from interp.report.layered_graph import LayeredGraph
from interp.report.palette import Hue

Style = Literal["model", "control"]
Mark = Literal["", "certain", "tendency", "uncertain"]


@dataclass(frozen=True, eq=False)
class Panel(ArrayFields):
    """One matrix of a heatmap.

    Attributes:
        title: what the matrix shows, for example "cross-attention".
        values: the numbers; NaN means "not defined" and is drawn as a cross.
        row_labels: one label a row, from the top.
        column_labels: one label a column, from the left.
        row_axis: what a row is, for example "layer".
        column_axis: what a column is, for example "head".
    """

    title: str
    values: Float[np.ndarray, "row column"]
    row_labels: tuple[str, ...]
    column_labels: tuple[str, ...]
    row_axis: str
    column_axis: str

    def __post_init__(self) -> None:
        rows, columns = self._freeze("values", 2).shape
        self._check_length(rows, "row_labels")
        self._check_length(columns, "column_labels")


@dataclass(frozen=True, eq=False)
class Heatmap:
    """Matrices of one quantity on one shared color scale.

    Attributes:
        panels: the matrices; they may differ in size.
        color_label: the quantity and its unit.
        center: None for a magnitude (sequential colors); for a signed quantity the neutral value, around
            which diverging colors are symmetric.
        lower: lower end of the scale; None takes the smallest value. Values below are marked as clipped.
        upper: upper end of the scale; None takes the largest value.

    Raises:
        ValueError: without panels, or if the ends of the scale are not in order.
    """

    panels: tuple[Panel, ...]
    color_label: str
    center: float | None = None
    lower: float | None = None
    upper: float | None = None

    def __post_init__(self) -> None:
        if not self.panels:
            raise ValueError("Heatmap.panels is empty; give at least one Panel.")
        if self.lower is not None and self.upper is not None and self.lower >= self.upper:
            raise ValueError(f"Heatmap.lower must lie below upper, got {self.lower} and {self.upper}.")

    @property
    def limits(self) -> tuple[float, float]:
        """Ends of the color scale, symmetric about `center` where there is one."""
        finite = np.concatenate([panel.values[np.isfinite(panel.values)] for panel in self.panels])
        lower = self.lower if self.lower is not None else float(finite.min(initial=np.inf))
        upper = self.upper if self.upper is not None else float(finite.max(initial=-np.inf))
        if finite.size == 0:
            lower, upper = self.lower or 0.0, self.upper if self.upper is not None else 1.0
        if self.center is not None:
            reach = max(abs(upper - self.center), abs(lower - self.center)) or 1.0
            return self.center - reach, self.center + reach
        return (lower, upper) if lower < upper else (lower, lower + (abs(lower) or 1.0))


@dataclass(frozen=True, eq=False)
class Series(ArrayFields):
    """One line of a line chart.

    Attributes:
        label: its name in the legend.
        x: positions, in ascending order.
        y: values; NaN leaves a gap.
        low: lower ends of the intervals, or None where there are none.
        high: upper ends of the intervals, or None.
        style: "control" draws a gray dashed line with hollow markers.

    Raises:
        ValueError: if x does not ascend, besides what holds of all arrays.
    """

    label: str
    x: Float[np.ndarray, " point"]
    y: Float[np.ndarray, " point"]
    low: Float[np.ndarray, " point"] | None = None
    high: Float[np.ndarray, " point"] | None = None
    style: Style = "model"

    def __post_init__(self) -> None:
        x, _ = self._freeze("x", 1), self._freeze("y", 1)
        self._check_length(len(x), "y")
        if (np.diff(x) <= 0).any() or np.isnan(x).any():
            raise ValueError(f"Series.x must ascend without gaps, got {x.tolist()} for {self.label!r}.")
        self._freeze_interval(len(x))


@dataclass(frozen=True, eq=False)
class LinePlot:
    """A line chart with intervals as bands.

    Attributes:
        series: the lines, in the order of the legend.
        x_axis: name and unit of x.
        y_axis: name and unit of y.
        x_ticks: names of the positions x = 0, 1, 2, ...; None prints numbers.
        logarithmic: whether x, from 0, is drawn as log(x + 1), with a tick at every position that has room.

    Raises:
        ValueError: without series, or if a logarithmic axis would begin below 0.
    """

    series: tuple[Series, ...]
    x_axis: str
    y_axis: str
    x_ticks: tuple[str, ...] | None = None
    logarithmic: bool = False

    def __post_init__(self) -> None:
        if not self.series:
            raise ValueError("LinePlot.series is empty; give at least one Series.")
        if self.logarithmic and min(series.x.min(initial=0.0) for series in self.series) < 0.0:
            raise ValueError("LinePlot.logarithmic draws log(x + 1), so x must begin at 0 or above.")


@dataclass(frozen=True)
class LineGrid:
    """Small line charts on the same axes; lines with one label look the same in all of them.

    Attributes:
        panels: title and lines of each, in reading order.
        x_axis: name and unit of x.
        y_axis: name and unit of y.

    Raises:
        ValueError: without panels, or with one that has no lines.
    """

    panels: tuple[tuple[str, tuple[Series, ...]], ...]
    x_axis: str
    y_axis: str

    def __post_init__(self) -> None:
        if not self.panels or not all(lines for _, lines in self.panels):
            raise ValueError("LineGrid.panels must be panels with a line each, and at least one.")


@dataclass(frozen=True, eq=False)
class PointGroup(ArrayFields):
    """Points of a scatter plot that share a marker.

    Attributes:
        label: the name of the group in the legend.
        x: horizontal positions.
        y: vertical positions.
        names: what is written beside each point; an empty text writes nothing.
        style: "control" draws hollow gray markers.
        hue: the color of the group where it has one elsewhere in the report; None takes the next one.
        marker: number of its marker, for groups that share one; None takes the next one.
    """

    label: str
    x: Float[np.ndarray, " point"]
    y: Float[np.ndarray, " point"]
    names: tuple[str, ...]
    style: Style = "model"
    hue: Hue | None = None
    marker: int | None = None

    def __post_init__(self) -> None:
        x, _ = self._freeze("x", 1), self._freeze("y", 1)
        self._check_length(len(x), "y", "names")


@dataclass(frozen=True, eq=False)
class ScatterPlot:
    """A scatter plot.

    Attributes:
        groups: the groups of points, in the order of the legend.
        x_axis: name and unit of x.
        y_axis: name and unit of y.
        diagonal: whether to draw x = y, on equal axes, for two measurements of one quantity.

    Raises:
        ValueError: without groups.
    """

    groups: tuple[PointGroup, ...]
    x_axis: str
    y_axis: str
    diagonal: bool = False

    def __post_init__(self) -> None:
        if not self.groups:
            raise ValueError("ScatterPlot.groups is empty; give at least one PointGroup.")


@dataclass(frozen=True, eq=False)
class BarChart(ArrayFields):
    """Signed horizontal bars from zero, the first at the top.

    Attributes:
        labels: one label a bar.
        values: lengths of the bars; NaN draws a cross and no bar.
        low: lower ends of the intervals, or None.
        high: upper ends of the intervals, or None.
        control: the value of the control for each bar, drawn as a hollow diamond, or None.
        axis: name and unit of the values.
    """

    labels: tuple[str, ...]
    values: Float[np.ndarray, " bar"]
    low: Float[np.ndarray, " bar"] | None
    high: Float[np.ndarray, " bar"] | None
    control: Float[np.ndarray, " bar"] | None
    axis: str

    def __post_init__(self) -> None:
        values = self._freeze("values", 1)
        self._check_length(len(values), "labels")
        self._freeze_interval(len(values))
        if self.control is not None:
            self._freeze("control", 1)
            self._check_length(len(values), "control")


@dataclass(frozen=True, eq=False)
class CategoryHeatmap(ArrayFields):
    """A grid whose cells have a category, shown by hue, and a strength, shown by lightness.

    Attributes:
        category: for each cell an index into `categories`; -1 is none.
        strength: from 0 to 1; NaN means "not defined" and is drawn as a cross.
        codes: what is written in each cell, a few letters: hue alone must not tell categories apart.
        marks: "certain" cells get a thick frame, a "tendency" a thin and "uncertain" ones a broken one.
        categories: name and hue of each category, in the order of the legend.
        strength_label: what a strength is.
        mark_labels: what a certain cell, a tendency and an uncertain cell is.
        row_axis: what a row is, numbered from 0.
        column_axis: what a column is, numbered from 0.

    Raises:
        ValueError: if a strength lies outside 0 to 1 or a category does not exist, besides what holds of all arrays.
    """

    category: Int[np.ndarray, "row column"]
    strength: Float[np.ndarray, "row column"]
    codes: tuple[tuple[str, ...], ...]
    marks: tuple[tuple[Mark, ...], ...]
    categories: tuple[tuple[str, Hue], ...]
    strength_label: str
    mark_labels: tuple[str, str, str]
    row_axis: str
    column_axis: str

    def __post_init__(self) -> None:
        strength = self._freeze("strength", 2)
        if (strength < 0).any() or (strength > 1).any():
            raise ValueError(
                f"CategoryHeatmap.strength must lie between 0 and 1, got {np.nanmin(strength)} to {np.nanmax(strength)}."
            )
        self._freeze_choice("category", strength.shape, len(self.categories))
        self._check_length(len(strength), "codes", "marks")
        if {len(row) for row in (*self.codes, *self.marks)} != {strength.shape[1]}:
            raise ValueError(f"CategoryHeatmap.codes and marks need rows of {strength.shape[1]} entries each.")


Chart = Heatmap | LinePlot | LineGrid | ScatterPlot | BarChart | CategoryHeatmap | LayeredGraph
