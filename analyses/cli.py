"""The command line: arguments and messages only.

Heavy libraries are imported inside the commands, so that `interp --help` answers at once. Results go to standard output,
everything else to standard error. Exit codes: 0 done, 1 failure, 2 the input was at fault, 130 interrupted.
"""

from typing import Annotated, Literal

import typer

from analyses import options
from analyses.messages import messages, progress

HELP = {"help_option_names": ["-h", "--help"]}

app = typer.Typer(
    name="interp",
    help="Mechanistic interpretability for encoder-decoder transformers (T5, v1.1 and Flan, mT5, ByT5, UMT5).",
    no_args_is_help=True,
    context_settings=HELP,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)


def _print_version(wanted: bool) -> bool:
    if wanted:
        from importlib.metadata import version

        typer.echo(f"t5-interp {version('t5-interp')}")
        raise typer.Exit
    return wanted


@app.callback()
def _interp(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    pass


@app.command(context_settings=HELP)
def run(
    model: options.Model = "bundled",
    revision: options.Revision = None,
    device: options.Device = "auto",
    dtype: options.DType = "float32",
    prompts: options.Prompts = "translation",
    limit: options.Limit = None,
    analyses: options.Analyses = None,
    seed: options.Seed = 0,
    batch_size: options.BatchSize = 16,
    twins: options.Twins = 5,
    out: options.Out = None,
    overwrite: options.Overwrite = False,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Run analyses on a model and prompts, and write a report.

    Prints the path of the report. Without arguments it takes the bundled model and the bundled prompts.

    Examples:
    \b
      interp run
      interp run --model google-t5/t5-small --prompts mine.txt --out reports/mine
      echo "translate English to German: The cat sleeps." | interp run --prompts -
    """
    with messages(debug), progress(quiet) as advance:
        from analyses.config import make_config
        from analyses.runner import run as run_analyses

        config = make_config(
            model=model,
            revision=revision,
            device=device,
            dtype=dtype,
            prompts=prompts,
            limit=limit,
            analyses=None if analyses is None else tuple(analyses.replace(",", " ").split()),
            seed=seed,
            batch_size=batch_size,
            twins=twins,
        )
        path = run_analyses(config, out, overwrite, advance)
    typer.echo(path)


@app.command("list", context_settings=HELP)
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
    _print_pairs(rows)


@app.command(context_settings=HELP)
def env(as_json: options.AsJson = False) -> None:
    """Print versions, devices and the bundled model, for bug reports."""
    import json

    with messages():
        from analyses.environment import describe

        facts = describe()
    if as_json:
        typer.echo(json.dumps(facts, indent=2))
    else:
        _print_pairs(list(facts.items()))


@app.command(context_settings=HELP)
def verify(run: options.RunFolder) -> None:
    """Hash a run's files again and compare with its manifest. Exit 0 whole, 1 changed, 2 trouble."""
    with messages():
        from analyses.verification import verify as check

        verdict = check(run)
    for sentence in verdict.sentences():
        typer.echo(sentence)
    raise typer.Exit(0 if verdict.whole else 1)


@app.command(context_settings=HELP)
def diff(
    first: options.RunFolder,
    second: options.RunFolder,
    rtol: Annotated[float, typer.Option(help="Relative tolerance of numbers.")] = 0.0,
    atol: Annotated[float, typer.Option(help="Absolute tolerance of numbers.")] = 0.0,
) -> None:
    """Compare two runs: how they were made, then every table. Exit 0 same, 1 different, 2 trouble."""
    with messages():
        from analyses.comparison import compare

        differences = compare(first, second, rtol, atol)
    for difference in differences:
        typer.echo(f"{difference.where}: {difference.what}")
    raise typer.Exit(1 if differences else 0)


def main() -> None:
    """Entry point of the `interp` command."""
    app()


def _print_pairs(rows: list[tuple[str, str]]) -> None:
    width = max(len(name) for name, _ in rows)
    for name, description in rows:
        typer.echo(f"{name:<{width}}  {description}")


def _analyses() -> list[tuple[str, str]]:
    from analyses._registry import ANALYSES

    return list(ANALYSES.items())


def _prompt_sets() -> list[tuple[str, str]]:
    from interp import prompts

    return [(name, prompts.describe(name)) for name in prompts.names()]


def _hooks(model: str) -> list[tuple[str, str]]:
    from interp.loading import load

    return [(point.name, f"[{' '.join(point.axes)}]") for point in load(model).hook_points().values()]


if __name__ == "__main__":
    main()
