"""Tensors of a forward pass, kept as they are where nothing but the host has a hand in the pass.

A copy of everything costs a tenth of the pass and its memory twice. It is needed where somebody may write into what was shown
after it was shown. The host may too (an activation in place): torch counts how often a tensor was written into, so what was shown
is compared with what is there at the end, and a pass of a host that wrote is run again with copies, now and ever after.
The logits, which the caller is given too, are copied by torch once one of the two is written into, also where gradients are kept.
"""

from collections.abc import Callable, Iterable, Mapping
from itertools import chain

import torch
from torch import Tensor, nn

from interp.hooks.hook_point import HookPoint, attached
from interp.model.heap import FREED_MEMORY, LARGEST_HELD
from interp.model.keeping import in_order
from interp.model.reused_memory import CACHE_MEMORY, is_dense
from interp.text.batch import Batch

_COLLECTING = "transformers.utils.output_capturing"
"""Whose functions stay on modules once hidden states were asked for; they only append to lists."""


class PassTensors:
    """What one run keeps on a processor: tensors of the pass, each the only one in its memory.

    Copies are made of what would hold more memory than it is (a slice), of what lies where another point's activation lies, and
    of what is so large that the system takes its memory back at once.
    """

    def __init__(self) -> None:
        self._kept: dict[str, tuple[Tensor, int]] = {}
        self._owners: dict[int, Tensor] = {}
        self._last: tuple[Tensor, Tensor] | None = None

    def keep(self, tensor: Tensor, hook: HookPoint) -> None:
        """Keep an activation: itself, or a copy.

        The stream that leaves a layer enters the next: two points in a row that show one tensor share it.

        Args:
            tensor: the activation.
            hook: where it was shown.
        """
        if self._last is not None and self._last[0] is tensor:
            shown = self._last[1]
        else:
            shown = self._shown(tensor)
            self._last = tensor, shown
        self._kept[hook.name] = shown, shown._version

    def _shown(self, tensor: Tensor) -> Tensor:
        if tensor.device.type != "cpu" or tensor.requires_grad:
            return tensor
        if tensor.is_inference():  # which does not count what is written into it
            return CACHE_MEMORY.copy(tensor)
        address, n_bytes = _address(tensor), tensor.untyped_storage().nbytes()
        alone = n_bytes == tensor.nbytes and is_dense(tensor) and address not in self._owners
        if not alone or n_bytes >= LARGEST_HELD:
            return CACHE_MEMORY.copy(tensor)
        self._owners[address] = tensor
        return tensor

    def written(self) -> bool:
        """Whether something was written into after it was shown."""
        return any(tensor._version != version for tensor, version in self._kept.values())

    def apart_from(self, logits: Tensor, others: Iterable[Tensor]) -> dict[str, Tensor]:
        """What was kept, by hook point: copies of those that lie in memory of others, of the logits once one is written into.

        Args:
            logits: what the pass returns.
            others: other tensors that live on and may be written into: weights, inputs.
        """
        copies = {
            id(self._owners[address]): copy(self._owners[address])
            for copy, tensors in ((CACHE_MEMORY.copy, others), (copied_on_write, (logits,)))
            for address in {_address(tensor) for tensor in tensors} & self._owners.keys()
        }
        return {name: copies.get(id(tensor), tensor) for name, (tensor, _) in self._kept.items()}

    def n_bytes(self) -> int:
        """Bytes of the pass's tensors."""
        return sum(tensor.nbytes for tensor in self._owners.values())


class HostPasses:
    """Passes of a host in which tensors can be kept as they are.

    Args:
        hf: the host.
        points: its hook points.
    """

    def __init__(self, hf: nn.Module, points: Mapping[str, HookPoint]) -> None:
        self._hf, self._points = hf, points
        self._host_writes = False

    def run(
        self, names: tuple[str, ...], inputs: Mapping[str, object] | Batch, run: Callable[[], Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]] | None:
        """The logits of a pass and what it showed, or None where only copies are safe.

        Args:
            names: the points to keep.
            inputs: what the host is given.
            run: makes the pass.
        """
        if not self._are_the_hosts_own():
            return None
        tensors = PassTensors()
        with attached([(self._points[name], tensors.keep) for name in names]):
            logits = run()
        if tensors.written():
            self._host_writes = True
            return None
        FREED_MEMORY.hold(tensors.n_bytes())
        given = (one for one in (inputs[name] for name in inputs) if isinstance(one, Tensor))
        others = chain(self._hf.parameters(), self._hf.buffers(), given)
        kept = in_order(tensors.apart_from(logits, others), names)
        return logits_apart(logits, kept.values()), kept

    def _are_the_hosts_own(self) -> bool:
        """Whether the next pass is the host's alone, and on a processor whose freed memory serves the next."""
        if self._host_writes or torch.is_inference_mode_enabled() or not FREED_MEMORY.can_be_held():
            return False
        watched = any(point.active for point in self._points.values())
        return not watched and not any(_is_watched(module) for module in self._hf.modules())


def copied_on_write(tensor: Tensor) -> Tensor:
    """A tensor of the same shape and values, in the same memory until one of the two is written into: then that has its own.

    Args:
        tensor: a tensor whose memory torch's own allocator gave; another is copied at once.

    Returns:
        A tensor of the same shape, in the graph of the first where that requires gradients.
    """
    try:
        return torch._lazy_clone(tensor)
    except (AttributeError, RuntimeError):  # no public function: a version of torch may lack it
        return tensor.clone()


def logits_apart(logits: Tensor, kept: Iterable[Tensor]) -> Tensor:
    """The logits for the caller, who may write into them: not the very tensor that a cache keeps.

    Args:
        logits: what a pass returned.
        kept: what the cache keeps.

    Returns:
        Logits of the same shape: a copy on write where the cache has the tensor itself, as it does where gradients are kept.
    """
    shared = logits.device.type == "cpu" and any(tensor is logits for tensor in kept)
    return copied_on_write(logits) if shared else logits


def _address(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()


def _is_watched(module: nn.Module) -> bool:
    """Whether somebody has a hand in a module, through torch's hooks or as accelerate does."""
    if "_hf_hook" in module.__dict__:
        return True
    hooks = (module._forward_hooks, module._forward_pre_hooks)
    return any(function.__module__ != _COLLECTING for own in hooks if own for function in own.values())
