"""Loading: from a name to a hooked model, with one clear sentence for everything that can go wrong.

The bundled checkpoint needs no network. A folder is read as it is. Anything else is a hub id: its files are fetched as one
snapshot first (configuration, safetensors and tokenizer only), so that model and tokenizer come from one commit and the
commit's hash is known. Weights are read from safetensors only, and no code from a checkpoint is ever run.
"""

import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Literal

import torch
from huggingface_hub import snapshot_download
from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled
from safetensors import SafetensorError
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from interp.errors import InputError
from interp.families.table import family_of
from interp.model.hooked_model import HookedEncoderDecoder

BUNDLED = "bundled"
"""The name of the checkpoint that ships with the package."""

Device = Literal["auto", "cpu", "cuda", "mps"]
DType = Literal["float32", "bfloat16", "float16"]

_TOKENIZER_FILES = ("tokenizer*", "*.model", "*.spm", "vocab*")
_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.spm", "tokenizer*", "vocab*", "merges.txt"]
_LAYER_WEIGHT = re.compile(r"\.(block|layers)\.\d+\.")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on disk.

    Attributes:
        name: what the user asked for: `bundled`, a folder's name, or a hub id.
        folder: where its files are.
        revision: the resolved commit of a hub checkpoint, else None.
    """

    name: str
    folder: Path
    revision: str | None = None

    def files(self) -> tuple[Path, ...]:
        """The files that define the model, sorted by name: configuration, tokenizer and weights."""
        kinds = ("*.json", "*.safetensors", "*.model", "*.spm")
        return tuple(sorted(path for kind in kinds for path in self.folder.glob(kind)))


def load(
    model: str | Path = BUNDLED, revision: str | None = None, device: Device = "auto", dtype: DType = "float32"
) -> HookedEncoderDecoder:
    """A hooked encoder-decoder in eval mode, its weights frozen; gradients can still flow to activations.

    Args:
        model: `bundled`, a folder with `config.json` and safetensors, or a hub id such as `google-t5/t5-small`.
        revision: branch, tag or commit of a hub id.
        device: `auto` takes the first available of cuda, mps and cpu.
        dtype: type of the weights; exact decompositions need float32.

    Raises:
        InputError: if the checkpoint cannot be found or read, or is of no supported family; the message says what to do.
    """
    return load_checkpoint(find_checkpoint(model, revision), device, dtype)


def find_checkpoint(model: str | Path = BUNDLED, revision: str | None = None) -> Checkpoint:
    """A checkpoint on disk, fetched first if the name is a hub id.

    Args:
        model: as for `load`.
        revision: as for `load`.

    Raises:
        InputError: if there is no such folder, or the hub cannot give it.
    """
    if str(model) == BUNDLED:
        return Checkpoint(BUNDLED, Path(str(files("interp") / "checkpoints" / "translator")))
    folder = Path(model).expanduser()
    if folder.is_dir():
        return Checkpoint(folder.resolve().name, folder)
    name = str(model)
    is_path = isinstance(model, Path) or folder.is_absolute() or name.startswith((".", "~"))
    if is_path or name.count("/") > 1 or folder.exists():
        hint = "that is a file" if folder.is_file() else "there is no such folder"
        raise InputError(
            f"Cannot load {name!r}: {hint}. Give `{BUNDLED}`, a folder with config.json and model.safetensors, or a hub id "
            "such as google-t5/t5-small."
        )
    return _fetch(name, revision)


def _fetch(name: str, revision: str | None) -> Checkpoint:
    try:
        folder = Path(snapshot_download(name, revision=revision, allow_patterns=_HUB_FILES))
    except (LocalEntryNotFoundError, OfflineModeIsEnabled, ConnectionError) as error:
        raise InputError(
            f"Cannot fetch {name!r}: no folder of that name is here, it is not in the local Hugging Face cache, and the hub "
            f"cannot be reached. Connect once, give a local folder, or use `{BUNDLED}`."
        ) from error
    except (HfHubHTTPError, HFValidationError) as error:
        at = f" at revision {revision!r}" if revision else ""
        raise InputError(
            f"The hub has no readable model {name!r}{at}: {_first_line(error)} "
            "Check the spelling and your access, or give a folder."
        ) from error
    return Checkpoint(name, folder, revision=folder.name)


def load_checkpoint(checkpoint: Checkpoint, device: Device = "auto", dtype: DType = "float32") -> HookedEncoderDecoder:
    """The hooked model of a checkpoint that has been found; see `load`.

    Args:
        checkpoint: where its files are.
        device: as for `load`.
        dtype: as for `load`.

    Raises:
        InputError: as for `load`.
    """
    _check_family(checkpoint)
    _check_weights(checkpoint)
    where = pick_device(device)
    hf = _read_model(checkpoint, getattr(torch, dtype))
    tokenizer = _read_tokenizer(checkpoint)
    rows = hf.get_input_embeddings().weight.shape[0]
    if len(tokenizer) > rows:
        raise InputError(
            f"The tokenizer of {checkpoint.name!r} has {len(tokenizer)} tokens and its model only {rows} embeddings; "
            "check that the files belong together."
        )
    return HookedEncoderDecoder(hf.requires_grad_(False).to(where), tokenizer)


def pick_device(device: Device) -> torch.device:
    """The device behind a name.

    Args:
        device: see `load`.

    Raises:
        InputError: if it is asked for by name and absent.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present[device]:
        there = ", ".join(name for name, here in present.items() if here)
        raise InputError(f"There is no device {device!r} on this machine; available: {there}. Use --device auto.")
    return torch.device(device)


