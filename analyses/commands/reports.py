"""Commands about whole runs: make one, check one, compare two."""

from pathlib import Path
from typing import Annotated, Any

import typer

from analyses import options
from analyses.messages import messages, progress


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
            settings=_settings(words),
        )
        path = run_analyses(config, out, overwrite, advance)
    typer.echo(path)


def _settings(words: Path | None) -> dict[str, dict[str, Any]]:
    """Settings of analyses that have an option of their own."""
    if words is None:
        return {}
    from analyses.embedding_geometry.group_file import read_groups

    return {"embedding_geometry": {"groups": read_groups(words)}}


def verify(run: options.RunFolder) -> None:
    """Hash a run's files again and compare with its manifest. Exit 0 whole, 1 changed, 2 trouble."""
    with messages():
        from analyses.verification import verify as check

        verdict = check(run)
    for sentence in verdict.sentences():
        typer.echo(sentence)
    raise typer.Exit(0 if verdict.whole else 1)


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
