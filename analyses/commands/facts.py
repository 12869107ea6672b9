"""Commands that say what there is: analyses, hooks, prompts, versions."""

from typing import Annotated, Literal

import typer

from analyses import options
from analyses.messages import messages, print_pairs


def list_things(
    what: Annotated[Literal["analyses", "hooks", "prompts"], typer.Argument(help="What to list.")],
    model: options.Model = "bundled",
) -> None:
    """List analyses, the hook points of a model with their axes, or the bundled prompt sets.

    Examples:
    \b
      interp list analyses
      interp list hooks --model path/to/t5
    """
    with messages():
        rows = {"analyses": _analyses, "prompts": _prompt_sets, "hooks": lambda: _hooks(model)}[what]()
    print_pairs(rows)


def env(as_json: options.AsJson = False) -> None:
    """Print versions, devices and the bundled model, for bug reports."""
    import json

    with messages():
        from analyses.environment import describe

        facts = describe()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        print_pairs(list(facts.items()))


def _analyses() -> list[tuple[str, str]]:
    from analyses._registry import ANALYSES

    return list(ANALYSES.items())


def _prompt_sets() -> list[tuple[str, str]]:
    from interp import prompts

    return [(name, prompts.describe(name)) for name in prompts.names()]


def _hooks(model: str) -> list[tuple[str, str]]:
    from interp.loading import load

    return [(point.name, f"[{' '.join(point.axes)}]") for point in load(model).hook_points().values()]
