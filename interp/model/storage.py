"""Activations on disk: one cache as one safetensors file, a corpus as a folder of them, written and read one batch at a time.

A file holds the activations under their hook names, the batch's tensors, and, as metadata, axis names and the batch's texts, so
it can be understood without this package. Files are written beside their place and renamed: a killed run leaves no half of one,
and a corpus that was interrupted goes on where it stopped and refuses to go on with other prompts or another model.

    save_cache(cache, "run.safetensors")
    cache = load_cache("run.safetensors", model)            tensors are read when they are asked for

    write_corpus(model, batches, folder, "decoder.*.cross_attn.hook_pattern", dtype=torch.float16)
    for cache in Corpus(folder): ...
"""

import hashlib
import json
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import TypeAdapter
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from interp.errors import InputError, reason
from interp.families.sites import NormPlace
from interp.hooks.names import NamesFilter, axes_of, matching
from interp.model.activation_cache import ActivationCache
from interp.model.cache_buffers import CacheBuffers
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.weights import weights_digest
from interp.text.batch import Batch, TargetOrigin
from interp.text.tokenized_text import Text

FORMAT = "interp activations 1"

_BATCH = "batch/"


@dataclass(frozen=True)
class _BatchTexts:
    """What a batch holds besides tensors."""

    source_texts: tuple[Text, ...]
    target_texts: tuple[Text, ...]
    target_origin: TargetOrigin
    unfinished: tuple[int, ...]


_BATCH_TEXTS = TypeAdapter(_BatchTexts)


def save_cache(cache: ActivationCache, path: str | Path) -> None:
    """Write a cache to one safetensors file, replacing the file if it exists.

    Activations that are one tensor under two names (the stream after a layer and before the next) are stored once.

    Args:
        cache: the cache.
        path: the file.

    Raises:
        InputError: if the cache has no batch, or the path is a folder or in none.
    """
    path = Path(path)
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else "is in no folder"
        raise InputError(f"A cache is saved as one file in a folder that exists; {str(path)!r} {what}.")
    if cache.batch is None:
        raise InputError("A cache without its batch cannot be saved, because nothing would say what its rows are.")
    _write(cache, cache.batch, path, "")


def _write(cache: ActivationCache, batch: Batch, path: Path, made: str) -> None:
    """A cache as a file; of a corpus with the digest of how its activations were made."""
    tensors: dict[str, Tensor] = {}
    same_as: dict[str, str] = {}
    seen: dict[tuple[Any, ...], str] = {}
    for name, tensor in cache.items():
        identity = (tensor.data_ptr(), tensor.shape, tensor.stride(), tensor.dtype)
        if tensor.numel() and identity in seen:
            same_as[name] = seen[identity]
            continue
        seen[identity] = name
        # safetensors wants every tensor in memory of its own.
        tensors[name] = tensor.detach().cpu().contiguous().clone()
    tensors |= {_BATCH + name: tensor.cpu().contiguous() for name, tensor in batch.tensors.items()}
    texts = _BatchTexts(batch.source_texts, batch.target_texts, batch.target_origin, batch.unfinished)
    metadata = {
        "format": FORMAT,
        "axes": json.dumps({name: axes_of(name) for name in cache}),
        "order": json.dumps(list(cache)),
        "same_as": json.dumps(same_as),
        "batch": _BATCH_TEXTS.dump_json(texts).decode(),
        "digest": _digest(batch),
        "made": made,
        "norm_place": cache.norm_place,
        "merged_attention": json.dumps(cache.merged_attention),
    }
    # In a folder of its own, so that nothing of the user's is written over and no link is followed.
    with tempfile.TemporaryDirectory(prefix=".interp-", dir=path.parent) as desk:
        save_file(tensors, Path(desk) / path.name, metadata)
        (Path(desk) / path.name).replace(path)


def load_cache(path: str | Path, model: HookedEncoderDecoder | None = None) -> ActivationCache:
    """A saved cache, opened; every tensor is read from disk when it is asked for, and not kept.

    Args:
        path: a file of `save_cache`.
        model: the model it came from, for what is computed from its weights (`hook_result`, `logit_attrs`).

    Raises:
        InputError: if there is no such file or it is none of ours.
    """
    tensors = _StoredTensors(Path(path))
    batch, how = tensors.batch(), (tensors.norm_place, tensors.merged_attention)
    if model is None:
        return ActivationCache(tensors, batch, _no_result, False, None, *how)
    return ActivationCache(tensors, batch, model.compute_result, False, model.logit_directions, *how)


def _no_result(name: str, z: Tensor) -> Tensor:
    raise InputError(f"{name} is computed from z and the model's weights; load the cache with its model.")


