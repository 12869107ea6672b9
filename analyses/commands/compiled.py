"""The commands that list compiled programs and write one as a checkpoint."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from analyses.commands import options
from analyses.commands.empty_values import Command
from analyses.commands.messages import check_output, messages, print_pairs, say

_HELP = """List programs that are compiled to T5 checkpoints, whose circuits are known, and write them.

Examples:
\b
  interp compiled list
  interp compiled make copy models/copy
"""

compiled = typer.Typer(help=_HELP, no_args_is_help=True)

Corrupted = Literal["encoder", "decoder"]


@compiled.command("list", cls=Command)
def list_programs() -> None:
    """List the programs, each with an example.

    Examples:
    \b
      interp compiled list
    """
    with messages():
        from interp.compiled import PROGRAMS, find_program

        print_pairs([(name, find_program(name).task) for name in PROGRAMS])


@compiled.command(cls=Command)
def make(
    name: Annotated[str, typer.Argument(help="Name of the program.", show_default=False)],
    folder: Annotated[Path, typer.Argument(help="Folder to be made.", show_default=False)],
    pairs: Annotated[
        Path | None, typer.Option(help="Also write minimal pairs, FILE.jsonl, for `interp circuit`.")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="How many pairs.")] = 32,
    corrupt: Annotated[Corrupted, typer.Option(help="Whose tokens the pairs corrupt.")] = "encoder",
    seed: Annotated[int, typer.Option(help="Of the draw of pairs.", **options.SEEDS)] = 0,
) -> None:
    """Write a program as a checkpoint, with its true circuit in circuit.json, one edge a line.

    Examples:
    \b
      interp compiled make copy models/copy
      interp compiled make switch models/switch --pairs switch.jsonl
    """
    with messages():
        import json
        from dataclasses import asdict

        from interp.compiled import corrupted_pairs, find_program, plan_of, save

        check_output(pairs, ".jsonl", overwrite=False)
        plan = plan_of(find_program(name))
        made = corrupted_pairs(plan, corrupt, count, seed) if pairs is not None else ()
        save(plan.program, folder)
        edges = [str(edge) for edge in sorted(plan.edges())]
        (folder / "circuit.json").write_text(
            json.dumps({"program": name, "edges": edges}, indent=1) + "\n", encoding="utf-8"
        )
        say(f"{folder}: {plan.program.task}")
        say("circuit:")
        for edge in edges:
            say(f"  {edge}")
        if pairs is not None:
            lines = [json.dumps(asdict(pair), ensure_ascii=False) for pair in made]
            pairs.write_text("\n".join(lines) + "\n", encoding="utf-8")
            say(f"pairs: {pairs}")
