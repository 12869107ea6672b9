"""The tables of the head atlas, as frames.

`heads_frame` has one row a head and, for every metric, its value, interval, base rate, lift and control; `labels_frame` one row
for every role that a head has. `analyses.head_specialization` gives both to users who want numbers and no page.
"""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from analyses.head_specialization.roles.decide import RoleLabel
from analyses.head_specialization.roles.evidence_table import evidence_frame
from analyses.head_specialization.roles.metrics import TITLES
from analyses.head_specialization.summary import IMPORTANCE, HeadAtlas
from interp.axes import ATTENTION_KINDS, AttentionKind
from interp.hooks.names import HeadId
from interp.statistics import falling_order, merge_ties

EIGENVALUES = "OV eigenvalue score"


def roles_of(labels: Sequence[RoleLabel], head: HeadId) -> str:
    """The roles of a head as text, `none` if it has none."""
    return ", ".join(str(label) for label in labels if label.head == head) or "none"


def heads_of(atlas: HeadAtlas, kind: AttentionKind) -> list[HeadId]:
    """Every head of one kind, layer by layer."""
    return [HeadId(kind, *map(int, cell)) for cell in np.ndindex(*atlas.nearest[kind].score.shape)]


def named_heads(atlas: HeadAtlas, kind: AttentionKind) -> dict[str, Sequence[object] | np.ndarray]:
    """The first two columns of a table with a row for every head of one kind: its name and its roles."""
    heads = heads_of(atlas, kind)
    return {"head": list(map(str, heads)), "role": [roles_of(atlas.labels, head) for head in heads]}


def labels_frame(atlas: HeadAtlas) -> pd.DataFrame:
    """One row for every role of every head, the strongest first."""
    return atlas.labels_frame()


def candidates_frame(atlas: HeadAtlas) -> pd.DataFrame:
    """For every criterion the head that comes nearest, and whether it passes; those nearest to passing first."""
    frame = evidence_frame(atlas.candidates, atlas.settings)
    kept = {(label.head, label.role) for label in atlas.labels}
    frame.insert(2, "passes", [_verdict(label, kept) for label in atlas.candidates])
    frame.insert(3, "best of", [str(label.head)[0] for label in atlas.candidates])
    frame["best of"] = frame["best of"].map({"E": "encoder", "D": "decoder", "X": "cross"})
    frame["p above null"] = [atlas.existence[label.head.kind, label.role, label.rule] for label in atlas.candidates]
    order = np.lexsort((-merge_ties(frame["score"].to_numpy()), -merge_ties(frame["stability"].to_numpy())))
    return frame.iloc[order].reset_index(drop=True)


def _verdict(label: RoleLabel, kept: set[tuple[HeadId, str]]) -> str:
    if not label.passes:
        return "no"
    return "yes" if (label.head, label.role) in kept else "explained by another role"


def heads_frame(atlas: HeadAtlas, kind: AttentionKind) -> pd.DataFrame:
    """One row for every head of one kind: those with a role first, then by how far entropy is below the twins'."""
    entropy = atlas.metric(kind, "entropy")
    columns = named_heads(atlas, kind)
    for metric in atlas.metrics[kind]:
        found = {title: np.ravel(values) for title, values in metric.columns(metric.name, titles=TITLES).items()}
        columns |= {title: found.pop(title) for title in list(found)[:3]}
        if np.isfinite(metric.base).any():
            columns[f"{metric.name} base"] = metric.base.ravel()
            if metric.name != EIGENVALUES:  # a score from -1 to 1 beside a base near 0 is no share, and has no lift
                columns[f"{metric.name} lift"] = metric.lift.ravel()
        columns |= found
    if kind in atlas.maps:
        columns["cluster"] = atlas.maps[kind].cluster
    frame = pd.DataFrame(columns)
    order = np.lexsort((merge_ties((entropy.point - entropy.control_mean).ravel()), frame["role"].eq("none")))
    return frame.iloc[order].reset_index(drop=True)


