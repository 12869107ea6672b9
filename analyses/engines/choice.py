"""The engine that a name stands for."""

from typing import Literal

from analyses.core.work import Engine
from interp.errors import InputError

EngineName = Literal["local", "torchrun", "ray"]


def start(name: EngineName | None, workers: int | None = None, address: str | None = None) -> Engine | None:
    """The engine of a name, or None without one: then a run is made by one process, and a second one where that pays.

    Args:
        name: `local` for processes of this machine, `torchrun` for its ranks, `ray` for the actors of a cluster.
        workers: how many processes; by default as many as there are cores.
        address: of a Ray cluster.

    Raises:
        InputError: if choices do not go together, or what the engine needs is not there.
    """
    if name is None and (workers is not None or address is not None):
        raise InputError("--workers and --address are read by an engine; give one of --engine local, torchrun, ray.")
    if name != "ray" and address is not None:
        raise InputError(f"--address is that of a Ray cluster; the engine {name!r} has none.")
    if name == "local":
        from analyses.engines.local import LocalEngine

        return LocalEngine(workers)
    if name == "torchrun":
        from analyses.engines.ranks import TorchrunEngine

        return TorchrunEngine(workers)
    if name == "ray":
        from analyses.engines.ray_cluster import RayEngine

        return RayEngine(workers, address)
    return None
