"""Checkpoints on disk: from a name to a folder with its files. No model is built here, so nothing of torch is imported."""

from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

from interp.errors import InputError
from interp.families.table import family_of
from interp.model.checkpoint_files import check_settings, defining_files, read_settings

BUNDLED = "bundled"
"""The name of the checkpoint that ships with the package."""

_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.spm", "tokenizer*", "vocab*", "merges.txt"]


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

    def files(self) -> dict[str, Path]:
        """The files that loading may open, by their name in the folder: configuration, tokenizer and weights."""
        return defining_files(self.folder, self.name)


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
    # Only names of the hub need its client, which takes long to import.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

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
            f"The hub has no readable model {name!r}{at}: {first_line(error)} "
            "Check the spelling and your access, or give a folder."
        ) from error
    return Checkpoint(name, folder, revision=folder.name)


def read_host_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """The content of a checkpoint's config.json, whose family is in the table.

    Args:
        checkpoint: where its files are.

    Raises:
        InputError: if it cannot be read, or is of no supported family.
    """
    path = checkpoint.folder / "config.json"
    if not path.is_file():
        raise InputError(
            f"{checkpoint.name!r} has no config.json, so it is no checkpoint; give the folder that `save_pretrained` wrote."
        )
    config = read_settings(path, checkpoint.name)
    if not isinstance(config.get("model_type"), str):
        raise InputError(
            f"The config.json of {checkpoint.name!r} names no model_type; is it a transformers checkpoint?"
        )
    family_of(config["model_type"], bool(config.get("is_encoder_decoder")))
    check_settings(checkpoint.folder, checkpoint.name)
    return config


def first_line(error: Exception) -> str:
    """The first line of a host's message, ended as a sentence.

    Args:
        error: what the host raised.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].strip().rstrip(".") + "."
