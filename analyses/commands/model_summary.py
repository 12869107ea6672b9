"""A summary of a model: where its parameters are, and what shape every activation has."""

from collections.abc import Collection

import pandas as pd
from torch import nn

from interp.errors import InputError
from interp.families.point_names import POINTS
from interp.hooks.names import NamesFilter, matching
from interp.model.hooked_model import HookedEncoderDecoder

_LEAVES = {
    "embedding": "embed pos_embed out",
    "self-attention": "attn",
    "cross-attention": "cross_attn",
    "feed-forward": "pre pre_linear post mlp mlp_out",
    "position bias": "position_bias",
    "norms": "ln1 ln2 ln3 ln_final",
}
"""Kind of parameters -> the last parts, without `hook_`, of the names of the sites that hold them; the deepest module decides."""

PARTS = tuple(_LEAVES)
"""Kinds of parameters, in the order of the table; an unembedding of its own counts as embedding."""

_PART_OF_LEAF = {leaf: part for part, leaves in _LEAVES.items() for leaf in leaves.split()}
_SHARED_SITE = {f"hook_{leaf}" for side, leaves in POINTS.items() for leaf in leaves if side != "experts"}


def parameter_counts(model: HookedEncoderDecoder) -> pd.DataFrame:
    """Parameters by layer and kind, shared tensors counted once.

    Returns:
        One row for each layer, for what a stack has outside its layers (`encoder`, `decoder`), and for what both share; then
        `total`. Columns `part`, those of `PARTS`, `total` and `share`.
    """
    owners = _owners(model)
    rows: dict[str, dict[str, int]] = {}
    for name, parameter in model.hf.named_parameters():
        place, part = owners.get(parameter) or _outside(name, parameter)
        rows.setdefault(place, dict.fromkeys(PARTS, 0))[part] += parameter.numel()
    table = pd.DataFrame([{"part": place, **rows[place]} for place in sorted(rows, key=_order)])
    table.loc[len(table)] = ["total", *table[list(PARTS)].sum()]
    table["total"] = table[list(PARTS)].sum(axis=1)
    table["share"] = table["total"] / table["total"].iloc[-1]
    return table


def _order(place: str) -> tuple[int, int]:
    """What both stacks share, then the encoder with its layers, then the decoder, then the unembedding."""
    first, _, layer = place.partition(".")
    return ("shared", "encoder", "decoder", "unembed").index(first), int(layer or -1)


def _owners(model: HookedEncoderDecoder) -> dict[nn.Parameter, tuple[str, str]]:
    """Parameter -> (place, part), by the smallest module of the family's table that holds it."""
    found: dict[nn.Parameter, tuple[int, str, str]] = {}
    for site in dict.fromkeys(_site(name, model.hook_points()) for name in model.hook_points()):
        pieces = site.split(".")
        part = _PART_OF_LEAF.get(pieces[-1].removeprefix("hook_"))
        if part is None:
            continue
        held = list(model.module(site).parameters())
        place = ".".join(pieces[:2]) if pieces[1].isdigit() else pieces[0]
        for parameter in held:
            size, other, _ = found.get(parameter, (len(held) + 1, place, part))
            if len(held) < size:
                found[parameter] = (len(held), place, part)
            elif place != other and part == "embedding":
                found[parameter] = (len(held), "shared", part)
    return {parameter: (place, part) for parameter, (_, place, part) in found.items()}


def _outside(name: str, parameter: nn.Parameter) -> tuple[str, str]:
    """Place and part of a parameter that no hook point is about, such as the norm of an embedding."""
    stack = next((stack for stack in ("encoder", "decoder") if stack in name.split(".")), "shared")
    return stack, "norms" if parameter.ndim == 1 else "embedding"


def _site(name: str, points: Collection[str]) -> str:
    """The site of a hook point: several points of one attention block, norm or layer with experts share theirs."""
    stem, _, leaf = name.rpartition(".")
    return stem if leaf in _SHARED_SITE or f"{stem}.hook_expert_weights" in points else name


def shape_trace(
    model: HookedEncoderDecoder, source: str, names_filter: NamesFilter = None
) -> list[tuple[str, str, str]]:
    """The shape of hook points for one source and its greedy target: (name, axes, shape), in forward order.

    Args:
        model: the model.
        source: a text with its task prefix.
        names_filter: which hook points; all by default.

    Raises:
        InputError: if the source is empty, or the filter selects nothing.
    """
    if not source.strip():
        raise InputError("The text whose shapes are to be traced is empty; give a source with its task prefix.")
    points = model.hook_points()
    wanted = matching(names_filter, tuple(points))
    _, cache = model.run_with_cache(model.batch(source), names_filter=wanted)
    return [(name, " ".join(points[name].axes), " x ".join(map(str, cache[name].shape))) for name in wanted]
