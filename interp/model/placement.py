"""Placement: where the weights of a model lie that is too large for one device, by accelerate (the extra `large`)."""

import copy
import importlib.util
import logging
import re
import shutil
import tempfile
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn
from transformers import PreTrainedModel

from interp.errors import InputError
from interp.hooks.host_weights import computing_device, same_weight, weight_of

DeviceMap = str | Mapping[str, str | int]
"""`auto`, `balanced`, `sequential`, or path of a module -> device (`cpu`, `disk`, the number of an accelerator)."""

_SIZE = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([KMGT]i?B)\s*", re.IGNORECASE)
_NAMED_MAPS = ("auto", "balanced", "balanced_low_0", "sequential")


@dataclass(frozen=True, slots=True)
class Placement:
    """Where weights shall lie.

    Attributes:
        device_map: see `DeviceMap`; None leaves everything on one device.
        max_memory: device (`0`, `cpu`) -> most bytes of weights on it, such as `20GiB`; what is free by default.
        offload_folder: where weights go that fit nowhere else.
    """

    device_map: DeviceMap | None = None
    max_memory: Mapping[int | str, int | str] | None = None
    offload_folder: str | Path | None = None

    def host_arguments(self) -> dict[str, Any]:
        """What transformers' `from_pretrained` is told.

        Returns:
            Its arguments by name; none where everything lies on one device.

        Raises:
            InputError: if the choices do not go together, or accelerate is missing.
        """
        if self.device_map is None:
            for name in ("max_memory", "offload_folder"):
                if getattr(self, name) is not None:
                    raise InputError(f"`{name}` says where the parts of a device map go; give `device_map` (auto) too.")
            return {}
        if isinstance(self.device_map, str) and self.device_map not in _NAMED_MAPS:
            raise InputError(f"No device map is called {self.device_map!r}; give one of {', '.join(_NAMED_MAPS)}.")
        if importlib.util.find_spec("accelerate") is None:
            raise InputError(
                "Weights on several devices need accelerate; install it with `pip install t5-interp[large]`."
            )
        chosen: dict[str, Any] = {"device_map": self.device_map}
        if self.max_memory is not None:
            chosen["max_memory"] = dict(self.max_memory)
        if self.offload_folder is not None:
            chosen["offload_folder"] = str(self.offload_folder)
        return chosen


def read_max_memory(text: str | None) -> dict[int | str, int | str] | None:
    """The limits in a text such as `0=20GiB,cpu=60GiB`.

    Args:
        text: devices and their limits.

    Returns:
        Device (the number of an accelerator, or `cpu`) -> size; None without a text.

    Raises:
        InputError: if it is none.
    """
    if text is None:
        return None
    limits: dict[int | str, int | str] = {}
    for part in text.split(","):
        device, _, size = (piece.strip() for piece in part.partition("="))
        if not (device == "cpu" or device.isdecimal()) or _SIZE.fullmatch(size) is None:
            raise InputError(f"{part!r} is no limit of memory; give devices and sizes as in 0=20GiB,cpu=60GiB.")
        key: int | str = int(device) if device.isdecimal() else device
        if key in limits:
            raise InputError(f"The device {device} has two limits; give it one.")
        limits[key] = size
    return limits


def n_bytes(size: int | str) -> int:
    """The bytes of a size such as `20GiB` or `500MB`.

    Args:
        size: the size; a number is itself.

    Raises:
        InputError: if it is none.
    """
    if isinstance(size, int):
        return size
    match = _SIZE.fullmatch(size)
    if match is None:
        raise InputError(f"{size!r} is no size of memory; give one as 20GiB or 500MB.")
    unit = match[2].upper()
    return int(float(match[1]) * (1024 if "I" in unit else 1000) ** ("KMGT".index(unit[0]) + 1))


Spread = Mapping[str, str | int | torch.device]
"""Path of a module -> where its weights are, for every part of a model."""


def spread_of(hf: PreTrainedModel) -> Spread | None:
    """Where the weights of a host on several devices are; None where all are on one.

    Args:
        hf: the host.
    """
    return None if computing_device(hf) is None else dict(hf.hf_device_map)


def placed(hf: PreTrainedModel, spread: Spread | None, device: torch.device, dtype: torch.dtype) -> PreTrainedModel:
    """A host in memory, its weights moved to where those of another of the same shape are.

    Args:
        hf: the host; it is changed.
        spread: where the weights of the other are. What is on the disk goes to a folder that lives as long as the host.
        device: where all of them are, if there is no spread.
        dtype: their type.
    """
    if spread is None:
        return hf.to(device=device, dtype=dtype)
    from accelerate import dispatch_model

    folder = tempfile.mkdtemp(prefix="interp-offload-")
    weakref.finalize(hf, shutil.rmtree, folder, ignore_errors=True)
    with warnings.catch_warnings():
        # A buffer of the model itself must be named in the map, and is warned of because it is no module.
        warnings.filterwarnings("ignore", "The following device_map keys do not match")
        # It says that weights are offloaded, which was asked for.
        logging.getLogger("accelerate.big_modeling").setLevel(logging.ERROR)
        dispatched: PreTrainedModel = dispatch_model(hf.to(dtype), dict(spread), offload_dir=folder, force_hooks=True)
    return dispatched


def copy_in_memory(hf: PreTrainedModel) -> PreTrainedModel:
    """A copy of a host whose weights are all in the processor's memory, wherever those of the original are; it may be written to.

    Args:
        hf: the host.
    """
    if computing_device(hf) is None:
        return copy.deepcopy(hf)
    with torch.device("meta"):
        other = type(hf)(copy.deepcopy(hf.config))
    other.generation_config = copy.deepcopy(hf.generation_config)
    made: dict[int, torch.Tensor] = {}
    for path, module in hf.named_modules():
        own = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
        for name, tensor in own.items():
            if id(tensor) not in made:  # what is one tensor in the original is one in the copy
                value = weight_of(module, name).detach().to("cpu", copy=True)
                parameter = isinstance(tensor, nn.Parameter)
                made[id(tensor)] = nn.Parameter(value, requires_grad=False) if parameter else value
            setattr(other.get_submodule(path), name, made[id(tensor)])
    for copied, original in ((other.get_decoder(), hf.get_decoder()), (other.get_encoder(), hf.get_encoder())):
        # On the disk a table is there once for every module that has it.
        if same_weight(hf.get_output_embeddings(), original.get_input_embeddings()):
            copied.get_input_embeddings().weight = next(other.get_output_embeddings().parameters())
    return other.eval()
