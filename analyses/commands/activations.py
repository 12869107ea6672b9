"""The command that writes a store of activations: a corpus goes through the model once, and its rows stay on disk."""

from pathlib import Path
from typing import Annotated, Literal

import typer

from analyses.commands import options
from analyses.commands.messages import messages, progress_bar, say

StoredTypeName = Literal["float32", "bfloat16", "float16", "int8"]
LayoutName = Literal["safetensors", "arrow"]

_CORPUS = "A .txt, .jsonl, .csv, .tsv, .parquet or .arrow file, a dataset's folder, or a bundled set; read one prompt at a time."
_HOOKS = "Hook points, e.g. 'encoder.*.hook_resid_post'; may be given several times."
_OUT = "Folder in which the store gets one of its own."
_STORE_DTYPE = "Type of the stored numbers; int8 has a scale for each row."
_FORMAT = "`arrow` is what Hugging Face's datasets and SAELens read."
_KEEP = "Tokens otherwise left out: padding, forced or special; may be given several times."


def activations(
    corpus: Annotated[str, typer.Argument(help=_CORPUS, show_default=False)],
    hooks: Annotated[list[str], typer.Option("--hooks", help=_HOOKS, show_default=False)],
    out: Annotated[Path, typer.Option("--out", "-o", help=_OUT, show_default=False)],
    store_dtype: Annotated[StoredTypeName, options.output_option(help=_STORE_DTYPE)] = "float32",
    layout: Annotated[LayoutName, options.output_option("--format", help=_FORMAT)] = "safetensors",
    rows: Annotated[int, options.output_option(help="Rows of a shard.")] = 65_536,
    keep: Annotated[list[str] | None, options.output_option("--keep", help=_KEEP, show_default=False)] = None,
    model: options.Model = "bundled",
    revision: options.Revision = None,
    device: options.Device = "auto",
    dtype: options.DType = "float32",
    source_column: options.SourceColumn = None,
    target_column: options.TargetColumn = None,
    prefix: options.Prefix = None,
    limit: options.Limit = None,
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
    batch_size: options.BatchSize = 16,
    quiet: options.Quiet = False,
    debug: options.Debug = False,
) -> None:
    """Keep the activations of a corpus on disk, one row a token, to train on.

    Prints the store's folder, whose name follows from all that decides its numbers. The same command goes on where a killed one
    stopped. Needs the extra `data`.

    Examples:
    \b
      interp activations corpus.txt --hooks 'encoder.*.hook_resid_post' --out stores
      interp activations pairs/train --source-column translation.en --hooks 'encoder.2.hook_resid_post' --out stores
      interp activations corpus.txt --hooks 'decoder.*.mlp.hook_post' --store-dtype int8 --keep special --out stores
    """
    with messages(debug), progress_bar(quiet) as progress:
        from interp.activations.manifest import data_library, kinds_of_tokens
        from interp.errors import InputError
        from interp.prompts import Columns, PromptStream

        if target_column is not None and source_column is None:
            raise InputError(
                "--target-column names a column of targets; name that of the sources too, with --source-column."
            )
        kept = kinds_of_tokens(keep or ())
        columns = None if source_column is None else Columns(source_column, target_column)
        stream = PromptStream(corpus, columns, limit, prefix)
        # What cannot be read or written is refused before anything heavy is imported.
        next(iter(stream), None)
        data_library("pyarrow.parquet")
        import interp
        from interp.activations import ActivationStore, write_activations

        hooked = interp.load(model, revision, device, dtype, max_length, source_lang, target_lang)
        folder = write_activations(
            hooked, stream, out, list(hooks), store_dtype, layout, rows, batch_size, kept, model, progress
        )
        told = "" if layout == "arrow" else repr(ActivationStore(folder))
    if told:
        say(told, err=True)
    say(folder)
