"""The activation cache: what a forward pass left at the hook points that were asked for.

The cache keeps references to the tensors of the forward pass, not copies: keeping everything costs memory and almost no time.
`hook_result`, the write of every head to the residual stream, is heads times larger than what it is computed from; it is
computed from z when it is read, unless it was asked for by name.
"""

from collections.abc import Callable, Iterator, Mapping

import torch
from torch import Tensor

from interp.errors import InputError
from interp.hooks import HookFunction, HookPoint
from interp.names import ActivationKey, canonical_name, get_act_name, resolve
from interp.tokens import Batch

ComputeResult = Callable[[str, Tensor], Tensor]
"""(name of a result point, z of the same attention) -> result."""

RESULT = ".hook_result"


class ActivationCache(Mapping[str, Tensor]):
    """Hook name -> tensor, read-only.

    Keys may also be given in TransformerLens' spelling or as a tuple: `cache["pattern", 2, "cross_attn"]`.

    Args:
        tensors: what was kept.
        batch: the batch it was kept from.
        compute_result: makes `hook_result` from z.
        gradients: whether the run kept gradients.

    Attributes:
        batch: the batch of the forward pass.
    """

    def __init__(
        self,
        tensors: Mapping[str, Tensor],
        batch: Batch | None,
        compute_result: ComputeResult,
        gradients: bool = False,
    ) -> None:
        self._tensors = dict(tensors)
        self._compute_result = compute_result
        self._gradients = gradients
        self.batch = batch

    def __getitem__(self, key: ActivationKey) -> Tensor:
        name = get_act_name(*key) if isinstance(key, tuple) else canonical_name(key)
        if name in self._tensors:
            return self._tensors[name]
        z_name = name.removesuffix(RESULT) + ".hook_z"
        if name.endswith(RESULT) and z_name in self._tensors:
            return self._compute_result(name, self._tensors[z_name])
        return self._tensors[resolve(name, self._tensors)]

    def __iter__(self) -> Iterator[str]:
        return iter(self._tensors)

    def __len__(self) -> int:
        return len(self._tensors)

    def __repr__(self) -> str:
        return f"ActivationCache({len(self)} activations, {self.n_bytes() / 2**20:.1f} MiB)"

    @property
    def grad(self) -> Mapping[str, Tensor | None]:
        """Hook name -> d metric / d activation, after `metric.backward()`; None where the metric does not depend on it.

        Raises:
            InputError: if the run did not keep gradients.
        """
        if not self._gradients:
            raise InputError("This cache kept no gradients; run with `gradients=True`, then call backward on a metric.")
        return {name: tensor.grad for name, tensor in self._tensors.items()}

    def n_bytes(self) -> int:
        """Bytes held, counting storage shared by several activations once."""
        storages = {t.untyped_storage().data_ptr(): t.untyped_storage().nbytes() for t in self._tensors.values()}
        return sum(storages.values())

    def to(self, device: str | torch.device | None = None, dtype: torch.dtype | None = None) -> "ActivationCache":
        """A cache with the same activations on another device or in another floating-point type."""
        moved = {name: tensor.to(device=device, dtype=dtype) for name, tensor in self._tensors.items()}
        return ActivationCache(moved, self.batch, self._compute_result)

    def select(self, prompt: int) -> "ActivationCache":
        """The activations of one prompt, its batch axis kept with length 1; activations shared by the batch stay whole."""
        kept = {name: t if t.shape[0] == 1 else t[prompt : prompt + 1] for name, t in self._tensors.items()}
        return ActivationCache(kept, None, self._compute_result)

    def stack(self, name: str, place: str, layers: range) -> Tensor:
        """One activation of several layers on a new leading layer axis, e.g. `cache.stack("z", "cross_attn", range(4))`."""
        return torch.stack([self[name, layer, place] for layer in layers])


def keeper(kept: dict[str, Tensor], gradients: bool = False) -> HookFunction:
    """A hook function that keeps what it sees under the point's name.

    Args:
        kept: where to keep it.
        gradients: also make every value a place where gradients stop to be read: values outside the graph are replaced by
            a leaf that requires gradients, values inside it retain theirs.
    """

    def keep(tensor: Tensor, hook: HookPoint) -> Tensor | None:
        kept[hook.name] = tensor
        return None

    def keep_with_gradient(tensor: Tensor, hook: HookPoint) -> Tensor:
        if tensor.requires_grad:
            tensor.retain_grad()
        else:
            tensor = tensor.detach().requires_grad_()
        kept[hook.name] = tensor
        return tensor

    return keep_with_gradient if gradients else keep
