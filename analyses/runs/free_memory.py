"""How much memory there is: what refuses a run or chooses the size of its batches, and never what a number hangs on."""

from pathlib import Path

import torch

from interp.model.placement import Placement, n_bytes


def memory_of(placement: Placement) -> dict[int | str, int]:
    """Device -> bytes that a placement may use of it: its limits, or what is free.

    Args:
        placement: the placement; without a device map, one device is meant.
    """
    if placement.max_memory:
        return {device: n_bytes(size) for device, size in placement.max_memory.items()}
    free: dict[int | str, int] = {
        number: torch.cuda.mem_get_info(number)[0] for number in range(torch.cuda.device_count())
    }
    if placement.device_map is None and free:
        return {0: free[0]}
    return free | {"cpu": free_memory()}


def free_memory() -> int:
    """Bytes of the processor's memory that can be had; 1 TiB where the system does not tell."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return 1 << 40
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable")), 1 << 40)
