"""The command line: gathers the commands. Exit codes: 0 done, 1 failure, 2 the input was at fault, 130 interrupted.

Heavy libraries are imported inside the commands, so that `interp --help` answers at once.
"""

import atexit
import gc
import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from typing import Annotated

import typer

from analyses.commands.activations import activations
from analyses.commands.align import align
from analyses.commands.circuit import circuit
from analyses.commands.compare_models import compare_models
from analyses.commands.compiled import compiled
from analyses.commands.empty_values import Command
from analyses.commands.explain import attribute
from analyses.commands.explore import generate, model, tokens, words
from analyses.commands.facts import env, list_things
from analyses.commands.heads import heads
from analyses.commands.listen import listen
from analyses.commands.messages import BAD_INPUT, say
from analyses.commands.plan import plan
from analyses.commands.quality import eval_model
from analyses.commands.reports import diff, open_report, run, verify
from analyses.commands.rerun import rerun
from analyses.commands.show import show
from analyses.commands.trace import trace
from analyses.commands.weights import composition, directions, neuron

_YOUNG = 50_000
"""New objects between two searches for garbage; imports and figures make millions that live, and Python searches every 700."""

HELP = {"help_option_names": ["-h", "--help"]}

_HELP = """Mechanistic interpretability for encoder-decoder transformers.

Examples:
\b
  interp run
  interp open
  interp show "translate English to German: The dog is running."
  interp tokens "translate English to German: The cat sleeps."
  interp list hooks
"""


app = typer.Typer(
    name="interp",
    help=_HELP,
    no_args_is_help=True,
    context_settings=HELP,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)

_PANELS: dict[str, dict[str, Callable[..., None]]] = {
    "Reports": {
        "run": run,
        "plan": plan,
        "open": open_report,
        "verify": verify,
        "rerun": rerun,
        "diff": diff,
        "compare-models": compare_models,
        "trace": trace,
    },
    "Explore": {"tokens": tokens, "model": model, "generate": generate, "words": words},
    "Explain": {
        "show": show,
        "attribute": attribute,
        "listen": listen,
        "heads": heads,
        "align": align,
        "circuit": circuit,
        "composition": composition,
        "directions": directions,
        "neuron": neuron,
    },
    "Train": {"activations": activations},
    "Check": {"list": list_things, "env": env, "eval-model": eval_model},
}

for _panel, _commands in _PANELS.items():
    for _name, _function in _commands.items():
        app.command(_name, cls=Command, context_settings=HELP, rich_help_panel=_panel)(_function)

app.add_typer(compiled, name="compiled", context_settings=HELP, rich_help_panel="Check")


def _print_version(wanted: bool) -> bool:
    if wanted:
        from importlib.metadata import version

        say(f"t5-interp {version('t5-interp')}")
        raise typer.Exit
    return wanted


@app.callback()
def _interp(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


def main() -> None:
    """Runs the command that the words of the command line name; `analyses.__main__` is where `interp` begins."""
    if not sys.getfilesystemencoding().startswith("utf"):  # words and names of files would be bytes in disguise
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that cannot show a character gets its number
    # What is quoted of a value is spelled out by whoever quotes it; an option that is none is quoted by typer, as it is.
    if wrong := [word for word in sys.argv[1:] if word.startswith("-") and not word.split("=")[0].isprintable()]:
        say(f"Error: No option is called {wrong[0]}.", err=True)
        sys.exit(BAD_INPUT)
    gc.set_threshold(_YOUNG)
    atexit.register(gc.freeze)  # what is left is the system's to free: to search it all for garbage takes a second
    app()


if __name__ == "__main__":
    main()