def importance_frame(atlas: HeadAtlas) -> pd.DataFrame:
    """Head, role and every measure of importance that was taken, the most important first; empty if none was."""
    names = [metric.name for metric in atlas.metrics["cross"] if metric.name in IMPORTANCE.values()]
    if not names:
        return pd.DataFrame()
    frames = []
    for kind in ATTENTION_KINDS:
        frame = heads_frame(atlas, kind)
        columns = ["head", "role"]
        for name in names:
            columns += [name, *(f"{name} {title}" for title in TITLES)]
        frames.append(frame[columns])
    frame = pd.concat(frames, ignore_index=True)
    return frame.iloc[falling_order(frame[names[0]].abs().to_numpy())].reset_index(drop=True)


def overview_frame(atlas: HeadAtlas) -> pd.DataFrame:
    """Head x role x importance: one row for every head of all kinds, those nearest to a role, or with one, first.

    `role` is what a head has; `nearest` what it has or comes nearest to, with `score` and `chance`; `strength` the way between
    chance and certainty, `progress` the way between chance and what the rule asks for (see `nearest`).
    """
    frames = []
    for kind in ATTENTION_KINDS:
        nearest = atlas.nearest[kind]
        columns = named_heads(atlas, kind) | {
            "nearest": [_nearest_text(atlas, head) for head in heads_of(atlas, kind)],
            "score": nearest.score.ravel(),
            "chance": nearest.null.ravel(),
            "strength": nearest.strength.ravel(),
            "progress": nearest.progress.ravel(),
        }
        for metric in atlas.metrics[kind]:
            if metric.name in ("entropy", *IMPORTANCE.values()):
                columns[metric.name] = metric.point.ravel()
                columns[f"{metric.name} twins"] = metric.control_mean.ravel()
        if kind in atlas.maps:
            columns["cluster"] = [f"{kind[0].upper()}{cluster + 1}" for cluster in atlas.maps[kind].cluster]
        frames.append(pd.DataFrame(columns))
    frame = pd.concat(frames, ignore_index=True)
    progress = merge_ties(frame["progress"].fillna(-np.inf).to_numpy())
    order = np.lexsort((-progress, frame["role"].eq("none").to_numpy()))
    return frame.iloc[order].reset_index(drop=True)


def _nearest_text(atlas: HeadAtlas, head: HeadId) -> str:
    nearest = atlas.nearest[head.kind]
    return f"{nearest.role[head.layer][head.head]} {nearest.detail[head.layer][head.head]}".strip() or "none"


def copying_frame(atlas: HeadAtlas) -> pd.DataFrame:
    """One row for every decoder and cross-attention head: what speaks for and against copying, the highest scores first."""
    rows = [
        {
            "head": str(HeadId(kind, layer, head)),
            EIGENVALUES: found.score[layer, head],
            "turned at random": found.null[layer, head],
            "95 % of the turned": found.null_high[layer, head],
            "p": found.p_value[layer, head],
            "hit rate": found.hits[layer, head],
            "chance": found.chance,
            "twin's score": found.twin_score[layer, head],
            "copying": "yes" if "copying" in _names(atlas, HeadId(kind, layer, head)) else "no",
        }
        for kind, found in atlas.copying.items()
        for layer, head in np.ndindex(*found.score.shape)
    ]
    frame = pd.DataFrame(rows)
    if not rows:
        return frame
    return frame.iloc[falling_order(frame[EIGENVALUES].to_numpy())].reset_index(drop=True)


def _names(atlas: HeadAtlas, head: HeadId) -> set[str]:
    return {label.role for label in atlas.labels if label.head == head}


def shown_metrics(atlas: HeadAtlas, kind: AttentionKind) -> tuple[str, ...]:
    """The metrics of `heads_frame` that fit a page."""
    chosen: dict[AttentionKind, tuple[str, ...]] = {
        "encoder": ("entropy", "previous token mass", "next token mass", "EOS mass", "prefix mass"),
        "decoder": ("entropy", "previous token mass", "current token mass", "first token mass", "distance"),
        "cross": ("entropy", "confidence", "EOS mass", "prefix mass", "first token mass"),
    }
    return chosen[kind]
