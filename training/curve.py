"""The loss curve of a run, from its log to an SVG that is the same bytes every time."""

import json
from dataclasses import dataclass
from pathlib import Path

import matplotlib as mpl
from matplotlib.figure import Figure

from interp.errors import InputError


@dataclass(frozen=True, slots=True)
class Curve:
    """What a run's log says.

    Attributes:
        steps: steps taken at each line of the log.
        losses: mean label-smoothed training loss of the steps since the line before, nats for each target token.
        held_out: steps, and loss without smoothing or dropout on the held-out pairs, where it was measured.
        seconds: seconds of computing in all.
    """

    steps: tuple[int, ...]
    losses: tuple[float, ...]
    held_out: tuple[tuple[int, float], ...]
    seconds: float


def read_log(path: Path) -> Curve:
    """Reads `log.jsonl` of a run.

    Raises:
        InputError: if there is no log, or it has no line yet.
    """
    lines = path.read_text(encoding="utf-8").splitlines() if path.is_file() else []
    rows = [json.loads(line) for line in lines]
    trained = [row for row in rows if row["loss"] is not None]  # Before the first step only the held-out loss is known.
    if not trained:
        raise InputError(
            f"There is no loss logged in {str(path)!r} yet. Train for at least 50 steps, or to the end of the budget."
        )
    return Curve(
        steps=tuple(row["step"] for row in trained),
        losses=tuple(row["loss"] for row in trained),
        held_out=tuple((row["step"], row["held_out"]) for row in rows if row["held_out"] is not None),
        seconds=rows[-1]["seconds"],
    )


def draw(curve: Curve, path: Path) -> None:
    """Writes the curve as SVG, without date and with fixed ids."""
    with mpl.rc_context({"svg.hashsalt": "t5-interp", "svg.fonttype": "none", "font.size": 9}):
        figure = Figure(figsize=(6.0, 3.2), layout="constrained")
        axes = figure.subplots()
        axes.plot(
            curve.steps, curve.losses, color="#0072b2", linewidth=1.0, label="training (label-smoothed, with dropout)"
        )
        if curve.held_out:
            steps, losses = zip(*curve.held_out, strict=True)
            axes.plot(steps, losses, color="#d55e00", marker="o", markersize=3, linewidth=1.0, label="held out (plain)")
        axes.set_xlabel("optimizer steps")
        axes.set_ylabel("nats per target token")
        axes.grid(alpha=0.3, linewidth=0.5)
        axes.legend(frameon=False)
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})
