"""The command that makes a run again."""

from pathlib import Path
from typing import Annotated

import typer

from analyses.commands import options
from analyses.commands.engine import engine_of, helps_only
from analyses.commands.messages import messages, progress_bar, say


def rerun(
    run: options.RunFolder,
    model: Annotated[
        str | None, typer.Option("--model", "-m", help="The model's folder, where the run's model was one.")
    ] = None,
    prompts: Annotated[
        str | None, typer.Option("--prompts", "-p", help="The prompts' file; by default those kept in the run.")
    ] = None,
    second: Annotated[
        str | None, typer.Option("--second", help="The second model's folder, where two were compared.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", "-o", help="Keep the new run in this folder.")] = None,
    engine: options.EngineName = None,
    workers: options.Workers = None,
    address: options.Address = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Make a run again from its stored configuration and compare digests. Exit 0 same, 1 different, 2 trouble.

    Prompts and weights must be those of the run, by their hashes.

    Examples:
    \b
      interp rerun reports/mine
      interp rerun reports/mine --model path/to/t5 --out reports/again --engine local --workers 8
    """
    with messages(debug), progress_bar(quiet) as progress:
        import shutil

        from analyses.runs.diff import compare_runs
        from analyses.runs.rerun import repeat_run
        from analyses.runs.run_place import check_place
        from analyses.runs.verify import open_run

        digest = open_run(run).manifest.digest
        # Beside the run and hidden: what an interruption leaves there is found by the next try.
        place = out or run.absolute().with_name(f".{run.absolute().name}.rerun")
        if out is not None:
            check_place(out, overwrite=False)
        dealer = engine_of(engine, workers, address, prompts or "")
        again = repeat_run(run, place, model, prompts, progress, second, overwrite=out is None, engine=dealer)
        if helps_only(engine):
            return
        differences = compare_runs(run, again)
        if out is None:
            shutil.rmtree(again)
    for difference in differences:
        say(difference)
    say("Another digest than before." if differences else f"The same digest: {digest}.")
    raise typer.Exit(1 if differences else 0)
