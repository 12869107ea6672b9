"""What decides the numbers of a store, what a finished one says of itself, where its files stand; all of it without torch."""

import importlib
import json
from collections.abc import Collection
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, ValidationError

from interp.errors import InputError, did_you_mean
from interp.input_files import parse_json, read_regular
from interp.text.tokenized_text import Side

FORMAT = "interp activation store 1"
MANIFEST = "manifest.json"
INDEX = "index"
ACTIVATIONS = "activations"
"""Name of the tensor in a shard."""
SCALE = "scale"
"""Name of the scales in a shard of int8."""

StoredType = Literal["float32", "bfloat16", "float16", "int8"]
Layout = Literal["safetensors", "arrow"]
Kept = Literal["padding", "forced", "special"]
"""Kinds of tokens that are left out unless asked for."""


class Recipe(BaseModel):
    """All that decides the numbers of a store.

    Attributes:
        format: of the folder.
        weights: sha256 of the model's weights as they were loaded.
        tokenizer: sha256 of the tokenizer's vocabulary and rules.
        settings: facts of model and languages that change what is computed.
        corpus: sha256 of the prompts.
        prompts: how many.
        hooks: hook points, in forward order.
        stored_as: type of the numbers; int8 has a scale for each row.
        layout: kind of the shards.
        rows_per_shard: rows of every shard but the last.
        batch_size: prompts in one pass, which decides their padding.
        keep: what is kept beside ordinary tokens.
        versions: of the libraries that compute.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: str = FORMAT
    weights: str
    tokenizer: str
    settings: dict[str, str | int | None]
    corpus: str
    prompts: int
    hooks: tuple[str, ...]
    stored_as: StoredType
    layout: Layout
    rows_per_shard: int
    batch_size: int
    keep: tuple[Kept, ...]
    versions: dict[str, str]

    def digest(self) -> str:
        """Hexadecimal SHA-256 over all of it."""
        return sha256(json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()


class SideRecord(BaseModel):
    """One side of a store.

    Attributes:
        rows: tokens.
        shards: files for every hook point.
        widths: hook point -> numbers a row.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    rows: int
    shards: int
    widths: dict[str, int]


class StoreManifest(BaseModel):
    """What a finished store says of itself.

    Attributes:
        recipe: what decided the numbers.
        model: what the model was called; says nothing about its weights.
        corpus: what the corpus was called.
        target_origin: whether targets were given, generated or not needed.
        sides: of the tokens, `source` and `target`, as far as asked for.
        files: relative path -> sha256 of every file but this one.
        seal: sha256 of all the rest, filled in by `to_json`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    recipe: Recipe
    model: str
    corpus: str
    target_origin: Literal["given", "generated", "not needed"]
    sides: dict[Side, SideRecord]
    files: dict[str, str]
    seal: str = ""

    def to_json(self) -> bytes:
        """The file's content, sealed."""
        content = self.model_dump(mode="json", exclude={"seal"})
        seal = sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()
        return f"{self.model_copy(update={'seal': seal}).model_dump_json(indent=1)}\n".encode()


def kinds_of_tokens(names: Collection[str]) -> tuple[Kept, ...]:
    """The kinds of tokens behind names, each once.

    Args:
        names: of kinds (`Kept`).

    Raises:
        InputError: if a name is none.
    """
    known = get_args(Kept)
    for name in names:
        if name not in known:
            raise InputError(
                f"There are no tokens called {name!r}{did_you_mean(name, known)} to keep; there are {', '.join(known)}."
            )
    return tuple(kind for kind in known if kind in names)


def read_manifest(folder: Path) -> StoreManifest:
    """The manifest of a finished store.

    Args:
        folder: of the store.

    Raises:
        InputError: if there is none, or it is of another format.
    """
    try:
        found = parse_json(read_regular(folder / MANIFEST, follow_links=False))
        return StoreManifest.model_validate(found)
    except OSError:
        raise InputError(
            f"There is no finished store of activations in {str(folder)!r}; give the folder that `interp activations` printed."
        ) from None
    except (ValueError, ValidationError) as error:
        reason = str(error).splitlines()[0]
        raise InputError(f"The manifest in {str(folder)!r} is none of a store of activations ({reason}).") from None


def is_store(folder: Path) -> bool:
    """Whether a folder's manifest says that it is a store of activations.

    Args:
        folder: to look in.
    """
    try:
        found = parse_json(read_regular(folder / MANIFEST, follow_links=False))
    except (OSError, ValueError):
        return False
    return isinstance(found, dict) and isinstance(found.get("recipe"), dict) and found["recipe"].get("format") == FORMAT


def shard_path(hook: str, shard: int) -> str:
    """Where a shard of a hook point stands in the folder.

    Args:
        hook: the hook point.
        shard: its number.
    """
    return f"{hook}/{shard:05d}.safetensors"


def arrow_path(side: Side, shard: int) -> str:
    """Where an Arrow shard of a side stands in the folder.

    Args:
        side: whose tokens.
        shard: its number.
    """
    return f"{side}/data-{shard:05d}.arrow"


def index_path(side: Side, shard: int) -> str:
    """Where the index of a shard stands in the folder.

    Args:
        side: whose tokens.
        shard: its number.
    """
    return f"{INDEX}/{side}-{shard:05d}.parquet"


def data_library(name: str) -> Any:
    """A library of the extra `data`.

    Args:
        name: of the module.

    Raises:
        InputError: if it is not installed.
    """
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise InputError(
            f"A store of activations needs {name.split('.')[0]} for its index: pip install 't5-interp[data]'."
        ) from error
