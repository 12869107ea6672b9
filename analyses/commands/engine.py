"""The engine of a command: the ranks of torchrun are this same command, started several times."""

import os
import sys
from typing import TYPE_CHECKING

import typer

from analyses.commands.options import EngineName
from interp.errors import InputError

if TYPE_CHECKING:
    from analyses.core.work import Engine


def engine_of(name: EngineName, workers: int | None, address: str | None, prompts: str) -> "Engine | None":
    """The engine that was asked for; where it is torchrun's and this command is none of its ranks, they are run instead.

    Raises:
        InputError: if choices do not go together, or ranks could not read the prompts.
    """
    if name == "torchrun" and prompts == "-":
        raise InputError("The ranks of torchrun cannot share standard input; save the prompts and give --prompts FILE.")
    if name == "torchrun" and "RANK" not in os.environ and address is None:
        from analyses.engines.launch import launch

        raise typer.Exit(launch(sys.argv[1:], workers or os.cpu_count() or 1))
    from analyses.engines import start

    return start(name, workers, address)


def helps_only(name: EngineName) -> bool:
    """Whether this command helps another rank, which says what there is to say."""
    return name == "torchrun" and os.environ.get("RANK") != "0"
