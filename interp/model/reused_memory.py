"""Memory of copies that nobody holds any more, used again for the caches that follow.

On a processor most of a copy's price is the system handing out and clearing fresh pages. So activations that must be copied
(`interp.model.pass_tensors` says which need not) are copied into blocks, and a block is lent anew once nothing reads it.

Who reads a block is not counted here: each loan is an array of its own, the owner of a tensor's storage, and torch, numpy and
DLPack keep the owner of memory alive as long as anything (tensor, slice, view, graph, array) can reach it. Its death is the one
sign that the block is free. So a cache, and what was taken from it, never changes, and memory that stays in use costs what it
costs.
"""

import weakref
from collections import deque
from dataclasses import dataclass
from threading import RLock

import torch
from torch import Tensor

from interp.model.heap import FREED_MEMORY

_LONGEST_REST = 8
"""Runs after which a block that none of them needed goes back to the system."""
_MOST_TOO_LARGE = 4
"""A block serves what is at least this part of it; a larger one would hold memory for nothing."""


@dataclass(slots=True, eq=False)
class _Block:
    """Memory of ours, and the last run that took it."""

    memory: Tensor
    run: int


class ReusedMemory:
    """Blocks of a process's memory, lent to one copy of an activation after the other.

    New blocks take the place of free ones that do not fit, so all blocks together are what was once lent at the same time, and
    what no run needs goes back.

    Args:
        least: bytes from which on copies are made in blocks; the process' own allocator has less than that at hand anyway.
    """

    def __init__(self, least: int = 1 << 16) -> None:
        self._least = least
        self._free: dict[int, list[_Block]] = {}
        # Filled when a loan ends, which can be at any moment and in any thread; appending to a deque needs no lock.
        self._ended: deque[_Block] = deque()
        self._run = 0
        self._lock = RLock()

    def n_bytes(self) -> int:
        """Bytes held that nobody reads."""
        with self._lock:
            self._collect()
            return sum(size * len(blocks) for size, blocks in self._free.items())

    def begin_run(self) -> None:
        """Tell that a run begins, and give back what several runs did not need."""
        with self._lock:
            self._run += 1
            self._collect()
            for blocks in self._free.values():
                blocks[:] = [block for block in blocks if self._run - block.run <= _LONGEST_REST]

    def release(self) -> int:
        """Bytes that were held for later runs and are the system's again; what is read stays."""
        with self._lock:
            held = self.n_bytes()
            self._free.clear()
        return held

    def copy(self, tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        """A copy on the processor, with the same order of axes in memory; its memory is used again when nothing reads it.

        Args:
            tensor: what to copy, wherever it is.
            dtype: the type of the copy; its own by default.
        """
        dtype = kept_type(tensor, dtype)
        n_bytes = tensor.numel() * dtype.itemsize
        if n_bytes < self._least or not is_dense(tensor):
            return tensor.detach().to(device="cpu", dtype=dtype, copy=True)
        flat = self._lend(n_bytes).view(dtype)
        return flat.as_strided(tensor.shape, tensor.stride()).copy_(tensor.detach())

    def _lend(self, n_bytes: int) -> Tensor:
        with self._lock:
            block = self._take(n_bytes)
            block.run = self._run
        owner = block.memory.numpy()[:n_bytes]
        # Holds the block until the owner is gone. At exit the system takes everything, so nothing is to be done then.
        weakref.finalize(owner, self._ended.append, block).atexit = False
        return torch.from_numpy(owner)

    def _take(self, n_bytes: int) -> _Block:
        """The smallest free block that is large enough, or a new one in the place of those that are not."""
        self._collect()
        sizes = (n_bytes,) if self._free.get(n_bytes) else sorted(size for size, blocks in self._free.items() if blocks)
        for size in sizes:
            if n_bytes <= size <= _MOST_TOO_LARGE * n_bytes:
                return self._free[size].pop()
        missing = n_bytes
        for size in reversed(sizes):
            while missing > 0 and self._free[size]:
                self._free[size].pop()
                missing -= size
        return _Block(torch.empty(n_bytes, dtype=torch.uint8), self._run)

    def _collect(self) -> None:
        while self._ended:
            block = self._ended.popleft()
            self._free.setdefault(block.memory.numel(), []).append(block)


def kept_type(tensor: Tensor, dtype: torch.dtype | None) -> torch.dtype:
    """The type that an activation is kept in: whole numbers, such as those of experts, keep theirs.

    Args:
        tensor: the activation.
        dtype: what is asked for; its own by default.
    """
    return dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype


def is_dense(tensor: Tensor) -> bool:
    """Whether a tensor's elements fill a stretch of memory, each in a place of its own.

    Args:
        tensor: a tensor.
    """
    if tensor.is_contiguous():
        return True
    filled = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride != filled:
            return False
        filled *= size
    return True


CACHE_MEMORY = ReusedMemory()
"""That of all caches of this process."""


class RunCopies:
    """What one run keeps of activations.

    Args:
        device: where to keep them; where they are by default.
        dtype: the type to keep them in; their own by default.
    """

    def __init__(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> None:
        self._device = None if device is None else torch.device(device)
        self._dtype = dtype
        # What was seen last, with the state that it was copied in: seen again unchanged, it is the same activation.
        self._last: tuple[Tensor, int, Tensor] | None = None
        CACHE_MEMORY.begin_run()

    def keep(self, tensor: Tensor) -> Tensor:
        """An activation as it is now: a copy on the processor; on an accelerator or in a gradient's graph the tensor itself.

        The stream that leaves a layer enters the next: two points in a row that show one tensor get one copy.

        Args:
            tensor: the activation.
        """
        to_processor = (self._device or tensor.device).type == "cpu"
        if not to_processor or (tensor.requires_grad and self._device is None and self._dtype is None):
            elsewhere = self._device is not None or self._dtype is not None
            return tensor.detach().to(self._device, kept_type(tensor, self._dtype)) if elsewhere else tensor
        if tensor.is_inference():
            return CACHE_MEMORY.copy(tensor, self._dtype)
        if self._last is not None and self._last[0] is tensor and self._last[1] == tensor._version:
            return self._last[2]
        copy = CACHE_MEMORY.copy(tensor, self._dtype)
        self._last = tensor, tensor._version, copy
        return copy


def release_cache_memory() -> int:
    """Bytes of copies that were held for caches to come and are the system's again, as is what the C library held for them.

    Caches, and whatever was taken from them, are untouched. Memory that is not needed goes back by itself after a few runs.
    """
    held = CACHE_MEMORY.release()
    FREED_MEMORY.release()
    return held
