"""The command that watches a model learn."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from analyses.commands import options
from analyses.commands.given_pairs import given_pairs
from analyses.commands.messages import messages, progress_bar, read_text, say

if TYPE_CHECKING:
    from analyses.runs.config import RunConfig
    from interp.prompts import PromptSet

_RUNS = "Other runs"

_Checkpoints = Annotated[
    list[str],
    typer.Argument(
        help="A folder of step-N or checkpoint-N folders, several of these, or a hub id with revisions stepN in the cache.",
        show_default=False,
    ),
]
_Seeds = Annotated[
    list[str] | None,
    typer.Option("--seed-run", help="Folder of a run of another seed; may be given again.", rich_help_panel=_RUNS),
]
_Controls = Annotated[
    list[str] | None,
    typer.Option(
        "--control", help="Folder of a run with nothing to learn, as on shuffled pairs.", rich_help_panel=_RUNS
    ),
]
_Gold = Annotated[
    Path | None,
    options.evidence_option("--gold", help="Gold links of words, a line a prompt: 0-0 1-2, source first, from 0."),
]
_FOLDER = Path("reports/trace")


def trace(
    checkpoints: _Checkpoints,
    prompts: options.Prompts = "translation",
    source_column: options.SourceColumn = None,
    target_column: options.TargetColumn = None,
    prefix: options.Prefix = None,
    limit: options.Limit = None,
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
    gold: _Gold = None,
    pairs: options.Pairs = None,
    seed_run: _Seeds = None,
    control: _Controls = None,
    analyses: options.Analyses = None,
    seed: options.RunSeed = 0,
    batch_size: options.BatchSize = 64,
    twins: options.Twins = 5,
    set_settings: options.Set = None,
    device: options.Device = "auto",
    dtype: options.DType = "float32",
    figures: options.Figures = "svg",
    out: Annotated[Path, options.output_option("--out", "-o", help="Folder of the trace.")] = _FOLDER,
    overwrite: options.Overwrite = False,
    sign: options.Sign = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Watch heads come to be: the same prompts and targets at every checkpoint of a training run.

    Writes one page with loss, roles of heads, change points and what other seeds do, and one with a slider over the steps.

    Examples:
    \b
      interp trace runs/mine --prompts held-out.jsonl
      interp trace runs/mine/step-0 runs/mine/step-512 runs/mine/step-4096 --prompts held-out.jsonl --gold held-out.gold
      interp trace training/traces/seed-0 --prompts training/traces/prompts.jsonl --gold training/traces/prompts.gold \\
        --seed-run training/traces/seed-1 --control training/traces/shuffled
      interp trace training/traces/seed-0 --prompts training/traces/prompts.jsonl --analyses head_specialization,circuits \\
        --pairs training/traces/pairs.jsonl
    """
    with messages(debug), progress_bar(quiet) as progress:
        from analyses.runs.run_place import check_place
        from analyses.trace.moments import find_run
        from analyses.trace.shown import SHOWN

        check_place(out, overwrite)
        config, read = _choices(
            {"batch_size": batch_size} | options.given_choices(SHOWN), set_settings or [], gold, pairs
        )
        main = find_run(checkpoints)
        seeds, controls = ([find_run([name]) for name in given or []] for given in (seed_run, control))

        from analyses.trace import trace_checkpoints

        path = trace_checkpoints(main, config, out, overwrite, progress, seeds, controls, read, sign)
    say(path)


def _choices(
    chosen: dict[str, Any], set_settings: list[str], gold: Path | None, pairs: Path | None
) -> tuple["RunConfig", "PromptSet"]:
    """The configuration and its prompts; gold links are a setting of the analysis of heads, pairs one of circuits."""
    from analyses.runs.config import make_config
    from analyses.runs.prompt_set import prompts_of
    from analyses.runs.run_file import check_read, read_settings

    settings = read_settings(set_settings)
    if pairs is not None:
        settings.setdefault("circuits", {})["pairs"] = given_pairs(pairs)
    config = make_config(**chosen, settings=settings)
    check_read([*settings, *([] if gold is None else ["head_specialization"])], config.analyses)
    read = prompts_of(config)
    if gold is None:
        return config, read
    from analyses.head_specialization.measure.links import links_by_source

    settings.setdefault("head_specialization", {})["links"] = links_by_source(
        read.prompts, read_text(gold, "gold file")
    )
    return make_config(**chosen, settings=settings), read
