"""Memory that is not needed between two stages, given back to the system.

The C library keeps what tensors and arrays freed for the next ones, in pieces that the next ones often do not fit into, so that a
run on a larger model would come to hold twice what it needs. And weights that were mapped from a file need not lie in memory
while an untrained twin of the model is observed: they are read again when they are asked for.
"""

import ctypes
import gc
import mmap
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

from torch import Tensor

from interp.model.heap import glibc, trim_heap
from interp.model.hooked_model import HookedEncoderDecoder

Made = TypeVar("Made")

_LARGE = 2**26
_PAGE_OUT = 21
"""MADV_PAGEOUT of Linux, which Python does not name: whatever happens, no content is lost."""


def free_model(held: int) -> None:
    """Frees a model that is done with, which hangs in a circle with its hooks, and gives its memory back.

    Args:
        held: bytes of its weights; for a small one, looking for it among all objects, a quarter of a second, does not pay.
    """
    if held > _LARGE:
        gc.collect()
        trim_heap()


def use_once(make: Callable[[], HookedEncoderDecoder], use: Callable[[HookedEncoderDecoder], Made]) -> Made:
    """What is made with a model of which nothing is left in memory afterwards.

    Args:
        make: gives the model; nobody else may hold it.
        use: makes something with it.
    """
    model = make()
    held = model.hf.get_memory_footprint()
    made = use(model)
    del model
    free_model(held)
    return made


@contextmanager
def trimming() -> Iterator[None]:
    """What is freed inside is given back at the end."""
    yield
    trim_heap()


def page_out(tensors: Iterable[Tensor]) -> None:
    """Leaves it to the system to drop from memory what it can read from a file again; elsewhere nothing happens.

    Args:
        tensors: such as weights; those that lie in no file, or on an accelerator, stay where they are.
    """
    library = glibc()
    if library is None:
        return
    files = _mapped_files()
    for tensor in tensors:
        if tensor.device.type == "cpu":
            storage = tensor.untyped_storage()
            start, stop = storage.data_ptr(), storage.data_ptr() + storage.nbytes()
            start = -(-start // mmap.PAGESIZE) * mmap.PAGESIZE
            if start < stop and any(file.start <= start and stop <= file.stop for file in files):
                library.madvise(ctypes.c_void_p(start), ctypes.c_size_t(stop - start), _PAGE_OUT)


def _mapped_files() -> list[range]:
    """The addresses at which files lie in memory."""
    try:
        lines = Path("/proc/self/maps").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    fields = (line.split(maxsplit=5) for line in lines)
    places = (place.split("-") for place, _, _, _, inode, *_ in fields if inode != "0")
    return [range(int(start, 16), int(stop, 16)) for start, stop in places]