def _check_family(checkpoint: Checkpoint) -> None:
    path = checkpoint.folder / "config.json"
    if not path.is_file():
        raise InputError(
            f"{checkpoint.name!r} has no config.json, so it is no checkpoint; give the folder that `save_pretrained` wrote."
        )
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"The config.json of {checkpoint.name!r} is no JSON ({_first_line(error)}); fetch it again."
        ) from error
    if not isinstance(config, dict) or not isinstance(config.get("model_type"), str):
        raise InputError(
            f"The config.json of {checkpoint.name!r} names no model_type; is it a transformers checkpoint?"
        )
    family_of(config["model_type"], bool(config.get("is_encoder_decoder")))


def _check_weights(checkpoint: Checkpoint) -> None:
    if any(checkpoint.folder.glob("*.safetensors")):
        return
    pickled = sorted(path.name for kind in ("*.bin", "*.pt", "*.ckpt") for path in checkpoint.folder.glob(kind))
    if pickled:
        raise InputError(
            f"{checkpoint.name!r} has its weights in {pickled[0]} only, a pickle that can run code; convert it once with "
            "transformers (`model.save_pretrained(folder)` writes safetensors) or choose a revision with safetensors."
        )
    raise InputError(f"{checkpoint.name!r} has no weights: no *.safetensors file is there. Give the complete folder.")


def _read_model(checkpoint: Checkpoint, dtype: torch.dtype) -> PreTrainedModel:
    try:
        with quiet_host():
            model, report = AutoModelForSeq2SeqLM.from_pretrained(
                checkpoint.folder,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                attn_implementation="eager",
                output_loading_info=True,
            )
    except SafetensorError as error:
        raise InputError(
            f"The weights of {checkpoint.name!r} are damaged or cut short ({_first_line(error)}); fetch the file again."
        ) from error
    except (OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{checkpoint.name!r} cannot be loaded: {_first_line(error)} Check that its files belong together."
        ) from error
    _check_complete(checkpoint, report["missing_keys"], report["unexpected_keys"])
    return model


def _check_complete(checkpoint: Checkpoint, missing: Iterable[str], unexpected: Iterable[str]) -> None:
    """Refuse what the host would fill with random weights or drop: the layers in the file must be those of config.json."""
    surplus = (name for name in unexpected if _LAYER_WEIGHT.search(name))
    for verb, names in (("lacks", sorted(missing)), ("has in surplus", sorted(surplus))):
        if names:
            raise InputError(
                f"The weights of {checkpoint.name!r} do not fit its config.json: the file {verb} {len(names)} weights, the "
                f"first is {names[0]}. Check that the files belong together and none is missing."
            )


@contextmanager
def quiet_host() -> Iterator[None]:
    """Keep the host from printing while it loads or saves: what matters is checked here and said in one sentence."""
    verbosity = transformers_logging.get_verbosity()
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        yield
    finally:
        transformers_logging.set_verbosity(verbosity)


def _read_tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    if not any(any(checkpoint.folder.glob(kind)) for kind in _TOKENIZER_FILES):
        # The host would build an empty tokenizer without a word.
        raise InputError(f"{checkpoint.name!r} has no tokenizer files; put tokenizer.json beside the weights.")
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
    except (OSError, ValueError, ImportError) as error:
        raise InputError(
            f"{checkpoint.name!r} has no tokenizer that can be read ({_first_line(error)}); "
            "put tokenizer.json beside the weights."
        ) from error
    return tokenizer


def _first_line(error: Exception) -> str:
    """The first line of a host's message, ended as a sentence."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".") + "."
