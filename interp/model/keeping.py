"""How a run keeps activations: in forward order, as they are or as copies, where and in the type that was asked for."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from interp.errors import InputError
from interp.hooks.hook_point import HookFunction, HookPoint
from interp.model.cache_buffers import CacheBuffers
from interp.model.reused_memory import RunCopies


def check_place(device: Any, dtype: Any) -> None:
    """Refuse a place or a type that activations cannot be kept in.

    Args:
        device: where to; None is where they are.
        dtype: the type; None is their own.

    Raises:
        InputError: if there is no such device here, or the type holds no fractions.
    """
    if dtype is not None and not (isinstance(dtype, torch.dtype) and dtype.is_floating_point):
        raise InputError(
            f"Activations are kept in a floating-point type of torch, such as torch.bfloat16; got {dtype!r}."
        )
    if device is None:
        return
    try:
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, TypeError) as error:
        raise InputError(
            f"Activations are kept on a device of this machine, such as 'cpu'; got {device!r}, which torch cannot use here."
        ) from error


def in_order(kept: Mapping[str, Tensor], names: Sequence[str]) -> dict[str, Tensor]:
    """Hook name -> activation, in forward order.

    Args:
        kept: hook name -> activation.
        names: the names that were asked for.

    Raises:
        InputError: if a point did not fire, which happens where the host is given something in place of what a module makes.
    """
    silent = [name for name in names if name not in kept]
    if silent:
        raise InputError(
            f"The hook point {silent[0]} did not fire ({len(silent)} in all): the host did not call its module, as "
            "where `inputs_embeds` take the place of tokens; leave such points out of the filter."
        )
    return {name: kept[name] for name in names}


def keeper(
    kept: dict[str, Tensor],
    gradients: bool = False,
    device: torch.device | str | None = None,
    dtype: torch.dtype | None = None,
    buffers: CacheBuffers | None = None,
) -> HookFunction:
    """A hook function that keeps what it sees under the point's name.

    On a processor it keeps copies, in memory that is used again when nothing reads it (`interp.model.reused_memory`); values of a
    gradient's graph and those that stay on an accelerator are kept as they are.

    Args:
        kept: where to keep it.
        gradients: also make every value a place where gradients stop to be read: values outside the graph are replaced by
            a leaf that requires gradients, values inside it retain theirs.
        device: where to move it on capture; it stays where it is by default.
        dtype: which type to keep it in; its own by default.
        buffers: memory to copy it to.
    """
    copies = RunCopies(device, dtype)

    def keep(tensor: Tensor, hook: HookPoint) -> Tensor | None:
        if gradients and tensor.is_floating_point():
            if tensor.requires_grad:
                tensor.retain_grad()
            else:
                tensor = tensor.detach().requires_grad_()
            kept[hook.name] = tensor
            return tensor
        if buffers is not None:
            kept[hook.name] = buffers.keep(hook.name, tensor, device, dtype)
        else:
            kept[hook.name] = copies.keep(tensor)
        return None

    return keep
