"""Weights of the host's modules, fetched where they lie: the one place that reads `.weight` and `.bias` of a module.

accelerate keeps what no device has room for on the disk or in the processor's memory, leaves a tensor without data (`meta`) in
its place, and brings the data for the moment in which the module runs. Whoever multiplies by such a tensor outside of that
moment gets uninitialized numbers and no error (torch 2.13), so nothing else in this package reads these attributes; a test looks
for that.
"""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn

from interp.errors import InputError


def weight_of(module: nn.Module, name: str = "weight") -> Tensor:
    """A weight of a module, with its data: the parameter itself where it is in memory, else a copy that is not kept.

    Args:
        module: a module that has parameters of its own, such as a linear map, a norm or an embedding.
        name: of the parameter or buffer.

    Returns:
        The tensor; of an offloaded module on the device that the module computes on, which writing to does not change.

    Raises:
        InputError: if the data is nowhere.
    """
    own: Tensor = getattr(module, name)
    if not own.is_meta:
        return own
    lent = _weights_map(module)
    if lent is None or (value := _looked_up(lent, name)) is None:
        raise InputError(
            f"The {name} of a {type(module).__name__} is not in memory and accelerate does not know where it is; load the model "
            "with `interp.load(..., device_map=...)`."
        )
    return value.to(device=_execution_device(module), dtype=own.dtype)


def bias_of(module: nn.Module) -> Tensor | None:
    """The bias of a module, with its data; None where it has none, as RMS norms.

    Args:
        module: the module.
    """
    return weight_of(module, "bias") if isinstance(getattr(module, "bias", None), Tensor) else None


def can_fetch(module: nn.Module, name: str) -> bool:
    """Whether a weight is in memory, or accelerate knows where it is.

    Args:
        module: the module.
        name: of the parameter or buffer.
    """
    lent = _weights_map(module)
    return not getattr(module, name).is_meta or (lent is not None and _looked_up(lent, name) is not None)


def named_weights(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    """Path and data of every parameter and buffer, shared ones once; those on the disk are read one at a time.

    Args:
        model: the host model.
    """
    seen: set[int] = set()
    for path, module in model.named_modules():
        own = dict(module.named_parameters(recurse=False)) | dict(module.named_buffers(recurse=False))
        for name, tensor in own.items():
            if id(tensor) not in seen:
                seen.add(id(tensor))
                yield f"{path}.{name}" if path else name, weight_of(module, name)


def same_weight(one: nn.Module, another: nn.Module) -> bool:
    """Whether two modules have the very same tensor; where tensors have no address, whether they are equal.

    Args:
        one: a module with one weight, as the unembedding.
        another: another one, as an embedding.
    """
    own, other = next(one.parameters()), next(another.parameters())
    if own is other or own.shape != other.shape:
        return own is other
    if own.is_meta or other.is_meta:
        return torch.equal(weight_of(one).to("cpu"), weight_of(another).to("cpu"))
    return bool(own.data_ptr() == other.data_ptr())


def computing_device(model: nn.Module) -> torch.device | None:
    """The device on which a model that accelerate placed takes its inputs; None for any other model.

    Args:
        model: the host model.
    """
    # The first that names one: the model itself, else what reads the inputs.
    return next((device for module in model.modules() if (device := _execution_device(module)) is not None), None)


def _hooks(module: nn.Module) -> list[Any]:
    hook = getattr(module, "_hf_hook", None)
    return [] if hook is None else list(getattr(hook, "hooks", (hook,)))


def _weights_map(module: nn.Module) -> Any | None:
    return next((found for hook in _hooks(module) if (found := getattr(hook, "weights_map", None)) is not None), None)


def _looked_up(lent: Any, name: str) -> Tensor | None:
    try:
        value: Tensor = lent[name]
    except KeyError:
        return None
    return value


def _execution_device(module: nn.Module) -> torch.device | None:
    found = (getattr(hook, "execution_device", None) for hook in _hooks(module))
    device = next((one for one in found if one is not None), None)
    return None if device is None else torch.device(device)
