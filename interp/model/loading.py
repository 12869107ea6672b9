"""Loading: from a name to a hooked model, with one clear sentence for everything that can go wrong.

Weights are read from safetensors only, and no code from a checkpoint is ever run. What the host would fill with random numbers,
drop, or leave unmerged is refused.
"""

import logging
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, get_args

import torch
import transformers
from safetensors import SafetensorError
from transformers import (
    CONFIG_MAPPING,
    AutoTokenizer,
    PreTrainedConfig,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)
from transformers.activations import ACT2FN
from transformers.utils import logging as transformers_logging

from interp.errors import InputError
from interp.families.table import FAMILIES
from interp.model.adapters import check_adapter, merged, without_adapter
from interp.model.checkpoints import BUNDLED, Checkpoint, check_files, find_checkpoint, first_line, read_host_config
from interp.model.feature_extractors import read_extractor
from interp.model.finiteness import check_weights
from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.loaded_weights import check_complete, check_shapes, check_spread, check_types
from interp.model.placement import DeviceMap, Placement
from interp.model.wrapping import check_tokenizer

Device = Literal["auto", "cpu", "cuda", "mps"]
DType = Literal["float32", "bfloat16", "float16"]

_TOKENIZER_FILES = ("tokenizer*", "*.model", "*.spm", "vocab*")
_FIELD = re.compile(r"Validation error for field '(\w+)'")


def load(
    model: str | Path = BUNDLED,
    revision: str | None = None,
    device: Device = "auto",
    dtype: DType | torch.dtype = "float32",
    max_length: int | None = None,
    source_lang: str | None = None,
    target_lang: str | None = None,
    device_map: DeviceMap | None = None,
    max_memory: Mapping[int | str, int | str] | None = None,
    offload_folder: str | Path | None = None,
) -> HookedEncoderDecoder:
    """A hooked encoder-decoder in eval mode, its weights frozen; gradients can still flow to activations.

    Args:
        model: `bundled`, a folder with `config.json` and safetensors or with an adapter, or a hub id such as
            `google-t5/t5-small`.
        revision: branch, tag or commit of a hub id.
        device: `auto` takes the first available of cuda, mps and cpu.
        dtype: type of the weights; exact decompositions need float32.
        max_length: most tokens of a text; by default what the tokenizer states, or 512.
        source_lang: code of the sources' language, in models that mark it.
        target_lang: the same of the targets.
        device_map: `auto` spreads weights over accelerators, memory and disk, in place of `device`; see `Placement`.
        max_memory: device (`0`, `cpu`) -> most bytes of weights on it, such as `20GiB`.
        offload_folder: where weights go that fit nowhere else; those of safetensors files stay in their files.

    Raises:
        InputError: if the checkpoint cannot be found or read, or is of no supported family; the message says what to do.
    """
    placement = Placement(device_map, max_memory, offload_folder)
    placement.host_arguments()
    found = find_checkpoint(model, revision)
    return load_checkpoint(found, device, dtype, max_length, source_lang, target_lang, placement)


def load_checkpoint(
    checkpoint: Checkpoint,
    device: Device = "auto",
    dtype: DType | torch.dtype = "float32",
    max_length: int | None = None,
    source_lang: str | None = None,
    target_lang: str | None = None,
    placement: Placement | None = None,
) -> HookedEncoderDecoder:
    """The hooked model of a checkpoint that has been found; see `load`.

    Args:
        checkpoint: where its files are.
        device: as for `load`.
        dtype: as for `load`.
        max_length: as for `load`.
        source_lang: as for `load`.
        target_lang: as for `load`.
        placement: where its weights shall lie, if not all on `device`.

    Raises:
        InputError: as for `load`.
    """
    spread = (placement or Placement()).host_arguments()
    if spread and checkpoint.adapter is not None:
        raise InputError(
            f"The adapter {checkpoint.name!r} is merged into weights in memory; save the merged model once "
            "(`model.hf.save_pretrained(folder)`) and give that folder with a device map."
        )
    config = host_config(checkpoint)
    check_files(checkpoint)
    check_types(checkpoint)
    check_adapter(checkpoint)
    where, kind = pick_device(device), pick_type(dtype)
    hf = _read_model(checkpoint, config, kind, spread)
    check_weights(hf, checkpoint.name)
    tokenizer = read_tokenizer(checkpoint, config)
    check_tokenizer(tokenizer, hf, checkpoint.name)
    hf = hf.requires_grad_(False) if spread else hf.requires_grad_(False).to(where)
    extractor = read_extractor(checkpoint)
    return HookedEncoderDecoder(hf, tokenizer, max_length, source_lang, target_lang, extractor)


def pick_device(device: Device) -> torch.device:
    """The device behind a name.

    Args:
        device: see `load`.

    Raises:
        InputError: if it is asked for by name and absent, or there is none of this name.
    """
    present = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device not in ("auto", *present):
        raise InputError(f"A device is 'auto', 'cpu', 'cuda' or 'mps'; got {device!r}.")
    if device == "auto":
        return torch.device(next(name for name, there in present.items() if there))
    if not present[device]:
        there = ", ".join(name for name, here in present.items() if here)
        raise InputError(f"There is no device {device!r} on this machine; available: {there}. Use --device auto.")
    return torch.device(device)


