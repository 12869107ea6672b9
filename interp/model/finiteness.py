"""Numbers that are none: weights and logits that are not finite, and the first module that is to blame."""

from collections.abc import Callable, Mapping
from functools import partial

import torch
from torch import Tensor, nn

from interp.errors import InputError
from interp.hooks.hook_point import HookPoint, attached
from interp.hooks.host_weights import named_weights

_ADVICE = "Load the weights in another type (--dtype float32), or fetch the files again."


def check_weights(hf: nn.Module, name: str) -> None:
    """Refuse weights that are not finite.

    Args:
        hf: the host model.
        name: of the checkpoint.

    Raises:
        InputError: naming the first.
    """
    for weight, values in named_weights(hf):
        if not _finite(values):
            raise InputError(f"The weights of {name!r} are not finite, first of all {weight}. {_ADVICE}")


def check_logits(logits: Tensor, points: Mapping[str, HookPoint], again: Callable[[], object]) -> None:
    """Refuse logits that are not finite, unless an edit made them so.

    Args:
        logits: of a forward pass.
        points: the model's hook points.
        again: makes the same forward pass, to see where it began.

    Raises:
        InputError: naming the first hook point whose activation, as the host computed it, is not finite.
    """
    if _finite(logits):
        return
    seen: list[tuple[str, bool]] = []

    def look(tensor: Tensor, hook: HookPoint, edited: bool) -> None:
        if not seen and not _finite(tensor):
            seen.append((hook.name, edited))

    every = [point for name, point in points.items() if not name.endswith("hook_result")]
    before, behind = ([(point, partial(look, edited=edited)) for point in every] for edited in (False, True))
    with torch.no_grad(), attached(before, ahead=True), attached(behind):
        again()
    first, edited = seen[0] if seen else ("the bias of the unembedding", False)
    if not edited:
        raise InputError(f"This model's logits are not finite; the first activation that is not is {first}. {_ADVICE}")


def _finite(values: Tensor) -> bool:
    """Whether all numbers are finite. A finite sum has finite terms, and takes one reading and no memory; a sum may overflow."""
    return bool(torch.isfinite(values.detach().sum(dtype=torch.float32))) or bool(torch.isfinite(values).all())
