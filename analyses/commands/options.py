"""The options that commands share: one spelling, one help text, one panel each."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from analyses.commands.completion import complete_analyses, complete_models, complete_prompts, complete_runs

_MODEL, _INPUT, _RUN, _OUTPUT = "Model", "Input", "Run", "Output"

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
TypeName = Literal["float32", "bfloat16", "float16"]

Model = Annotated[
    str,
    typer.Option(
        "--model",
        "-m",
        help="`bundled`, a folder with safetensors, or a hub id.",
        rich_help_panel=_MODEL,
        autocompletion=complete_models,
    ),
]
Revision = Annotated[str | None, typer.Option(help="Branch, tag or commit of a hub id.", rich_help_panel=_MODEL)]
Device = Annotated[DeviceName, typer.Option("--device", "-d", help="Where to run.", rich_help_panel=_MODEL)]
DType = Annotated[TypeName, typer.Option(help="Type of the weights; exact sums need float32.", rich_help_panel=_MODEL)]

Prompts = Annotated[
    str,
    typer.Option(
        "--prompts",
        "-p",
        help="A bundled set, a .txt, .jsonl or .csv file, or - for stdin.",
        rich_help_panel=_INPUT,
        autocompletion=complete_prompts,
    ),
]
Limit = Annotated[int | None, typer.Option(help="Only the first so many prompts.", rich_help_panel=_INPUT)]

WordGroups = Annotated[
    Path | None,
    typer.Option("--words", help="Groups of words for the embedding geometry, .json or .yaml.", rich_help_panel=_INPUT),
]

Analyses = Annotated[
    str | None,
    typer.Option(
        "--analyses",
        "-a",
        help="Names, separated by commas; `all` adds those of plug-ins.",
        show_default="those of this package",
        rich_help_panel=_RUN,
        autocompletion=complete_analyses,
    ),
]
Seed = Annotated[int, typer.Option(help="Of resampling and of the untrained twins.", rich_help_panel=_RUN)]
BatchSize = Annotated[int, typer.Option("--batch-size", "-b", help="Prompts in one pass.", rich_help_panel=_RUN)]
Twins = Annotated[int, typer.Option(help="How many untrained control models.", rich_help_panel=_RUN)]
Pages = Annotated[int, typer.Option(help="Most prompts with a page of their own.", rich_help_panel=_OUTPUT)]

Out = Annotated[
    Path | None,
    typer.Option("--out", "-o", help="Folder of the run; by default one below reports/.", rich_help_panel=_OUTPUT),
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace a run that is there.", rich_help_panel=_OUTPUT)]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="No progress.", rich_help_panel=_OUTPUT)]
Debug = Annotated[bool, typer.Option("--debug", help="Show the traceback of a failure.", rich_help_panel=_OUTPUT)]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.", rich_help_panel=_OUTPUT)]

RunFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        help="Choices in YAML; flags win over them. The config.yaml of a run is one.",
        rich_help_panel=_RUN,
    ),
]
DryRun = Annotated[
    bool,
    typer.Option("--dry-run", help="Print the resolved choices as YAML and do nothing else.", rich_help_panel=_RUN),
]

RunFolder = Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False, autocompletion=complete_runs)]
SomeRun = Annotated[
    Path | None,
    typer.Argument(help="Folder of a run.", show_default="the newest below reports/", autocompletion=complete_runs),
]
