"""Buffers: memory that one cache after another is kept in, for loops over many batches that have room for one cache.

Activations are copied into memory that is there already, whatever the system and whoever watches the pass. The price is the
copy, and that a cache lives only until the next one of the same buffers.
"""

from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from interp.errors import InputError
from interp.model.reused_memory import kept_type


class CacheBuffers:
    """Memory for the caches of successive `run_with_cache(..., buffers=buffers)`, which grows to the largest batch seen.

    A cache of these buffers can be read until the next run with them; then reading it is an error, and tensors that were taken
    from it hold the new run's values (`clone` what shall stay).
    """

    def __init__(self) -> None:
        self._memory: dict[str, Tensor] = {}
        self._lent: LentTensors | None = None

    def n_bytes(self) -> int:
        """Bytes held."""
        return sum(flat.untyped_storage().nbytes() for flat in self._memory.values())

    def lend(self, tensors: Mapping[str, Tensor]) -> "LentTensors":
        """What a new cache may read, until the next call of `take_back`.

        Args:
            tensors: what was kept.
        """
        self._lent = LentTensors(tensors)
        return self._lent

    def take_back(self) -> None:
        """End the life of the last cache; called before a run writes."""
        if self._lent is not None:
            self._lent.end()

    def keep(self, name: str, tensor: Tensor, device: torch.device | str | None, dtype: torch.dtype | None) -> Tensor:
        """A copy of an activation in the memory under its name.

        Args:
            name: the hook point.
            tensor: the activation.
            device: where to keep it; where it is by default.
            dtype: the type to keep it in; its own by default.
        """
        flat, dtype = self._memory.get(name), kept_type(tensor, dtype)
        # `cuda` means the accelerator in use, which only an allocation tells; where nothing is said, nothing is allocated.
        device = tensor.device if device is None else torch.empty(0, device=device).device
        if flat is None or flat.numel() < tensor.numel() or (flat.device, flat.dtype) != (device, dtype):
            self._memory[name] = flat = torch.empty(tensor.numel(), dtype=dtype, device=device)
        return flat[: tensor.numel()].view(tensor.shape).copy_(tensor.detach())


class LentTensors(Mapping[str, Tensor]):
    """Hook name -> tensor in the memory of buffers, readable until another run uses them."""

    def __init__(self, tensors: Mapping[str, Tensor]) -> None:
        self._tensors: Mapping[str, Tensor] | None = tensors

    def __getitem__(self, name: str) -> Tensor:
        return self._readable()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._readable())

    def __len__(self) -> int:
        return len(self._readable())

    def end(self) -> None:
        """Make every later reading an error."""
        self._tensors = None

    def _readable(self) -> Mapping[str, Tensor]:
        if self._tensors is None:
            raise InputError(
                "This cache's buffers were used again by a later run; read a cache before the next run with its buffers, or run "
                "without `buffers` to keep both."
            )
        return self._tensors
