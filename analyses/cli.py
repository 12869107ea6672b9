"""The command line: arguments and messages only.

Heavy libraries are imported inside the commands, so that `interp --help` answers at once. Results go to standard output,
everything else to standard error. Exit codes: 0 done, 1 failure, 2 the input was at fault, 130 interrupted.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import typer

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="interp",
    help="Mechanistic interpretability for encoder-decoder transformers (T5, v1.1 and Flan, mT5, ByT5, UMT5).",
    no_args_is_help=True,
    context_settings=HELP,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)

MODEL, INPUT, RUN, OUTPUT = "Model", "Input", "Run", "Output"


@app.callback()
def _interp(
    version: Annotated[bool, typer.Option("--version", help="Print the version and leave.", is_eager=True)] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        typer.echo(f"t5-interp {installed('t5-interp')}")
        raise typer.Exit


@app.command(context_settings=HELP)
def run(
    model: Annotated[
        str,
        typer.Option("--model", "-m", help="`bundled`, a folder with safetensors, or a hub id.", rich_help_panel=MODEL),
    ] = "bundled",
    revision: Annotated[
        str | None, typer.Option(help="Branch, tag or commit of a hub id.", rich_help_panel=MODEL)
    ] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"],
        typer.Option("--device", "-d", help="Where to run.", rich_help_panel=MODEL),
    ] = "auto",
    dtype: Annotated[
        Literal["float32", "bfloat16", "float16"],
        typer.Option(help="Type of the weights; exact sums need float32.", rich_help_panel=MODEL),
    ] = "float32",
    prompts: Annotated[
        str,
        typer.Option(
            "--prompts", "-p", help="A bundled set, a .txt, .jsonl or .csv file, or - for stdin.", rich_help_panel=INPUT
        ),
    ] = "translation",
    limit: Annotated[int | None, typer.Option(help="Only the first so many prompts.", rich_help_panel=INPUT)] = None,
    analyses: Annotated[
        str | None,
        typer.Option("--analyses", "-a", help="Names, separated by commas; by default all.", rich_help_panel=RUN),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of resampling and of the untrained twins.", rich_help_panel=RUN)] = 0,
    batch_size: Annotated[
        int, typer.Option("--batch-size", "-b", help="Prompts in one pass.", rich_help_panel=RUN)
    ] = 16,
    twins: Annotated[int, typer.Option(help="How many untrained control models.", rich_help_panel=RUN)] = 5,
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="Folder of the run; by default one below reports/.", rich_help_panel=OUTPUT),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a run that is there.", rich_help_panel=OUTPUT)
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=OUTPUT)] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show the traceback of a failure.", rich_help_panel=OUTPUT)
    ] = False,
) -> None:
    """Run analyses on a model and prompts, and write a report.

    Prints the path of the report. Without arguments it takes the bundled model and the bundled prompts.

    Examples::

      interp run

      interp run --model google-t5/t5-small --prompts my_prompts.txt --limit 20 --out reports/mine

      echo "translate English to German: The cat sleeps." | interp run --prompts -
    """
    with _messages(debug), _progress(quiet) as advance:
        from analyses.config import make_config
        from analyses.runner import run as run_analyses

        config = make_config(
            model=model,
            revision=revision,
            device=device,
            dtype=dtype,
            prompts=prompts,
            limit=limit,
            analyses=_names(analyses),
            seed=seed,
            batch_size=batch_size,
            twins=twins,
        )
        path = run_analyses(config, out, overwrite, advance)
    typer.echo(path)


@app.command("list", context_settings=HELP)
def list_things(
    what: Annotated[Literal["analyses", "hooks", "prompts"], typer.Argument(help="What to list.")],
    model: Annotated[str, typer.Option("--model", "-m", help="Whose hooks.", rich_help_panel=MODEL)] = "bundled",
) -> None:
    """List analyses, the hook points of a model with their axes, or the bundled prompt sets.

    Examples::

      interp list analyses

      interp list hooks --model path/to/t5
    """
    with _messages(debug=False):
        rows = {"analyses": _analyses, "prompts": _prompt_sets, "hooks": lambda: _hooks(model)}[what]()
    width = max(len(name) for name, _ in rows)
    for name, description in rows:
        typer.echo(f"{name:<{width}}  {description}")


@app.command(context_settings=HELP)
def env(as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False) -> None:
    """Print versions, devices and the bundled model, for bug reports."""
    import json

    with _messages(debug=False):
        from analyses.environment import describe

        facts = describe()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
        return
    width = max(len(name) for name in facts)
    for name, value in facts.items():
        typer.echo(f"{name:<{width}}  {value}")


def main() -> None:
    """Entry point of the `interp` command."""
    app()


def _names(analyses: str | None) -> tuple[str, ...] | None:
    return None if analyses is None else tuple(name.strip() for name in analyses.split(",") if name.strip())


def _analyses() -> list[tuple[str, str]]:
    from analyses._registry import ANALYSES

    return list(ANALYSES.items())


def _prompt_sets() -> list[tuple[str, str]]:
    from interp import prompts

    return [(name, prompts.describe(name)) for name in prompts.names()]


def _hooks(model: str) -> list[tuple[str, str]]:
    from interp.loading import load

    return [(point.name, f"[{' '.join(point.axes)}]") for point in load(model).hook_points().values()]


@contextmanager
def _messages(debug: bool) -> Iterator[None]:
    """Turn what went wrong into one sentence on standard error and an exit code."""
    try:
        yield
    except KeyboardInterrupt:
        typer.echo("Interrupted. The same command goes on where it stopped.", err=True)
        raise typer.Exit(130) from None
    except Exception as error:  # the one place where any failure becomes an exit code
        if debug:
            raise
        raise typer.Exit(_explain(error)) from None


def _explain(error: Exception) -> int:
    from interp.errors import InputError

    if isinstance(error, InputError):
        typer.echo(f"Error: {error}", err=True)
        return 2
    cause = str(error).strip().splitlines()[0] if str(error).strip() else "no message"
    typer.echo(f"Failed: {type(error).__name__}: {cause} (--debug shows where)", err=True)
    return 1


@contextmanager
def _progress(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar on standard error; silent when asked, or when standard error is no terminal."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet or not console.is_terminal) as bar:
        task = bar.add_task("starting", total=None)

        def advance(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield advance


if __name__ == "__main__":
    main()
