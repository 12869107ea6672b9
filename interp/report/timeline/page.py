"""The page with the slider as one file: a template, our styles, scripts by their hashes, data as text that is never run."""

from typing import Any

import numpy as np
from markupsafe import Markup

from interp.report.escaping import TEMPLATES, fill
from interp.report.explorer.packing import WEIGHT_STEP, packed
from interp.report.palette import HUES, readable_ink, tint
from interp.report.policy import script_policy
from interp.report.timeline.contents import HeadTimeline, RunTimeline, Timeline
from interp.report.visible_text import shorten, shown_token, visible

MOST_BYTES = 6_000_000
"""Bytes of patterns, before they are deflated, that one run may have in the page; prompts beyond are left out."""

_STYLES = ("style.css", "explorer.css", "timeline.css")


def timeline_page(timeline: Timeline, title: str, home: str = "") -> bytes:
    """The page as HTML.

    Args:
        timeline: the contents.
        title: heading of the page.
        home: address of the report beside the page; empty where there is none.

    Raises:
        ValueError: without a run.
    """
    if not timeline.runs:
        raise ValueError("A page with a slider needs a run.")
    scripts = [(TEMPLATES / name).read_text(encoding="utf-8") for name in ("drawing.js", "timeline.js")]
    html = fill(
        "timeline.html.jinja",
        title=title,
        home=home,
        note=timeline.note,
        # Our own files, and base 64, hold no character that HTML would read.
        style=Markup("\n".join((TEMPLATES / name).read_text(encoding="utf-8") for name in _STYLES)),
        libraries=list(map(Markup, scripts)),
        packed=[Markup(packed_run(run, timeline)) for run in timeline.runs],
        policy=script_policy(scripts),
    )
    return html.encode("utf-8", errors="replace")


def packed_run(run: RunTimeline, timeline: Timeline) -> str:
    """A run as base 64 of deflated bytes: length of the head in four bytes, the head, the weights in steps of 1/255.

    Args:
        run: the run.
        timeline: gives the prompts.
    """
    shown = _prompts_that_fit(run, len(timeline.prompts))
    head: dict[str, Any] = {
        "name": visible(run.name),
        "steps": run.steps,
        "loss": _numbers(run.loss),
        "right": _numbers(run.right),
        "heads": {name: _head(found) for name, found in run.heads.items()},
        "prompts": [
            {
                "title": shorten(visible(prompt.title), 80),
                "source": [shown_token(piece, 24) for piece in prompt.source],
                "target": [shown_token(piece, 24) for piece in prompt.target],
            }
            for prompt in timeline.prompts[:shown]
        ],
        "arrays": [],
    }
    parts = []
    for kind, weights in run.patterns.items():
        kept = weights[:, :shown]
        parts.append(np.rint(255 * np.clip(kept, 0.0, 1.0)).astype(np.uint8).tobytes())
        head["arrays"].append({"name": kind, "shape": kept.shape, "bytes": 1, "scale": WEIGHT_STEP})
    return packed(head, parts)


def _prompts_that_fit(run: RunTimeline, prompts: int) -> int:
    """As many prompts as there is room for."""
    each = sum(weights[:, :1].size for weights in run.patterns.values())
    return min(prompts, MOST_BYTES // max(each, 1))


def _head(found: HeadTimeline) -> dict[str, Any]:
    moments = []
    for one in found.moments:
        color = tint(one.hue, one.strength)
        moments.append([visible(one.code), color, readable_ink(color), visible(one.words)])
    scores = [[visible(role), HUES[hue], _numbers(values)] for role, (hue, values) in found.scores.items()]
    return {"moments": moments, "scores": scores}


def _numbers(values: np.ndarray) -> list[float | None]:
    """Numbers with four digits behind the point; None where one is undefined, since JSON has no NaN."""
    return [round(float(value), 4) if np.isfinite(value) else None for value in values]
