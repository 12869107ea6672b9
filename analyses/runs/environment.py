"""What a bug report needs: versions, devices and the bundled model."""

import platform

import torch

from analyses.runs.manifest import package_version, versions
from interp.model.checkpoints import find_checkpoint


def describe() -> dict[str, str]:
    """Facts about this installation, name -> value, in reading order."""
    checkpoint = find_checkpoint()
    size = sum(path.stat().st_size for path in checkpoint.files().values()) / 2**20
    accelerators = {"cuda": torch.cuda, "mps": torch.backends.mps}
    devices = ["cpu", *(name for name, backend in accelerators.items() if backend.is_available())]
    return {
        "package": package_version(),
        **versions(),
        "platform": platform.platform(),
        "devices": ", ".join(devices),
        "threads": str(torch.get_num_threads()),
        "bundled model": f"{len(checkpoint.files())} files, {size:.1f} MiB",
    }
