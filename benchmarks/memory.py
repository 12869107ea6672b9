"""Peak memory of a full cache, against the bytes it keeps plus what the forward pass needs by itself."""

import ctypes
import gc
from collections.abc import Callable
from itertools import accumulate
from pathlib import Path
from typing import Protocol

import torch

from interp.model.hooked_model import HookedEncoderDecoder
from interp.model.reused_memory import release_cache_memory


class Workload(Protocol):
    """A model and its inputs."""

    @property
    def model(self) -> HookedEncoderDecoder:
        """The hooked model."""

    @property
    def inputs(self) -> dict[str, torch.Tensor]:
        """The fields of its forward pass."""


def peak_ratio(work: Workload, device: str) -> float:
    """Peak bytes of `run_with_cache` over (bytes kept + peak bytes of the forward pass alone); the bar is 1.15.

    On a processor the peak is the high-water mark of resident memory (Linux only), so it includes the allocator's rounding.
    """
    release_cache_memory()  # what is held already would not show
    peak = cuda_peak if device == "cuda" else resident_peak
    with torch.no_grad():
        forward = peak(lambda: work.model(work.inputs))
        bytes_kept = work.model.run_with_cache(work.inputs)[1].n_bytes()
        release_cache_memory()
        cached = peak(lambda: work.model.run_with_cache(work.inputs))
    return cached / (bytes_kept + forward)


def cuda_peak(run: Callable[[], object]) -> int:
    """Peak bytes on the accelerator while something runs, beyond what was there before."""
    gc.collect()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    run()
    return torch.cuda.max_memory_allocated() - before


def resident_peak(run: Callable[[], object]) -> int:
    """Peak resident bytes while something runs, beyond what was there before."""
    gc.collect()
    # Memory that was freed but not given back would be used again without showing.
    ctypes.CDLL("libc.so.6").malloc_trim(0)
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("VmHWM")
    run()
    return _status("VmHWM") - before


def tensor_peak(run: Callable[[], object]) -> int:
    """Most bytes of tensors alive at once on the processor while something runs, of those that it made: the same every time.

    Resident memory also has what the system takes away and gives back, which on a busy machine is as much as a small model.
    """
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    results = profiler.profiler
    assert results is not None
    events = [event for event in results.kineto_results.events() if event.name() == "[memory]"]
    return max(accumulate(int(event.nbytes()) for event in sorted(events, key=lambda event: event.start_ns())))


def _status(field: str) -> int:
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) * 1024
    raise RuntimeError(f"/proc/self/status has no {field}")
