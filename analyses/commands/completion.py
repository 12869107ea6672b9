"""Completion: what the shell offers after TAB. It must come at once, so nothing heavy is imported and no model is loaded.

Names of hook points are made from `config.json` alone, for T5-shaped models; a test holds them to those of real models.
"""

import json
from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import typer

_ATTENTION = ("q", "k", "v", "attn_scores", "pattern", "z", "result")


def complete_analyses(incomplete: str) -> list[str]:
    """Names of analyses; after a comma, those not yet named."""
    from analyses.core.registry import names

    *before, last = incomplete.split(",")
    start = "".join(f"{name}," for name in before)
    return [start + name for name in (*names(), "all") if name.startswith(last) and name not in before]


def complete_prompts(incomplete: str) -> list[str]:
    """Names of the bundled prompt sets; the shell itself offers files where none fits."""
    from interp.prompts import names

    return [name for name in names() if name.startswith(incomplete)]


def complete_models(incomplete: str) -> list[str]:
    """The bundled model; the shell itself offers folders."""
    return [name for name in ("bundled",) if name.startswith(incomplete)]


def complete_runs(incomplete: str) -> list[str]:
    """Folders below `reports/` that hold a finished run."""
    from analyses.runs.find_runs import DEFAULT_FOLDER, runs_below

    return [str(run) for run in runs_below(DEFAULT_FOLDER) if str(run).startswith(incomplete)]


def complete_hooks(context: typer.Context, incomplete: str) -> list[str]:
    """Hook points of the model that was named before, one segment of the name at a time."""
    depth = incomplete.count(".") + 1
    offered: dict[str, None] = {}
    for name in hook_names(_config(str(context.params.get("model") or "bundled"))):
        if name.startswith(incomplete):
            parts = name.split(".")
            offered[".".join(parts[:depth]) + ("." if len(parts) > depth else "")] = None
    return list(offered)


def hook_names(config: Mapping[str, Any]) -> Iterator[str]:
    """Names of all hook points of a T5-shaped model, in forward order.

    Args:
        config: the content of its `config.json`; an empty one gives no names.
    """
    if "num_layers" not in config:
        return
    bias_per_layer = config.get("model_type") == "umt5"
    gated = str(config.get("feed_forward_proj", "")).startswith("gated")
    depths = {"encoder": config["num_layers"], "decoder": config.get("num_decoder_layers") or config["num_layers"]}
    for stack, depth in depths.items():
        yield f"{stack}.hook_embed"
        if not bias_per_layer:
            yield f"{stack}.position_bias"
        for layer in range(depth):
            yield from _layer(f"{stack}.{layer}", stack == "decoder", gated, bias_per_layer)
        yield from _norm(f"{stack}.ln_final")
    yield "unembed.hook_out"


def _layer(layer: str, decoder: bool, gated: bool, bias: bool) -> Iterator[str]:
    if bias:
        yield f"{layer}.position_bias"
    yield f"{layer}.hook_resid_pre"
    yield from _norm(f"{layer}.ln1")
    yield from (f"{layer}.attn.hook_{leaf}" for leaf in _ATTENTION)
    yield from (f"{layer}.hook_attn_out", f"{layer}.hook_resid_mid")
    yield from _norm(f"{layer}.ln2")
    if decoder:
        yield from (f"{layer}.cross_attn.hook_{leaf}" for leaf in _ATTENTION)
        yield from (f"{layer}.hook_cross_attn_out", f"{layer}.hook_resid_mid_cross")
        yield from _norm(f"{layer}.ln3")
    neurons = ("pre", "pre_linear", "post") if gated else ("pre", "post")
    yield from (f"{layer}.mlp.hook_{leaf}" for leaf in neurons)
    yield from (f"{layer}.hook_mlp_out", f"{layer}.hook_resid_post")


def _norm(norm: str) -> Iterator[str]:
    yield from (f"{norm}.hook_scale", f"{norm}.hook_normalized")


def _config(model: str) -> dict[str, Any]:
    """The `config.json` of the bundled model or a folder; empty for anything else, as for a file that cannot be read."""
    folder = (
        Path(str(files("interp") / "checkpoints" / "translator")) if model == "bundled" else Path(model).expanduser()
    )
    try:
        found = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
