"""Loading: from a name to a hooked model, with one clear sentence for everything that can go wrong.

The bundled checkpoint needs no network. A folder is read as it is. Anything else is a hub id: its files are fetched as one
snapshot first (configuration, safetensors and tokenizer only), so that model and tokenizer come from one commit and the
commit's hash is known. Weights are read from safetensors only, and no code from a checkpoint is ever run.
"""

import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import torch
from safetensors import SafetensorError
from transformers import AutoModelForSeq2SeqLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as transformers_logging

from interp.errors import InputError
from interp.model.checkpoints import BUNDLED, Checkpoint, find_checkpoint, first_line, read_host_config
from interp.model.hooked_model import HookedEncoderDecoder

Device = Literal["auto", "cpu", "cuda", "mps"]
DType = Literal["float32", "bfloat16", "float16"]

_TOKENIZER_FILES = ("tokenizer*", "*.model", "*.spm", "vocab*")
_LAYER_WEIGHT = re.compile(r"\.(block|layers)\.\d+\.")


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


def load_checkpoint(checkpoint: Checkpoint, device: Device = "auto", dtype: DType = "float32") -> HookedEncoderDecoder:
    """The hooked model of a checkpoint that has been found; see `load`.

    Args:
        checkpoint: where its files are.
        device: as for `load`.
        dtype: as for `load`.

    Raises:
        InputError: as for `load`.
    """
    read_host_config(checkpoint)
    _check_weights(checkpoint)
    where = pick_device(device)
    hf = _read_model(checkpoint, getattr(torch, dtype))
    tokenizer = read_tokenizer(checkpoint)
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


def _check_weights(checkpoint: Checkpoint) -> None:
    if any(name.endswith(".safetensors") for name in checkpoint.files()):
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
            f"The weights of {checkpoint.name!r} are damaged or cut short ({first_line(error)}); fetch the file again."
        ) from error
    except Exception as error:  # on files that others wrote the host may raise anything
        raise InputError(
            f"{checkpoint.name!r} cannot be loaded: {first_line(error)} Check that its files belong together."
        ) from error
    _check_complete(checkpoint, report["missing_keys"], report["unexpected_keys"])
    _check_spread(checkpoint, model)
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


def _check_spread(checkpoint: Checkpoint, model: PreTrainedModel) -> None:
    """Refuse weights that hold nothing: an embedding in which all words are one, or matrices most of which are constant."""
    matrices = [weight for weight in model.parameters() if weight.ndim > 1]
    constant = sum(bool((weight == weight.flatten()[0]).all()) for weight in matrices)
    embedding = model.get_input_embeddings().weight
    if 2 * constant > len(matrices) or bool((embedding == embedding[0]).all()):
        raise InputError(
            f"The weights of {checkpoint.name!r} hold nothing: {constant} of {len(matrices)} matrices are one number throughout, "
            "or all words have one embedding. Fetch the file again."
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


def read_tokenizer(checkpoint: Checkpoint) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint, of the class that its files name.

    Args:
        checkpoint: where its files are.

    Raises:
        InputError: if it has no tokenizer files, or they cannot be read.
    """
    if not any(any(checkpoint.folder.glob(kind)) for kind in _TOKENIZER_FILES):
        # The host would build an empty tokenizer without a word.
        raise InputError(f"{checkpoint.name!r} has no tokenizer files; put tokenizer.json beside the weights.")
    try:
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(checkpoint.folder, local_files_only=True)
    except Exception as error:  # on files that others wrote the host may raise anything
        raise InputError(
            f"{checkpoint.name!r} has no tokenizer that can be read ({first_line(error)}); "
            "put tokenizer.json beside the weights."
        ) from error
    return tokenizer