class _StoredTensors(Mapping[str, Tensor]):
    """The activations of one file, read one at a time."""

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise InputError(f"There is no file {str(path)!r}; give a file that `save_cache` wrote.")
        try:
            with safe_open(path, framework="pt") as file:
                metadata = file.metadata() or {}
        except SafetensorError as error:
            raise InputError(
                f"{path.name!r} is no safetensors file or is cut short ({error}); write it again."
            ) from error
        if metadata.get("format") != FORMAT:
            raise InputError(f"{path.name!r} holds no activations of this package (format {metadata.get('format')!r}).")
        self.digest, self.made = metadata["digest"], metadata.get("made", "")
        self.norm_place: NormPlace = "post" if metadata["norm_place"] == "post" else "pre"
        self.merged_attention: bool = json.loads(metadata.get("merged_attention", "false"))
        self._order: list[str] = json.loads(metadata["order"])
        self._same_as: dict[str, str] = json.loads(metadata["same_as"])
        self._batch = metadata["batch"]

    def __getitem__(self, name: str) -> Tensor:
        if name not in self._order:
            raise KeyError(name)
        with safe_open(self.path, framework="pt") as file:
            tensor: Tensor = file.get_tensor(self._same_as.get(name, name))
        return tensor

    def __contains__(self, name: object) -> bool:
        return name in self._order

    def __iter__(self) -> Iterator[str]:
        return iter(self._order)

    def __len__(self) -> int:
        return len(self._order)

    def batch(self) -> Batch:
        """The batch the activations came from."""
        with safe_open(self.path, framework="pt") as file:
            stored = [name for name in file.keys() if name.startswith(_BATCH)]  # noqa: SIM118 - a file is no dict
            tensors = {name.removeprefix(_BATCH): file.get_tensor(name) for name in stored}
        return Batch(**tensors, **vars(_BATCH_TEXTS.validate_json(self._batch)))


def write_corpus(
    model: HookedEncoderDecoder,
    batches: Iterable[Batch],
    folder: str | Path,
    names_filter: NamesFilter,
    dtype: torch.dtype | None = None,
) -> int:
    """Run a corpus and keep its activations on disk, in the memory of one batch.

    Batches already there are not run again: an interrupted call is finished by the same call. One with another model, other
    activations or another type is refused, as one with other batches is.

    Args:
        model: the model.
        batches: the corpus, in the same order at every call.
        folder: where to write `00000.safetensors`, `00001.safetensors` and so on; made if missing.
        names_filter: which activations.
        dtype: the type to keep them in; the model's by default.

    Returns:
        The number of batches run by this call.

    Raises:
        InputError: if the folder cannot be made, or a file of another batch or of other activations is in the way.
    """
    folder = Path(folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(
            f"The folder {str(folder)!r} cannot be made ({reason(error)}); give another for the corpus."
        ) from error
    written, made = 0, _how(model, names_filter, dtype)
    buffers = CacheBuffers()
    for index, batch in enumerate(batches):
        path = folder / f"{index:05d}.safetensors"
        if path.exists():
            there = _StoredTensors(path)
            if (there.digest, there.made) != (_digest(batch), made):
                other = (
                    "another batch"
                    if there.digest != _digest(batch)
                    else "another model, other activations or another type"
                )
                raise InputError(f"{path.name!r} in {str(folder)!r} is of {other}; write this corpus to a new folder.")
            continue
        with torch.no_grad():
            _, cache = model.run_with_cache(batch, names_filter, device="cpu", dtype=dtype, buffers=buffers)
        _write(cache, batch, path, made)
        written += 1
    return written


class Corpus:
    """The caches that `write_corpus` wrote to a folder, opened one at a time, in order, as by `load_cache`.

    Raises:
        InputError: if the folder has none.
    """

    def __init__(self, folder: str | Path, model: HookedEncoderDecoder | None = None) -> None:
        self.paths = sorted(Path(folder).glob("[0-9]*.safetensors"), key=lambda path: (len(path.name), path.name))
        self.model = model
        if not self.paths:
            raise InputError(f"There are no activations in {str(folder)!r}; give a folder that `write_corpus` wrote.")

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> ActivationCache:
        return load_cache(self.paths[index], self.model)

    def __iter__(self) -> Iterator[ActivationCache]:
        return (load_cache(path, self.model) for path in self.paths)

    def activation(self, name: str) -> Iterator[Tensor]:
        """One activation of every batch, in order.

        Args:
            name: its hook name.
        """
        return (cache[name] for cache in self)


def _how(model: HookedEncoderDecoder, names_filter: NamesFilter, dtype: torch.dtype | None) -> str:
    """A hash of the model's weights, the names and the type of the activations of a corpus."""
    names = matching(names_filter, tuple(model.hook_points()))
    return hashlib.sha256(json.dumps([weights_digest(model), names, str(dtype or model.dtype)]).encode()).hexdigest()


def _digest(batch: Batch) -> str:
    """A hash of the tokens and masks of a batch."""
    digest = hashlib.sha256()
    for name, tensor in batch.tensors.items():
        if name == "source_categories":
            continue
        digest.update(f"{name}{tuple(tensor.shape)}".encode())
        digest.update(tensor.cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
