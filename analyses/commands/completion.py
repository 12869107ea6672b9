"""Completion: what the shell offers after TAB. It must come at once, so nothing heavy is imported and no model is loaded."""

from importlib.resources import files
from pathlib import Path
from typing import Any

import typer

from interp.input_files import parse_json, read_regular


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
    from interp.families.point_names import hook_names

    depth = incomplete.count(".") + 1
    offered: dict[str, None] = {}
    for name in hook_names(_config(str(context.params.get("model") or "bundled"))):
        if name.startswith(incomplete):
            parts = name.split(".")
            offered[".".join(parts[:depth]) + ("." if len(parts) > depth else "")] = None
    return list(offered)


def _config(model: str) -> dict[str, Any]:
    """The `config.json` of the bundled model or a folder; empty for anything else, as for a file that cannot be read."""
    folder = (
        Path(str(files("interp") / "checkpoints" / "translator")) if model == "bundled" else Path(model).expanduser()
    )
    try:
        found = parse_json(read_regular(folder / "config.json"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
