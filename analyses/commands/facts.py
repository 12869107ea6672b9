"""Commands that say what there is: analyses, hooks, prompts, versions."""

from typing import Annotated, Literal

import typer

from analyses.commands import options
from analyses.commands.completion import complete_hooks
from analyses.commands.messages import messages, print_pairs, say

Kind = Literal["analyses", "families", "hooks", "prompts", "runs", "settings"]
Only = Annotated[
    str | None,
    typer.Argument(
        help="A name, or a pattern with * in quotes.", show_default="everything", autocompletion=complete_hooks
    ),
]


def list_things(
    what: Annotated[Kind, typer.Argument(help="What to list.")],
    only: Only = None,
    model: options.Model = "bundled",
) -> None:
    """List analyses with those of plug-ins, their settings, families of models, hook points with axes, prompt sets, or runs.

    Of families, what is made on their models and what is left out, naming the attribute, and which are refused and why.

    Of runs, those below `reports/` or the folder that is given, with those that failed, were killed or are running.

    Examples:
    \b
      interp list analyses
      interp list settings head_specialization.*
      interp list families
      interp list runs
      interp list hooks
      interp list hooks "decoder.*.cross_attn.*" --model path/to/t5
    """
    with messages():
        if what == "runs":
            _print_runs(only)
            return
        makers = {
            "analyses": _analyses,
            "families": _families,
            "prompts": _prompt_sets,
            "settings": lambda: _settings(only),
            "hooks": lambda: _hooks(model),
        }
        rows = makers[what]()
        if only is not None:
            chosen = _matching(only, [row[0] for row in rows], what)
            rows = [row for row in rows if row[0] in chosen]
        print_pairs(rows)


def _matching(only: str, known: list[str], what: Kind) -> tuple[str, ...]:
    if what == "hooks":
        from interp.hooks.names import matching

        return matching(only, known)
    from fnmatch import fnmatchcase

    from interp.errors import InputError, did_you_mean

    chosen = tuple(name for name in known if fnmatchcase(name, only))
    if not chosen:
        raise InputError(f"Nothing is called {only!r}{did_you_mean(only, known)}; known are {', '.join(known)}.")
    return chosen


def env(as_json: options.AsJson = False) -> None:
    """Print versions, devices and the bundled model, for bug reports.

    Examples:
    \b
      interp env
      interp env --json
    """
    import json

    with messages():
        from analyses.runs.environment import describe

        facts = describe()
    if as_json:
        say(json.dumps(facts, indent=2))
    else:
        print_pairs(list(facts.items()))


def _analyses() -> list[tuple[str, str]]:
    """Analyses with a line each; of plug-ins, what their distribution says of itself, for nothing of theirs is imported."""
    from analyses.core.registry import ANALYSES, plug_ins

    return [*ANALYSES.items(), *((one.name, one.describe()) for one in plug_ins().values())]


def _settings(only: str | None) -> list[tuple[str, str]]:
    """Settings with their defaults, shortened, and what they mean; a plug-in has to be named, for it is imported."""
    import reprlib

    from analyses.core.registry import ANALYSES, plug_ins, settings_of

    named = (only or "").partition(".")[0]

    return [
        (
            f"{name}.{setting}",
            f"default {reprlib.repr(field.get_default(call_default_factory=True))}. {meaning}".rstrip(),
        )
        for name in (*ANALYSES, *([named] if named in plug_ins() else ()))
        for kind in (settings_of(name),)
        for (setting, field), meaning in zip(kind.model_fields.items(), kind.meanings().values(), strict=True)
    ]


def _print_runs(folder: str | None) -> None:
    from pathlib import Path

    from analyses.runs.find_runs import DEFAULT_FOLDER, run_records

    if folder is None and not DEFAULT_FOLDER.is_dir():
        return
    for record in run_records(DEFAULT_FOLDER if folder is None else Path(folder)):
        say(f"{record.folder}  {record.status}  {record.when}  {record.what}")


def _families() -> list[tuple[str, str]]:
    from analyses.commands.families import describe_all

    return describe_all()


def _prompt_sets() -> list[tuple[str, str]]:
    from interp import prompts

    return [(name, prompts.describe(name)) for name in prompts.names()]


def _hooks(model: str) -> list[tuple[str, str]]:
    """Hook points with their axes; from the configuration alone where it says all that decides them."""
    from interp.families.point_names import hook_names, says_all
    from interp.hooks.names import axes_of
    from interp.model.checkpoints import find_checkpoint, read_host_config

    config = read_host_config(find_checkpoint(model))
    if says_all(config):
        names = list(hook_names(config))
    else:
        from interp.model.loading import load

        names = list(load(model).hook_points())
    return [(name, f"[{' '.join(axes_of(name))}]") for name in names]
