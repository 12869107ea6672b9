"""The engine of a command: the ranks of torchrun are this same command, started several times."""

import os
import sys

import typer

from analyses.commands.options import EngineName
from interp.errors import InputError


def launches(engine: EngineName, workers: int | None, prompts: str) -> int:
    """How many ranks this command is to start: none but with `--engine torchrun` where torchrun has not started it.

    Raises:
        InputError: if ranks could not read the prompts.
    """
    if engine != "torchrun":
        return 0
    if prompts == "-":
        raise InputError("The ranks of torchrun cannot share standard input; save the prompts and give --prompts FILE.")
    if is_rank():
        return 0
    return workers or os.cpu_count() or 1


def launch_ranks(count: int) -> None:
    """Run this command as the ranks of this machine, and leave with its exit code."""
    from analyses.engines.launch import launch

    raise typer.Exit(launch(sys.argv[1:], count))


def is_rank() -> bool:
    """Whether torchrun started this command."""
    return "RANK" in os.environ and "WORLD_SIZE" in os.environ


def helps_only(engine: EngineName) -> bool:
    """Whether this command helps another rank, which says what there is to say."""
    return engine == "torchrun" and os.environ.get("RANK") != "0"
