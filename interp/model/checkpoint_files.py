"""The files of a checkpoint: every one that loading may open, by its name in the folder; none that lies outside.

What decides a number is hashed by these names: configuration, tokenizer, templates, and weights, also those in subfolders that an
index of shards names. A file may be a link, as in the hub's cache, but what is behind it must be a regular file.
"""

import re
from pathlib import Path, PurePosixPath
from typing import Any

from interp.errors import InputError
from interp.input_files import open_regular, parse_json, read_regular

_KINDS = (
    "*.json",
    "*.safetensors",
    "*.model",
    "*.spm",
    "*.bpe",
    "*.codes",
    "*.tiktoken",
    "*.jinja",
    "additional_chat_templates/*.jinja",
    "merges.txt",
    "vocab*",
    "tokenizer.*",
)
_MOST_JSON = 2**28
_DEEPEST = 20
_LARGEST_NUMBER = 10_000_000
_MOST_LAYERS = 1_000
_NEEDED = re.compile(r"^d_|heads$")
_SIZE = re.compile(r"(layers|_size|_dim|_buckets|_experts|positions|embeddings)$")


def defining_files(folder: Path, name: str) -> dict[str, Path]:
    """The files that loading may open: name in the folder -> path, by name.

    Args:
        folder: of the checkpoint.
        name: what the checkpoint is called in messages.

    Raises:
        InputError: if one is no regular file, or an index names one outside the folder.
    """
    found = {path.relative_to(folder).as_posix(): path for kind in _KINDS for path in folder.glob(kind)}
    index = "model.safetensors.index.json"
    if index in found and "model.safetensors" not in found:
        shards = read_settings(folder / index, name).get("weight_map")
        for shard in sorted(set(shards.values())) if isinstance(shards, dict) and _are_texts(shards) else [""]:
            place = PurePosixPath(shard)
            if not shard or place.is_absolute() or ".." in place.parts or "\\" in shard:
                raise InputError(
                    f"The {index} of {name!r} names {shard!r} as a file of weights, which is none in the folder; fetch it again."
                )
            found[place.as_posix()] = folder / place
    for own, path in found.items():
        try:
            open_regular(path).close()
        except OSError as error:
            raise InputError(
                f"The {own} of {name!r} cannot be read ({error.strerror}); give the complete folder."
            ) from error
    return dict(sorted(found.items()))


def _are_texts(shards: dict[str, Any]) -> bool:
    return all(isinstance(shard, str) for shard in shards.values())


def read_settings(path: Path, name: str) -> dict[str, Any]:
    """The mapping in a JSON file of a checkpoint.

    Args:
        path: of the file.
        name: what the checkpoint is called in messages.

    Raises:
        InputError: if it cannot be read, names a key twice, or holds no mapping.
    """
    try:
        found = parse_json(read_regular(path, _MOST_JSON))
    except OSError as error:
        raise InputError(f"The {path.name} of {name!r} cannot be read ({error.strerror}).") from error
    except ValueError as error:
        raise InputError(f"The {path.name} of {name!r} is no JSON ({_ended(error)}); fetch it again.") from error
    if not isinstance(found, dict):
        raise InputError(f"The {path.name} of {name!r} holds a {type(found).__name__}, not settings; fetch it again.")
    return found


def check_settings(folder: Path, name: str) -> None:
    """Refuse configurations that the host would take otherwise than they say, or could only fail at.

    Args:
        folder: of the checkpoint.
        name: what the checkpoint is called in messages.

    Raises:
        InputError: naming the setting.
    """
    for file in ("config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json"):
        if (folder / file).exists():
            _check_numbers(read_settings(folder / file, name), f"The {file} of {name!r}")
    if "quantization_config" in (config := read_settings(folder / "config.json", name)):
        raise InputError(
            f"The weights of {name!r} are quantized (quantization_config in config.json), and exact decompositions need the "
            "weights themselves; give the model as it was before."
        )
    rows = config.get("vocab_size")
    for key, value in config.items():
        said = f"The config.json of {name!r} has {key} = {value!r}"
        if key.endswith(("_layers", "layers")) and isinstance(value, int) and value > _MOST_LAYERS:
            raise InputError(f"{said}; models have at most {_MOST_LAYERS:,} layers. Check the file.")
        least = 1 if _NEEDED.search(key) else 0
        if (least or _SIZE.search(key)) and isinstance(value, int) and value < least:
            raise InputError(f"{said}; the size is at least {least}. Check the file.")
        ids = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, int)]
        if key.endswith("token_id") and isinstance(rows, int) and any(not 0 <= one < rows for one in ids):
            raise InputError(f"{said}, but its vocabulary has {rows:,} pieces, from 0; check the file.")


def _check_numbers(value: Any, said: str, depth: int = 0) -> None:
    if depth > _DEEPEST:
        raise InputError(f"{said} is nested more than {_DEEPEST} deep; fetch it again.")
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _check_numbers(inner, said, depth + 1)
    elif (
        isinstance(value, int) and depth == 1 and abs(value) > _LARGEST_NUMBER and not said.startswith("The tokenizer")
    ):
        raise InputError(f"{said} holds the number {value:.3g}; fetch it again.")


def _ended(error: ValueError) -> str:
    return " ".join(str(error).split()).rstrip(".")
