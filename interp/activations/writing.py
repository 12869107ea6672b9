"""Writing a store: a corpus goes through the model once, batch by batch, in the memory of a batch.

A store is a folder named by its recipe. It is made beside nothing else: a killed call leaves whole shards and their records, the
same call goes on behind them and ends with the bytes of an undisturbed one. A folder with a manifest is finished.
"""

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout
from torch import Tensor

from interp.activations.manifest import (
    MANIFEST,
    Kept,
    Layout,
    Recipe,
    SideRecord,
    StoredType,
    StoreManifest,
    arrow_path,
    data_library,
    is_store,
    kinds_of_tokens,
)
from interp.activations.passes import run_until, token_hooks
from interp.activations.recipe import make_recipe
from interp.activations.shard_files import arrow_features
from interp.activations.side_writer import RECORDS, SideWriter
from interp.activations.tokens import rows_of
from interp.errors import InputError
from interp.hooks.names import NamesFilter
from interp.hooks.steps import of_source
from interp.input_files import file_hash
from interp.model.hooked_model import HookedEncoderDecoder
from interp.output_files import write_whole
from interp.prompts import Prompt, PromptStream
from interp.text.batch import Batch
from interp.text.tokenized_text import Side
from interp.text.unknown_pieces import UnknownTally

ROWS_PER_SHARD = 65_536
_LOCK = ".lock"
_READ_AT_ONCE = 1024
_SIDES: tuple[Side, ...] = ("source", "target")

Progress = Callable[[str, int, int], None]


def write_activations(
    model: HookedEncoderDecoder,
    corpus: PromptStream,
    out: str | Path,
    hooks: NamesFilter,
    stored_as: StoredType = "float32",
    layout: Layout = "safetensors",
    rows_per_shard: int = ROWS_PER_SHARD,
    batch_size: int = 16,
    keep: Sequence[Kept] = (),
    model_name: str = "",
    progress: Progress | None = None,
) -> Path:
    """The folder of the store: the activations of a corpus, one row a token, written or found there.

    Without targets, and only where a hook point depends on them, targets are generated greedily. The pass ends behind the last
    hook point that was asked for.

    Args:
        model: the model.
        corpus: its prompts are read twice: to check and hash them, and to run them.
        out: folder in which the store gets a folder of its own, named by all that decides its numbers; made if missing.
        hooks: hook points with one vector for every token.
        stored_as: type of the numbers; int8 has a scale for each row.
        layout: `safetensors`, or `arrow` for what reads datasets (float32 and float16).
        rows_per_shard: rows of every shard but the last.
        batch_size: prompts in one pass.
        keep: what is kept beside ordinary tokens: `padding`, `forced` and `special` tokens.
        model_name: what the manifest calls the model.
        progress: told of prompts done.

    Raises:
        InputError: before the work, if a choice cannot be, the extra `data` is missing, or the corpus holds what is no prompt;
            during it, if a text is too long or a number not finite.
    """
    names, keep = token_hooks(model, hooks), kinds_of_tokens(keep)
    _check(stored_as, layout, rows_per_shard, batch_size)
    found = corpus.digest()
    recipe = make_recipe(
        model, (found.sha256, found.prompts), names, stored_as, layout, rows_per_shard, batch_size, keep
    )
    folder = Path(out) / recipe.digest()[:16]
    if is_store(folder):
        return folder
    origin = _origin(names, found.has_targets)
    _check_texts(model, corpus, origin)
    _make_folder(folder)
    try:
        with FileLock(folder / _LOCK, timeout=0):
            manifest = _write(model, corpus, folder, recipe, origin, model_name, progress or _silent)
            if corpus.digest() != found:
                shutil.rmtree(folder)  # its shards carry the name of another corpus
                raise InputError(f"{corpus.name} changed while it was read; run the same command again.")
            shutil.rmtree(folder / RECORDS)
            write_whole(folder / MANIFEST, manifest.to_json())
    except Timeout:
        raise InputError(f"Another process is writing {str(folder)!r}; wait for it, or give another --out.") from None
    (folder / _LOCK).unlink(missing_ok=True)
    return folder


Origin = Literal["given", "generated", "not needed"]


def _make_folder(folder: Path) -> None:
    if folder.is_symlink():
        raise InputError(f"{str(folder)!r} is a link; remove it, or give another folder.")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"There can be no store in {str(folder)!r} ({error.strerror}); give another folder."
        ) from error


def _origin(names: Iterable[str], has_targets: bool) -> Origin:
    if all(of_source(name) for name in names):
        return "not needed"
    return "given" if has_targets else "generated"


def _write(
    model: HookedEncoderDecoder,
    corpus: PromptStream,
    folder: Path,
    recipe: Recipe,
    origin: Origin,
    model_name: str,
    progress: Progress,
) -> StoreManifest:
    hooks = {side: [name for name in recipe.hooks if of_source(name) == (side == "source")] for side in _SIDES}
    writers = [SideWriter(folder, side, names, recipe) for side, names in hooks.items() if names]
    first = min(writer.done.batch for writer in writers)
    batches = 0
    try:
        for batches, prompts in enumerate(_in_batches(corpus, recipe.batch_size), start=1):
            done = min(batches * recipe.batch_size, recipe.prompts)
            if batches > first:
                batch = _batch(model, prompts, origin)
                tensors = run_until(model, batch, recipe.hooks)
                _add(writers, batch, tensors, prompts, batches - 1, recipe)
            progress("activations", done, recipe.prompts)
        files = {name: digest for writer in writers for name, digest in writer.finish(batches).items()}
    except BaseException:
        for writer in writers:
            writer.abandon()
        raise
    sides = {writer.side: _side(writer) for writer in writers}
    if recipe.layout == "arrow":
        files |= _describe_datasets(folder, recipe, sides)
    return StoreManifest(
        recipe=recipe,
        model=model_name,
        corpus=corpus.name,
        target_origin=origin,
        sides=sides,
        files=dict(sorted(files.items())),
    )


