"""The command that sets two models side by side."""

from pathlib import Path
from typing import Annotated

import typer

from analyses.commands import options
from analyses.commands.completion import complete_models
from analyses.commands.engine import engine_of, helps_only
from analyses.commands.messages import messages, progress_bar, say

_NAME = "`bundled`, a folder with safetensors, a hub id, or `untrained:SEED` for the other model with random weights."


_FOLDER = Path("reports/compared")


def compare_models(
    first: Annotated[str, typer.Argument(help=_NAME, show_default=False, autocompletion=complete_models)],
    second: Annotated[str, typer.Argument(help="As the first.", show_default=False, autocompletion=complete_models)],
    prompts: options.Prompts = "translation",
    limit: options.Limit = None,
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
    analyses: options.Analyses = None,
    seed: options.RunSeed = 0,
    batch_size: options.BatchSize = 16,
    twins: options.Twins = 5,
    pages: options.Pages = 100,
    device: options.Device = "auto",
    dtype: options.DType = "float32",
    out: Annotated[Path, options.output_option("--out", "-o", help="Folder of the comparison.")] = _FOLDER,
    overwrite: options.Overwrite = False,
    sign: options.Sign = None,
    engine: options.EngineName = None,
    workers: options.Workers = None,
    address: options.Address = None,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Run two models on the same texts and set their reports side by side.

    Writes both full reports and one page with the findings next to each other and the differences of all common numbers, with
    intervals. Models without task prefixes read the texts without them.

    Examples:
    \b
      interp compare-models bundled untrained:0
      interp compare-models bundled path/to/marian --prompts mine.txt --out reports/t5-and-marian
      interp compare-models bundled untrained:1 --analyses cross_attention_focus --limit 16
    """
    with messages(debug), progress_bar(quiet) as progress:
        from analyses.runs.config import make_config
        from analyses.runs.prompt_set import prompts_of
        from analyses.runs.run_place import check_place

        config = make_config(**options.given_choices())
        check_place(out, overwrite)
        read = prompts_of(config)
        dealer = engine_of(engine, workers, address, prompts)

        from analyses.runs.compare_models import compare_two_models

        path = compare_two_models(first, second, config, out, overwrite, progress, read, sign=sign, engine=dealer)
    if not helps_only(engine):
        say(path)
