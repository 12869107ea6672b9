"""The options that commands share: one spelling, one help text, one panel each."""

import math
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.main import get_current_context  # type: ignore[attr-defined]  # not named in its public list

from analyses.commands.completion import complete_analyses, complete_models, complete_prompts, complete_runs
from analyses.commands.messages import say

if TYPE_CHECKING:
    from interp.model.placement import Placement


def batch_size_of(text: str) -> int | str:
    """A number of prompts, or `auto`; a number too small is refused with the other choices of a run."""
    if text != "auto" and not text.isdecimal():
        raise typer.BadParameter(f"{text!r} is neither a number of prompts nor `auto`.")
    return text if text == "auto" else int(text)


def finite(value: float | None) -> float | None:
    """A number that is one: ranges of click let NaN through, and infinity where they have one end."""
    if value is not None and not math.isfinite(value):
        raise typer.BadParameter(f"{value} is no finite number.")
    return value


SEEDS: dict[str, Any] = {"min": 0, "max": 2**32 - 1}
"""What a seed may be, in options of every command."""
number_option = partial(typer.Option, callback=finite)
_model = partial(typer.Option, rich_help_panel="Model")
_input = partial(typer.Option, rich_help_panel="Input")
_run = partial(typer.Option, rich_help_panel="Run")
evidence_option = partial(typer.Option, rich_help_panel="Evidence")
output_option = partial(typer.Option, rich_help_panel="Output")

DeviceName = Literal["auto", "cpu", "cuda", "mps"]
TypeName = Literal["float32", "bfloat16", "float16"]

_MODEL_HELP = "`bundled`, a folder with safetensors, or a hub id."
Model = Annotated[str, _model("--model", "-m", help=_MODEL_HELP, autocompletion=complete_models)]
Revision = Annotated[str | None, _model(help="Branch, tag or commit of a hub id.")]
Device = Annotated[DeviceName, _model("--device", "-d", help="Where to run.")]
DType = Annotated[TypeName, _model(help="Type of the weights; exact sums need float32.")]
DeviceMap = Annotated[
    str | None, _model(help="`auto` spreads weights over accelerators, memory and disk.", show_default="one device")
]
MaxMemory = Annotated[
    str | None, _model(help="Most weights on each device: 0=20GiB,cpu=60GiB.", show_default="what is free")
]
OffloadFolder = Annotated[Path | None, _model(help="Where weights go that fit nowhere else.")]

SourceLang = Annotated[
    str | None,
    _input(
        "--source-lang",
        help="Code of the sources' language, in models that mark it.",
        show_default="the tokenizer's",
    ),
]
TargetLang = Annotated[
    str | None, _input("--target-lang", help="Code of the targets' language.", show_default="the tokenizer's")
]
MaxLength = Annotated[
    int | None, _input("--max-length", min=1, help="Most tokens of a text.", show_default="the tokenizer's, or 512")
]

_AUDIO_HELP = "A WAV file, one channel of 16 kHz, in place of the text, for models that read sounds (Whisper)."
Audio = Annotated[Path | None, _input("--audio", help=_AUDIO_HELP, show_default=False)]
Audios = Annotated[list[Path] | None, _input("--audio", help=f"{_AUDIO_HELP} May be repeated.", show_default=False)]

_PROMPTS_HELP = (
    "A bundled set, a .txt, .jsonl, .csv, .tsv, .parquet or .arrow file, a dataset's folder, or - for stdin."
)
Prompts = Annotated[str, _input("--prompts", "-p", help=_PROMPTS_HELP, autocompletion=complete_prompts)]
SourceColumn = Annotated[str | None, _input(help="Column of the sources; `translation.en` is a field of one.")]
TargetColumn = Annotated[str | None, _input(help="Column of the targets.")]
Prefix = Annotated[str | None, _input(help="Task prefix that every source starts with, if it is none of T5's own.")]
Limit = Annotated[int | None, _input(help="Only the first so many prompts.")]
WordGroups = Annotated[
    Path | None, _input("--words", help="Groups of words for the embedding geometry, .json or .yaml.")
]

Pairs = Annotated[
    Path | None,
    _input("--pairs", help="Minimal pairs for circuits, one JSON object a line.", show_default="the bundled ones"),
]