def _add(
    writers: Sequence[SideWriter],
    batch: Batch,
    tensors: dict[str, Tensor],
    prompts: Sequence[Prompt],
    number: int,
    recipe: Recipe,
) -> None:
    ids = [prompt.id for prompt in prompts]
    for writer in writers:
        rows = rows_of(batch, writer.side, ids, number * recipe.batch_size, recipe.keep)
        _check_axes(tensors, writer, batch)
        writer.add(rows, tensors, number)


def _in_batches(corpus: Iterable[Prompt], size: int) -> Iterator[list[Prompt]]:
    prompts = iter(corpus)
    while chunk := list(islice(prompts, size)):
        yield chunk


def _batch(model: HookedEncoderDecoder, prompts: Sequence[Prompt], origin: Origin) -> Batch:
    given = [prompt.given for prompt in prompts]
    sources, prefixes = [source for source, _ in given], [prompt.prefix for prompt in prompts]
    if origin == "not needed":
        return model.unanswered(sources, prefixes)
    targets = [target for _, target in given if target is not None] if origin == "given" else None
    return model.batch(sources, targets, prefixes)


def _check(stored_as: StoredType, layout: Layout, rows_per_shard: int, batch_size: int) -> None:
    for name, value in (("rows of a shard (--rows)", rows_per_shard), ("batch size", batch_size)):
        if value < 1:
            raise InputError(f"The {name} is {value}; it must be 1 or more.")
    if layout == "arrow" and stored_as not in ("float32", "float16"):
        raise InputError(f"Arrow stores hold float32 or float16, not {stored_as}; choose one, or --format safetensors.")
    data_library("pyarrow.parquet")


def _check_axes(tensors: dict[str, Tensor], writer: SideWriter, batch: Batch) -> None:
    """A point that the host computes once for all prompts has no row for every token."""
    mask = batch.source_mask if writer.side == "source" else batch.target_mask
    for name in writer.hooks:
        if tensors[name].shape[:2] != mask.shape:
            raise InputError(
                f"{name} gave {tuple(tensors[name].shape)} for {tuple(mask.shape)} tokens, so it has no row for every token."
            )


def _side(writer: SideWriter) -> SideRecord:
    if not writer.rows:
        raise InputError(f"No {writer.side} token of this corpus is kept; ask for more with --keep.")
    return SideRecord(rows=writer.rows, shards=writer.shards, widths=writer.widths)


def _check_texts(model: HookedEncoderDecoder, corpus: PromptStream, origin: Origin) -> None:
    """Refuse a corpus with a text that is too long, or whose pieces are mostly unknown, before any of it is run."""
    tokenizer = model.tokenizer
    assert tokenizer is not None  # the recipe has its digest
    tally = UnknownTally(tokenizer)
    for prompts in _in_batches(corpus, _READ_AT_ONCE):
        sides = {"source": ("text", [prompt.source for prompt in prompts])}
        if origin == "given":
            sides["target"] = ("text_target", [str(prompt.target) for prompt in prompts])
        for side, (name, texts) in sides.items():
            with model.languages.spoken(tokenizer):
                ids = tokenizer(**{name: texts}, truncation=False, verbose=False).input_ids
            for prompt, text, tokens in zip(prompts, texts, ids, strict=True):
                tally.add(tokens, text, prompt.prefix if side == "source" else "")
                if len(tokens) > model.max_length:
                    raise InputError(
                        f"The {side} of prompt {prompt.id} has {len(tokens)} tokens and the limit is {model.max_length}; "
                        "shorten or split it, or raise the limit with --max-length if the model has more positions."
                    )
    tally.check()


def _describe_datasets(folder: Path, recipe: Recipe, sides: dict[Side, SideRecord]) -> dict[str, str]:
    """The two files beside the shards of a side by which `datasets.load_from_disk` knows them; relative path -> sha256."""
    files = {}
    for side, record in sides.items():
        shards = [{"filename": Path(arrow_path(side, shard)).name} for shard in range(record.shards)]
        state: dict[str, Any] = {
            "_data_files": shards,
            "_fingerprint": recipe.digest()[:16],
            "_format_columns": None,
            "_format_kwargs": {},
            "_format_type": None,
            "_output_all_columns": False,
            "_split": None,
        }
        info = {"features": arrow_features(record.widths, recipe.stored_as)}
        for name, content in (("state.json", state), ("dataset_info.json", info)):
            write_whole(folder / side / name, f"{json.dumps(content, indent=1)}\n".encode())
            files[f"{side}/{name}"] = file_hash(folder / side / name)
    return files


def _silent(what: str, done: int, total: int) -> None:
    pass
