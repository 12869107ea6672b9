"""Lines over steps, as every section draws them."""

from collections.abc import Callable, Sequence

import numpy as np

from analyses.trace.snapshots import Snapshot
from analyses.trace.trace import RunTrace, Trace
from interp.report import Figure, LinePlot, Series
from interp.report.charts import Style
from interp.statistics import Interval

STEPS = "optimizer steps (log of step + 1)"
PARTS = {"main": "", "seed": " (other seed)", "control": " (control)"}


def called(run: RunTrace) -> str:
    """What a run is called in a legend."""
    return f"{run.name}{PARTS[run.part]}"


def number_line(run: RunTrace, name: str, label: str, cell: tuple[int, ...] = (), interval: bool = True) -> Series:
    """A number of one run over its steps.

    Args:
        run: the run.
        name: of the number in its snapshots.
        label: in the legend.
        cell: which cell of the number.
        interval: whether the 95 % interval is drawn.
    """
    found = [snapshot.mean(name)[cell] if cell else snapshot.mean(name) for snapshot in run.snapshots]
    return interval_line(run.steps, found, label, "control" if run.part == "control" else "model", interval)


def interval_line(
    steps: Sequence[int], found: Sequence[Interval], label: str, style: Style = "model", interval: bool = True
) -> Series:
    """Single estimates as a line.

    Args:
        steps: the steps.
        found: an estimate for each.
        label: in the legend.
        style: `model` or `control`.
        interval: whether intervals are drawn.
    """
    low, point, high = (np.array([float(getattr(one, part)) for one in found]) for part in ("low", "point", "high"))
    shown = interval and bool(np.isfinite(low).any())
    band = (low, high) if shown else (None, None)
    return Series(label, np.array(steps, dtype=np.float64), point, low=band[0], high=band[1], style=style)


def step_figure(name: str, series: Sequence[Series], y_axis: str, caption: str, alt: str) -> Figure:
    """Lines over steps as a figure.

    Args:
        name: of the figure.
        series: the lines.
        y_axis: what they are, with the unit.
        caption: how to read them.
        alt: the finding, for those who do not see them.
    """
    return Figure(name, caption, alt, LinePlot(tuple(series), STEPS, y_axis, logarithmic=True))


def over_steps(run: RunTrace, read: Callable[[Snapshot], float]) -> np.ndarray:
    """A number of every snapshot.

    Args:
        run: the run.
        read: gives it.
    """
    return np.array([read(snapshot) for snapshot in run.snapshots])


def step_words(trace: Trace, place: int, low: int | None = None, high: int | None = None) -> str:
    """The step of a moment of the main run, with the range of its interval: `216 [144, 324]`.

    Args:
        trace: the trace.
        place: which moment.
        low: the earliest of its interval.
        high: the latest.
    """
    steps = trace.main.steps
    return f"{steps[place]:,}" if low is None or high is None else f"{steps[place]:,} [{steps[low]:,}, {steps[high]:,}]"
