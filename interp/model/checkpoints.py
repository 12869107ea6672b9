"""Checkpoints: from a name to files on disk whose configuration says that they are a model of a supported family.

The bundled checkpoint needs no network. A folder is read as it is. Anything else is a hub id: its files are fetched as one
snapshot first (configuration, safetensors and tokenizer only), so that model and tokenizer come from one commit and the
commit's hash is known. A folder with an adapter stands for its base with the adapter merged into it. No model is built here, so
nothing of torch is imported.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

from interp.errors import InputError
from interp.families.table import FAMILIES, Family, family_of
from interp.model.checkpoint_files import check_settings, defining_files, read_settings

BUNDLED = "bundled"
"""The name of the checkpoint that ships with the package."""

ADAPTER_SETTINGS = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"

_HUB_FILES = ["*.json", "*.safetensors", "*.model", "*.spm", "tokenizer*", "vocab*", "merges.txt"]


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A checkpoint on disk.

    Attributes:
        name: what the user asked for: `bundled`, a folder's name, or a hub id.
        folder: where its files are; of an adapter, those of its base.
        revision: the resolved commit of a hub checkpoint, else None.
        adapter: the folder of an adapter that is merged into it, else None.
    """

    name: str
    folder: Path
    revision: str | None = None
    adapter: Path | None = None

    def files(self) -> dict[str, Path]:
        """The files that loading may open, by name: configuration, tokenizer and weights, and those of its adapter."""
        own = defining_files(self.folder, self.name)
        if self.adapter is None:
            return own
        found = {name: path for name, path in own.items() if not _of_adapter(path)}
        beside = own if self.adapter == self.folder else defining_files(self.adapter, self.name)
        apart = self.adapter != self.folder
        return found | {f"adapter/{name}": path for name, path in beside.items() if apart or _of_adapter(path)}

    def tokenizer_folder(self) -> Path:
        """Where the tokenizer is: beside the adapter, if it brings one, as it does when it was trained with added tokens."""
        own = self.adapter is not None and (self.adapter / "tokenizer_config.json").is_file()
        return self.adapter if own and self.adapter is not None else self.folder


def _of_adapter(path: Path) -> bool:
    return path.name in (ADAPTER_SETTINGS, ADAPTER_WEIGHTS)


def find_checkpoint(model: str | Path = BUNDLED, revision: str | None = None) -> Checkpoint:
    """A checkpoint on disk, fetched first if the name is a hub id.

    Args:
        model: `bundled`, a folder, or a hub id.
        revision: branch, tag or commit of a hub id.

    Raises:
        InputError: if there is no such folder, the hub cannot give it, or a revision is asked for of what has none.
    """
    if not isinstance(model, str | Path):
        raise InputError(
            f"A model is named by `{BUNDLED}`, a folder or a hub id; got a {type(model).__name__}. What is in memory is "
            "wrapped by `HookedEncoderDecoder(model, tokenizer)`."
        )
    folder = Path(model).expanduser()
    if revision is not None and (str(model) == BUNDLED or folder.is_dir()):
        raise InputError(
            f"A revision ({revision!r}) is a branch, tag or commit of a hub id; {str(model)!r} is none. Leave it out."
        )
    if str(model) == BUNDLED:
        return Checkpoint(BUNDLED, Path(str(files("interp") / "checkpoints" / "translator")))
    name = str(model)
    if name and folder.is_dir():  # a name of no letters would be the current folder
        return _with_base(_in_folder(folder))
    if name.startswith("untrained:"):
        raise InputError(f"Only `interp compare-models` knows {name!r}; give `{BUNDLED}`, a folder, or a hub id.")
    if _is_place(model):
        hint = "that is a file" if folder.is_file() else "there is no such folder" if name else "the name is empty"
        raise InputError(
            f"Cannot load {name!r}: {hint}. Give `{BUNDLED}`, a folder with config.json and model.safetensors, or a hub id "
            "such as google-t5/t5-small."
        )
    return _with_base(_fetch(name, revision))


def find_configuration(model: str | Path, revision: str | None = None) -> Checkpoint:
    """A checkpoint of which only `config.json` is asked for: a folder, that file itself, or of a hub id that one file fetched.

    Args:
        model: `bundled`, a folder, a `config.json`, or a hub id.
        revision: as for `find_checkpoint`.

    Raises:
        InputError: as for `find_checkpoint`.
    """
    path = Path(model).expanduser()
    if path.name == "config.json" and path.is_file():
        return Checkpoint(_called(path.absolute().parent), path.parent)
    if str(model) == BUNDLED or _is_place(model):
        return find_checkpoint(model, revision)
    return _fetch(str(model), revision, ("config.json", "generation_config.json"))


def _is_place(model: str | Path) -> bool:
    """Whether a name can only be a place on this machine, and no hub id."""
    name, path = str(model), Path(model).expanduser()
    is_path = isinstance(model, Path) or path.is_absolute() or name.startswith((".", "~"))
    return not name or is_path or name.count("/") > 1 or path.exists()


def check_model(model: str | Path, revision: str | None = None) -> None:
    """Refuse a model that could not be loaded, as far as its files show; of a hub id only the configuration is fetched.

    Args:
        model: as for `find_checkpoint`.
        revision: as for `find_checkpoint`.

    Raises:
        InputError: as for `find_checkpoint` and `read_host_config`, or if a folder has no weights that can be read.
    """
    here = str(model) == BUNDLED or _is_place(model)
    found = find_checkpoint(model, revision) if here else find_configuration(model, revision)
    read_host_config(found)
    if here:
        check_files(found)


