"""The command that says what a run takes before anything is loaded."""

from functools import partial
from typing import Annotated

import typer

from analyses.commands import options
from analyses.commands.messages import messages, print_pairs, say

_Plan = typer.Option
_RATE = "Billions of operations a second of one worker."


def plan(
    model: options.Model = "bundled",
    revision: options.Revision = None,
    dtype: options.DType = "float32",
    device_map: options.DeviceMap = None,
    max_memory: options.MaxMemory = None,
    offload_folder: options.OffloadFolder = None,
    prompts: Annotated[int, _Plan("--prompts", "-p", min=1, help="How many prompts.")] = 64,
    source_tokens: Annotated[int, _Plan(min=1, help="Tokens of a source.")] = 32,
    target_tokens: Annotated[int, _Plan(min=1, help="Tokens of a target.")] = 32,
    given_targets: Annotated[bool, _Plan("--given-targets", help="The targets are given, not written.")] = False,
    analyses: options.Analyses = None,
    twins: options.Twins = 5,
    batch_size: options.BatchSizeOrAuto = "auto",
    workers: Annotated[int, _Plan(min=1, help="Processes or machines that share the prompts.")] = 1,
    rate: Annotated[
        float | None,
        options.number_option(min=0.001, help=_RATE, show_default="measured in ten seconds"),
    ] = None,
    probe: Annotated[bool, _Plan("--probe/--no-probe", help="Measure the rate on this machine.")] = True,
) -> None:
    """Say what a run takes, from the configuration alone: memory by part, passes, time, and the batch size that fits.

    Nothing is loaded or fetched but `config.json`. Exit 0 it fits, 1 it does not; the last line says what would make it fit.

    Examples:
    \b
      interp plan --prompts 1000
      interp plan --model google-t5/t5-3b --prompts 1000 --dtype bfloat16 --max-memory 0=24GiB --rate 40000
      interp plan --model t5-3b/config.json --prompts 3000000 --twins 0 --workers 64 --no-probe
    """
    with messages():
        from analyses.core.registry import ANALYSES
        from analyses.runs.plan import Work, make_plan, remedy, table_of
        from analyses.runs.plan_probe import rate_of
        from analyses.runs.run_file import without_all
        from interp.model.checkpoints import find_configuration
        from interp.model.placement import Placement

        named = tuple(ANALYSES) if analyses is None else without_all(analyses, partial(say, err=True))
        chosen = tuple(named.replace(",", " ").split()) if isinstance(named, str) else named
        size = None if batch_size == "auto" else batch_size
        work = Work(prompts, source_tokens, target_tokens, twins, size, chosen, dtype, not given_targets, workers)
        placement = options.placement_of(device_map, max_memory, offload_folder, needs_map=False) or Placement()
        found = find_configuration(model, revision)
        made = make_plan(found, work, placement)
        speed = rate * 1e9 if rate is not None else rate_of(found, work, made.batch_size) if probe else None
    print_pairs(list(table_of(made, speed).items()))
    if speed is not None:
        say(
            "The time is computed from the rate given."
            if rate is not None
            else "The rate was measured on this machine."
        )
    say("It fits." if made.fits else f"It does not fit: {remedy(made, placement)}.")
    raise typer.Exit(0 if made.fits else 1)
