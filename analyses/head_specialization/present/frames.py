"""Frames of single kinds of evidence, beside those of `tables`: position, bias, similarity, word links, prompts, one head."""

import numpy as np
import pandas as pd
import torch

from analyses.head_specialization.measure.links import STEPS, WordGrid, as_pairs
from analyses.head_specialization.measure.position import distances
from analyses.head_specialization.present.tables import heads_of, named_heads
from analyses.head_specialization.summary import HeadAtlas
from interp.axes import ATTENTION_KINDS, AttentionKind, Stack
from interp.errors import InputError
from interp.hooks.names import HeadId, attention_path
from interp.model.hooked_model import HookedEncoderDecoder
from interp.statistics import falling_order
from interp.text.batch import Batch

_POSITION = (
    "divergence from position alone",
    "divergence from content alone",
    "position share of score variance",
    "covariance share of score variance",
)


def _refuse_absolute(atlas: HeadAtlas) -> None:
    if not atlas.bias:
        raise InputError(
            f"Position biases need positions='relative'; this {atlas.cfg.model_type} has positions={atlas.cfg.positions!r}. Ask "
            "for `prompts_frame` or `head_frame` instead."
        )


def position_frame(atlas: HeadAtlas) -> pd.DataFrame:
    """Position or content: every self-attention head, the most positional first; see `position`.

    Raises:
        InputError: if positions are absolute, where the split is not defined.
    """
    _refuse_absolute(atlas)
    frames = []
    for kind in ("encoder", "decoder"):
        columns = named_heads(atlas, kind)
        for name in _POSITION:
            metric = atlas.metric(kind, name)
            columns[name] = metric.point.ravel()
            columns[f"{name} low"], columns[f"{name} high"] = metric.low.ravel(), metric.high.ravel()
            columns[f"{name} twins"] = metric.control_mean.ravel()
        frames.append(pd.DataFrame(columns))
    frame = pd.concat(frames, ignore_index=True)
    order = falling_order((frame[_POSITION[1]] - frame[_POSITION[0]]).to_numpy())
    return frame.iloc[order].reset_index(drop=True)


def bias_frame(atlas: HeadAtlas, stack: Stack) -> pd.DataFrame:
    """The position bias: one row for every table and head, one column for every distance key - query.

    Raises:
        InputError: if positions are absolute, so that there is no such table.
    """
    _refuse_absolute(atlas)
    values = atlas.bias[stack]
    rows = [(table, head, *values[table, head]) for table, head in np.ndindex(*values.shape[:2])]
    return pd.DataFrame(rows, columns=["table", "head", *(f"{distance:+d}" for distance in distances(stack))])


def similarity_frame(atlas: HeadAtlas) -> pd.DataFrame:
    """Cluster and place of every head, and the head most like it; empty unless heads were compared."""
    frames = []
    for kind, found in atlas.maps.items():
        heads = named_heads(atlas, kind)
        apart = found.distance + np.where(np.eye(len(found.distance), dtype=bool), np.inf, 0.0)
        columns = {
            "cluster": found.cluster,
            "x": found.place[:, 0],
            "y": found.place[:, 1],
            "most like": [heads["head"][int(index)] for index in apart.argmin(1)],
            "distance in nats": apart.min(1),
        }
        frames.append(pd.DataFrame(heads | columns))
    return pd.concat(frames, ignore_index=True) if frames else pd.DataFrame()


def prompts_frame(atlas: HeadAtlas, kind: AttentionKind, metric: str) -> pd.DataFrame:
    """One metric of every head of one kind, prompt by prompt: what means and intervals are made of.

    Raises:
        KeyError: if heads of this kind have no such metric.
    """
    values = atlas.values[kind][atlas.metric(kind, metric).name]
    # Random sequences and samples have other numbers of rows than there are prompts.
    names = list(atlas.prompt_ids) if len(values) == len(atlas.prompt_ids) else list(map(str, range(len(values))))
    frame = pd.DataFrame(values.reshape(len(values), -1), columns=list(map(str, heads_of(atlas, kind))))
    frame.insert(0, "prompt", names)
    return frame


def links_frame(model: HookedEncoderDecoder, batch: Batch) -> pd.DataFrame:
    """The word links that every cross-attention head implies, at the output and at the input step; see `links`.

    Returns:
        One row for every prompt, head and step: links as `0-0 1-2`, source word first, counted from 0 after the prefix.
    """
    names = [f"{attention_path('cross', layer)}.hook_pattern" for layer in range(model.cfg.n_decoder_layers)]
    with torch.no_grad():
        _, cache = model.run_with_cache(batch, names_filter=names)
    rows = []
    for prompt, (source, target) in enumerate(zip(batch.source_texts, batch.target_texts, strict=True)):
        grid = WordGrid.of(source, target)
        for layer, name in enumerate(names):
            pattern = cache[name][prompt, :, : len(target.ids), : len(source.ids)].float().cpu().numpy()
            for step in STEPS:
                for head, linked in enumerate(grid.links(pattern, step)):
                    pairs = " ".join(f"{left}-{right}" for left, right in sorted(as_pairs(linked)))
                    rows.append((prompt, str(HeadId("cross", layer, head)), step, pairs))
    return pd.DataFrame(rows, columns=["prompt", "head", "step", "links"])


def head_frame(atlas: HeadAtlas, head: str) -> pd.DataFrame:
    """Every metric of one head: value, interval, base rate, lift and twins.

    Raises:
        KeyError: if there is no such head.
    """
    for kind in ATTENTION_KINDS:
        for found in heads_of(atlas, kind):
            if str(found) == head:
                cell = (found.layer, found.head)
                columns = ("point", "low", "high", "base", "lift", "control_mean", "control_low", "control_high")
                rows = [
                    (metric.name, *(float(getattr(metric, column)[cell]) for column in columns))
                    for metric in atlas.metrics[kind]
                ]
                titles = ["metric", "value", "low", "high", "base", "lift", "twins", "twins min", "twins max"]
                return pd.DataFrame(rows, columns=titles)
    raise KeyError(f"No head {head!r}; heads are named EL0H0 (encoder), DL0H0 (decoder) and XL0H0 (cross-attention).")