def pick_type(dtype: DType | torch.dtype) -> torch.dtype:
    """The type behind a name.

    Args:
        dtype: see `load`.

    Raises:
        InputError: if it is none that weights are read in.
    """
    types = {name: getattr(torch, name) for name in get_args(DType)}
    if dtype not in (*types, *types.values()):
        raise InputError(f"A type of weights is {', '.join(map(repr, types))}, or that type of torch; got {dtype!r}.")
    return dtype if isinstance(dtype, torch.dtype) else types[dtype]


def _read_model(
    checkpoint: Checkpoint, config: PreTrainedConfig, dtype: torch.dtype, spread: dict[str, Any]
) -> PreTrainedModel:
    auto = getattr(transformers, FAMILIES[config.model_type].host.auto_class)
    try:
        with quiet_host(), without_adapter(checkpoint) as folder:
            model, report = auto.from_pretrained(
                folder,
                config=config,
                dtype=dtype,
                use_safetensors=True,
                local_files_only=True,
                attn_implementation="eager",
                output_loading_info=True,
                **spread,
            )
    except SafetensorError as error:
        raise InputError(
            f"The weights of {checkpoint.name!r} are damaged or cut short ({first_line(error)}); fetch the file again."
        ) from error
    except Exception as error:  # on files that others wrote the host may raise anything
        check_shapes(checkpoint, auto, config)
        raise InputError(
            f"{checkpoint.name!r} cannot be loaded: {first_line(error)} Check that its files belong together."
        ) from error
    check_complete(checkpoint, report)
    check_spread(checkpoint, model)
    if checkpoint.adapter is None:
        return model
    with quiet_host():
        return merged(model, checkpoint)


@contextmanager
def quiet_host() -> Iterator[None]:
    """Keep the host from printing while it loads or saves: what matters is checked here and said in one sentence."""
    verbosity = transformers_logging.get_verbosity()
    placing = logging.getLogger("accelerate.big_modeling")
    spoken = placing.level
    placing.setLevel(logging.ERROR)
    transformers_logging.set_verbosity_error()
    transformers_logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Recommended: pip install sacremoses")
            yield
    finally:
        transformers_logging.set_verbosity(verbosity)
        placing.setLevel(spoken)


def host_config(checkpoint: Checkpoint) -> PreTrainedConfig:
    """The host's configuration of a checkpoint.

    Args:
        checkpoint: where its files are.

    Raises:
        InputError: if it cannot be read, or the model is of another kind.
    """
    stored = read_host_config(checkpoint)
    kind = stored["model_type"]
    try:
        config: PreTrainedConfig = CONFIG_MAPPING[kind].from_pretrained(checkpoint.folder, local_files_only=True)
    except Exception as error:  # on files that others wrote the host may raise anything
        if (named := _FIELD.match(str(error))) and named[1] in stored:
            raise InputError(
                f"The config.json of {checkpoint.name!r} has {named[1]} = {stored[named[1]]!r}, which is no value that a {kind} "
                "model takes there; check the file."
            ) from error
        raise InputError(f"The config.json of {checkpoint.name!r} cannot be used: {first_line(error)}") from error
    _check_activation(checkpoint, config)
    return config


def _check_activation(checkpoint: Checkpoint, config: PreTrainedConfig) -> None:
    """Refuse an activation function that the host has not."""
    for field in ("dense_act_fn", "activation_function", "hidden_activation"):
        name = getattr(config, field, None)
        if isinstance(name, str) and name not in ACT2FN:
            raise InputError(
                f"The config.json of {checkpoint.name!r} names the activation function {name!r}, which transformers does not "
                "know, as it does relu, gelu_new and silu; check the file."
            )


def read_tokenizer(checkpoint: Checkpoint, config: PreTrainedConfig) -> PreTrainedTokenizerBase:
    """The tokenizer of a checkpoint, of the class that its files name.

    Args:
        checkpoint: where its files are.
        config: the host's configuration.

    Raises:
        InputError: if it has no tokenizer files, or they cannot be read.
    """
    folder = checkpoint.tokenizer_folder()
    if not any(any(folder.glob(kind)) for kind in _TOKENIZER_FILES):
        # The host would build an empty tokenizer without a word.
        raise InputError(f"{checkpoint.name!r} has no tokenizer files; put tokenizer.json beside the weights.")
    try:
        with quiet_host():
            tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
                folder, config=config, local_files_only=True
            )
    except Exception as error:  # on files that others wrote the host may raise anything
        raise InputError(
            f"{checkpoint.name!r} has no tokenizer that can be read ({first_line(error)}); "
            "put tokenizer.json beside the weights."
        ) from error
    ordinary = tokenizer.get_vocab().keys() - set(tokenizer.all_special_tokens) - tokenizer.get_added_vocab().keys()
    if not any(any(map(str.isalnum, piece)) for piece in ordinary):
        raise InputError(
            f"The tokenizer of {checkpoint.name!r} knows no piece of text, only marks: its files name a class without its "
            "vocabulary; put tokenizer.json (or spiece.model, or vocab.json and merges.txt) beside the weights."
        )
    return tokenizer