def check_files(checkpoint: Checkpoint) -> None:
    """Refuse a checkpoint without weights that can be read without running code.

    Args:
        checkpoint: where its files are.

    Raises:
        InputError: saying what is there instead.
    """
    if any(name.endswith(".safetensors") and not name.startswith("adapter") for name in checkpoint.files()):
        return
    pickled = sorted(path.name for kind in ("*.bin", "*.pt", "*.ckpt") for path in checkpoint.folder.glob(kind))
    if pickled:
        raise InputError(
            f"{checkpoint.name!r} has its weights in {pickled[0]} only, a pickle that can run code; convert it once with "
            "transformers (`model.save_pretrained(folder)` writes safetensors) or choose a revision with safetensors."
        )
    raise InputError(f"{checkpoint.name!r} has no weights: no *.safetensors file is there. Give the complete folder.")


def _in_folder(folder: Path) -> Checkpoint:
    """A folder by its name; a snapshot in the hub's cache by the name of its repository."""
    resolved = folder.resolve()
    kind, _, repository = resolved.parent.parent.name.partition("--")
    if resolved.parent.name == "snapshots" and kind == "models":
        return Checkpoint(repository.replace("--", "/"), folder)
    return Checkpoint(_called(resolved), folder)


def _called(folder: Path) -> str:
    """A folder's name; the whole path of the root, which has none."""
    return folder.name or str(folder)


def _fetch(name: str, revision: str | None, wanted: Sequence[str] = _HUB_FILES) -> Checkpoint:
    # Only names of the hub need its client, which takes long to import.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, LocalEntryNotFoundError, OfflineModeIsEnabled

    get = partial(snapshot_download, name, revision=revision, allow_patterns=list(wanted))
    try:
        try:
            folder = Path(get())
        except OfflineModeIsEnabled:  # some releases ask the hub even for a commit that is here
            folder = Path(get(local_files_only=True))
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


def _with_base(found: Checkpoint) -> Checkpoint:
    """The checkpoint with the base of its adapter: the weights beside it, else the base that its settings name."""
    settings = found.folder / ADAPTER_SETTINGS
    if not settings.is_file():
        return found
    if (found.folder / "config.json").is_file():
        return replace(found, adapter=found.folder)
    base = read_settings(settings, found.name).get("base_model_name_or_path")
    if not isinstance(base, str) or not base:
        raise InputError(
            f"The adapter {found.name!r} names no base model (base_model_name_or_path in {ADAPTER_SETTINGS}); merge it with "
            "PEFT's merge_and_unload() and save the whole model."
        )
    try:
        below = find_checkpoint(base)
    except InputError as error:
        raise InputError(f"The adapter {found.name!r} needs its base model {base!r}: {error}") from error
    if below.adapter is not None:
        raise InputError(
            f"The base {base!r} of the adapter {found.name!r} is an adapter itself; merge that one first with PEFT's "
            "merge_and_unload() and save the whole model."
        )
    return replace(found, folder=below.folder, adapter=found.folder)


def read_host_config(checkpoint: Checkpoint) -> dict[str, Any]:
    """The content of a checkpoint's config.json, whose model is of a supported family and writes text; it has a `model_type`.

    Args:
        checkpoint: where its files are.

    Raises:
        InputError: if there is no configuration, it cannot be read, or the model is of another kind.
    """
    path = checkpoint.folder / "config.json"
    if not path.is_file():
        raise InputError(
            f"{checkpoint.name!r} has no config.json, so it is no checkpoint; give the folder that `save_pretrained` wrote."
        )
    config = read_settings(path, checkpoint.name)
    architectures = [str(name) for name in config.get("architectures") or []]
    kind = config.get("model_type") or _type_of(architectures)
    if not isinstance(kind, str):
        raise InputError(
            f"The config.json of {checkpoint.name!r} names no model_type; is it a transformers checkpoint?"
        )
    family = family_of(kind, bool(config.get("is_encoder_decoder")))
    _check_head(checkpoint, family, architectures)
    check_settings(checkpoint.folder, checkpoint.name)
    return config | {"model_type": kind}


def _type_of(architectures: list[str]) -> str | None:
    """The model type whose models have a head of this name; some public UMT5 publish the class alone."""
    owners = (kind for name in architectures for kind, family in FAMILIES.items() if name in family.heads)
    return next(owners, None)


def _check_head(checkpoint: Checkpoint, family: Family, architectures: list[str]) -> None:
    """Refuse other heads, which the host would replace by a random unembedding, or by the embedding, without a word."""
    heads = {head for one in FAMILIES.values() for head in one.heads}
    other = [name for name in architectures if name not in heads]
    if other:
        raise InputError(
            f"{checkpoint.name!r} is a {other[0]}, which writes no text: its own head would be left out. Supported are models "
            f"that write: {', '.join(family.heads)}."
        )


def first_line(error: Exception) -> str:
    """The first line of a host's message, ended as a sentence.

    Args:
        error: what the host raised.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    name = "KeyError: " if isinstance(error, KeyError) else ""  # of which the message is the key alone
    return name + lines[0].strip().rstrip(".!:") + "."