Analyses = Annotated[
    str | None,
    _run(
        "--analyses",
        "-a",
        help="Names, separated by commas; `all` adds circuits and those of plug-ins.",
        show_default="those of this package but circuits",
        autocompletion=complete_analyses,
    ),
]
_SEED_HELP = "Of resampling and of the untrained twins."
Seed = Annotated[int, _run(help=_SEED_HELP, **SEEDS)]
RunSeed = Annotated[int, _run(help=_SEED_HELP)]  # checked with the other choices of a run
BatchSize = Annotated[int, _run("--batch-size", "-b", help="Prompts in one pass.")]
BatchSizeOrAuto = Annotated[
    Any,
    _run(
        "--batch-size",
        "-b",
        parser=batch_size_of,
        metavar="INTEGER|auto",
        help="Prompts in one pass; `auto`: what fits.",
    ),
]
Twins = Annotated[int, _run(help="How many untrained control models.")]
RunFile = Annotated[
    Path | None,
    _run("--config", "-c", help="Choices in YAML; flags win over them. The config.yaml of a run is one."),
]
Set = Annotated[
    list[str] | None,
    _run("--set", help="A setting: analysis.name=value, as in YAML; see `interp list settings`.", show_default=False),
]
DryRun = Annotated[bool, _run("--dry-run", help="Check the choices, print them as YAML and do nothing else.")]

_engine = partial(typer.Option, rich_help_panel="Engine")
_ENGINE_HELP = "Who computes: processes of this machine, ranks of torchrun, or actors of Ray. Changes no number."
EngineName = Annotated[
    Literal["local", "torchrun", "ray"] | None, _engine(help=_ENGINE_HELP, show_default="this process")
]
Workers = Annotated[int | None, _engine(min=1, help="How many processes of the engine.", show_default="one a core")]
Address = Annotated[str | None, _engine(help="Address of a Ray cluster.", show_default="one on this machine")]

Pages = Annotated[int, output_option(help="Most prompts with a page of their own.")]
Figures = Annotated[
    Literal["svg", "pdf", "png"], output_option(help="Format of the figures' files; text is text in SVG and PDF.")
]
Out = Annotated[Path | None, output_option("--out", "-o", help="Folder of the run; by default one below reports/.")]
Overwrite = Annotated[bool, output_option("--overwrite", help="Replace a run that is there.")]
Sign = Annotated[Path | None, output_option("--sign", help="SSH key (Ed25519) that signs the manifest.")]
Quiet = Annotated[bool, output_option("--quiet", "-q", help="No progress.")]
Debug = Annotated[bool, output_option("--debug", help="Show the traceback of a failure.")]
AsJson = Annotated[bool, output_option("--json", help="Print JSON.")]

RunFolder = Annotated[Path, typer.Argument(help="Folder of a run.", show_default=False, autocompletion=complete_runs)]
SomeRun = Annotated[
    Path | None,
    typer.Argument(help="Folder of a run.", show_default="the newest below reports/", autocompletion=complete_runs),
]


def placement_of(
    device_map: str | None, max_memory: str | None, offload_folder: Path | None, needs_map: bool = True
) -> "Placement | None":
    """Where weights shall lie, if it was said; limits without a device map mean one device, which only a plan has a use for.

    Raises:
        InputError: if the choices do not go together.
    """
    if device_map is None and max_memory is None and offload_folder is None:
        return None
    from interp.model.placement import Placement, read_max_memory

    placement = Placement(device_map, read_max_memory(max_memory), offload_folder)
    if needs_map:
        placement.host_arguments()
    return placement


def one_source(source: str | None, audio: Path | None, words: str | None = None) -> str:
    """The source text, empty where a sound is in its place.

    Raises:
        InputError: if there is none of the two, or both; or words are given of a sound.
    """
    from interp.errors import InputError

    if (source is None) == (audio is None) or (audio is not None and words is not None):
        raise InputError("Give one source: a text, or a sound with --audio; words (--words) are those of a text.")
    return source or ""


def given_choices(everything: Sequence[str] | None = None) -> dict[str, Any]:
    """The choices of a run that were made on the command line, defaults left out; `all` analyses by their names.

    Args:
        everything: what `all` stands for, if not for every analysis there is.

    Raises:
        InputError: if beside `all` an analysis is named that there is not.
    """
    from analyses.runs.config import RunConfig
    from analyses.runs.run_file import without_all

    context = get_current_context()
    sources = {name: context.get_parameter_source(name) for name in context.params if name in RunConfig.model_fields}
    given = {name: context.params[name] for name, source in sources.items() if source and source.name == "COMMANDLINE"}
    if "analyses" in given:
        given["analyses"] = without_all(given["analyses"], partial(say, err=True), everything)
    return given
