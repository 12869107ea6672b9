"""What the page with the slider shows of a trace."""

from collections.abc import Mapping

import numpy as np

from analyses.head_specialization.present.legend import code_of, hue_of
from analyses.trace.gathering import Watched, patterns_of
from analyses.trace.trace import RunTrace
from analyses.trace.watching import WATCH
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import HeadId
from interp.report import Hue
from interp.report.timeline import (
    HeadMoment,
    HeadTimeline,
    RunTimeline,
    Timeline,
    TimelinePrompt,
    timeline_page,
)

PROMPTS_SHOWN = 3
_LONGEST = 80
"""Tokens of source and target together beyond which a prompt is shown only for want of others."""


def slider_page(watched: Watched, title: str, home: str) -> bytes:
    """The page as HTML.

    Args:
        watched: what was observed.
        title: heading of the page.
        home: address of the report beside the page.
    """
    return timeline_page(timeline_of(watched), title, home)


def timeline_of(watched: Watched) -> Timeline:
    """Roles, scores and the first prompts' patterns of every run at every step.

    Args:
        watched: what was observed.
    """
    rows = [(batch, row) for batch in watched.batches for row in range(len(batch))]
    lengths = [len(batch.source_texts[row].ids) + len(batch.target_texts[row].ids) for batch, row in rows]
    # Long sentences show most, and very long ones cannot be read.
    places = sorted(range(len(rows)), key=lambda place: (lengths[place] > _LONGEST, -lengths[place], place))[
        :PROMPTS_SHOWN
    ]
    prompts = [
        TimelinePrompt(watched.prompts[place].id, batch.source_texts[row].pieces, batch.decoder_pieces(row))
        for place in places
        for batch, row in (rows[place],)
    ]
    note = (
        "Move the slider to watch the heads: the same prompts and targets at every step. The address holds "
        "every choice, so that a "
        "link brings it back."
    )
    runs = tuple(_run(run, watched, places) for run in watched.trace.runs)
    return Timeline(runs, tuple(prompts), note)


def _run(run: RunTrace, watched: Watched, places: list[int]) -> RunTimeline:
    parts: dict[AttentionKind, list[np.ndarray]] = {kind: [] for kind in ATTENTION_KINDS}
    for step in run.steps:
        arrays = watched.moments[run.name][step].of(WATCH.name).prompts
        for kind, pattern in patterns_of(arrays):
            parts[kind].append(pattern[places])
    loss, right = (np.array([float(one.numbers[name].mean()) for one in run.snapshots]) for name in ("loss", "right"))
    heads = {str(head): _head(run, head) for head in run.leading}
    return RunTimeline(
        run.name, run.steps, loss, right, heads, {kind: np.stack(found) for kind, found in parts.items()}
    )


def _head(run: RunTrace, head: HeadId) -> HeadTimeline:
    moments = []
    for place, snapshot in enumerate(run.snapshots):
        labels = [label for label in snapshot.labels if label.head == head]
        role = run.roles_at(place).get(head)
        if role is None:
            moments.append(HeadMoment("", "gray", 0.0, "no role"))
            continue
        words = ", ".join(f"{label} {label.score:.2f}" for label in labels)
        strength = min(max(label.effect for label in labels), 1.0)
        moments.append(HeadMoment(code_of(role), hue_of(role), strength, words))
    scores: Mapping[str, tuple[Hue, np.ndarray]] = {
        one.role: (hue_of(one.role), one.score) for one in run.histories if one.head == head
    }
    return HeadTimeline(tuple(moments), scores)
