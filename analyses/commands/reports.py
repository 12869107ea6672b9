"""Commands about whole runs: make one, check one, compare two."""

from pathlib import Path
from typing import Annotated, Any

import typer

from analyses.commands import options
from analyses.commands.messages import messages, open_in_browser, progress_bar


def run(
    model: options.Model = "bundled",
    revision: options.Revision = None,
    device: options.Device = "auto",
    dtype: options.DType = "float32",
    prompts: options.Prompts = "translation",
    limit: options.Limit = None,
    words: options.WordGroups = None,
    analyses: options.Analyses = None,
    seed: options.Seed = 0,
    batch_size: options.BatchSize = 16,
    twins: options.Twins = 5,
    pages: options.Pages = 100,
    figures: options.Figures = "svg",
    config: options.RunFile = None,
    dry_run: options.DryRun = False,
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
      interp run --analyses cross_attention_focus --limit 20 --dry-run
      interp run --config reports/mine/config.yaml --seed 1
      echo "translate English to German: The cat sleeps." | interp run --prompts -
    """
    with messages(debug), progress_bar(quiet) as progress:
        from analyses.runs.run_file import resolve

        chosen = resolve(
            config, options.given_choices(), _settings(words), lambda sentence: typer.echo(sentence, err=True)
        )
        if dry_run:
            typer.echo(chosen.to_yaml(as_given=True), nl=False)
            return
        from analyses.runs.runner import run as run_analyses

        path = run_analyses(chosen, out, overwrite, progress)
    typer.echo(path)


def _settings(words: Path | None) -> dict[str, dict[str, Any]]:
    """Settings of analyses that have an option of their own."""
    if words is None:
        return {}
    from analyses.embedding_geometry.group_file import read_groups

    return {"embedding_geometry": {"groups": read_groups(words)}}


def open_report(
    run: options.SomeRun = None,
    print_only: Annotated[bool, typer.Option("--print", help="Only print the path.")] = False,
) -> None:
    """Open a report in the browser, and print its path.

    Examples:
    \b
      interp open
      interp open reports/mine
      interp open --print
    """
    with messages():
        from analyses.runs.find_runs import report_of

        open_in_browser(report_of(run), only_print=print_only)


def rerun(
    run: options.RunFolder,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model's folder, where the run's model was one.")
    ] = None,
    prompts: Annotated[
        str | None, typer.Option("--prompts", "-p", help="The prompts' file, where the run read one or stdin.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Keep the new run in this folder.")] = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make a run again from its stored configuration and compare digests. Exit 0 same, 1 different, 2 trouble.

    Prompts and weights must be those of the run, by their hashes.

    Examples:
    \b
      interp rerun reports/mine
      interp rerun reports/mine --prompts mine.txt --model path/to/t5 --out reports/again
    """
    with messages(debug), progress_bar(quiet) as progress:
        from tempfile import TemporaryDirectory

        from analyses.runs.diff import compare_runs
        from analyses.runs.rerun import repeat_run
        from analyses.runs.verify import read_manifest

        digest = read_manifest(run).digest
        with TemporaryDirectory(prefix="interp-rerun-") as elsewhere:
            again = repeat_run(run, out or Path(elsewhere) / "run", model, prompts, progress)
            differences = compare_runs(run, again)
    for difference in differences:
        typer.echo(difference)
    typer.echo("Another digest than before." if differences else f"The same digest: {digest}.")
    raise typer.Exit(1 if differences else 0)


def verify(run: options.RunFolder) -> None:
    """Hash a run's files again and compare with its manifest. Exit 0 whole, 1 changed, 2 trouble.

    Examples:
    \b
      interp verify reports/mine
    """
    with messages():
        from analyses.runs.verify import verify_run

        verdict = verify_run(run)
    for sentence in verdict.sentences():
        typer.echo(sentence)
    raise typer.Exit(0 if verdict.whole else 1)


def diff(
    first: options.RunFolder,
    second: options.RunFolder,
    rtol: Annotated[float, typer.Option(min=0, help="Relative tolerance of numbers.")] = 0.0,
    atol: Annotated[float, typer.Option(min=0, help="Absolute tolerance of numbers.")] = 0.0,
    tables: Annotated[bool, typer.Option("--tables", help="Compare tables only, however the runs were made.")] = False,
) -> None:
    """Compare two runs: how they were made, then every table. Exit 0 same, 1 different, 2 trouble.

    Examples:
    \b
      interp diff reports/mine reports/again
      interp diff reports/mine reports/other-batch-size --tables --rtol 1e-3 --atol 1e-4
    """
    with messages():
        from analyses.runs.diff import compare_runs

        differences = compare_runs(first, second, rtol, atol, "tables" if tables else "all")
    for difference in differences:
        typer.echo(difference)
    raise typer.Exit(1 if differences else 0)
