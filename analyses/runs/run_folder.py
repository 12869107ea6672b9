"""The folder of a run: built out of sight, shown when it is whole.

A run is written into a hidden folder beside its place and renamed at the end, so a folder that can be seen is complete.
Shards of observations are kept there while the run is going on; a run that was interrupted finds them again if, and only
if, everything that decides the numbers is the same. One run at a time may build one folder.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from analyses.runs.manifest import file_hash
from interp.errors import InputError

_IDENTITY = "identity.txt"
_REPLACED = "replaced"
_MARK = ".sha256"
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Staging:
    """The hidden folder in which a run is built.

    Attributes:
        final: where the run will be seen.
        folder: where it is built.
    """

    final: Path
    folder: Path

    def _shard(self, name: str) -> Path:
        return self.folder / "shards" / f"{name}.safetensors"

    def __contains__(self, name: str, /) -> bool:
        """Whether a shard of this run, or of an earlier one of the same identity, is there and as it was written."""
        path = self._shard(name)
        mark = path.with_suffix(_MARK)
        if path.is_file() and mark.is_file() and mark.read_text(encoding="utf-8") == file_hash(path):
            return True
        # Damaged on disk: computing it again costs time, believing it costs the result.
        path.unlink(missing_ok=True)
        mark.unlink(missing_ok=True)
        return False

    def __getitem__(self, name: str, /) -> Mapping[str, np.ndarray]:
        """The arrays of a shard.

        Raises:
            KeyError: if it is not there whole.
        """
        if name not in self:
            raise KeyError(f"the shard {name} was lost while the run was going on")
        return load_arrays(self._shard(name).read_bytes())

    def __setitem__(self, name: str, arrays: Mapping[str, np.ndarray], /) -> None:
        """Keep a shard; it appears whole or not at all."""
        path = self._shard(name)
        path.parent.mkdir(exist_ok=True)
        write_whole(path, save_arrays({key: np.ascontiguousarray(value) for key, value in arrays.items()}))
        write_whole(path.with_suffix(_MARK), file_hash(path).encode())

    def publish(self, files: Mapping[str, bytes], overwrite: bool) -> None:
        """Write the run's files, by relative path, and show the folder; one that is already there may be replaced."""
        content = self.folder / "content"
        shutil.rmtree(content, ignore_errors=True)
        for name, data in files.items():
            path = content / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        if overwrite and self.final.exists():
            shutil.rmtree(self.folder / _REPLACED, ignore_errors=True)
            self.final.rename(self.folder / _REPLACED)
        content.rename(self.final)
        shutil.rmtree(self.folder, ignore_errors=True)


def write_whole(path: Path, data: bytes) -> None:
    """Write a file beside its place and rename it, so that a reader never sees half of it."""
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def check_place(final: Path, overwrite: bool) -> None:
    """Refuse a place where a run cannot or must not be written, before any work is done.

    Raises:
        InputError: if something is there and may not be replaced, or the place cannot be written.
    """
    if final.exists() and not final.is_dir():
        raise InputError(f"{str(final)!r} is a file; give --out a folder that does not exist yet.")
    if final.is_dir() and not overwrite and any(final.iterdir()):
        raise InputError(f"The folder {str(final)!r} already exists; give --overwrite to replace it, or another --out.")
    if final.is_dir() and any(final.iterdir()) and not (final / "manifest.json").is_file():
        raise InputError(
            f"The folder {str(final)!r} was not written by `interp run` (it has no manifest.json), so it is not replaced; "
            "give another --out."
        )
    parent = final.absolute().parent
    while not parent.exists():
        parent = parent.parent
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"Cannot write to {str(parent)!r}; give --out a folder that you may write to.")


@contextmanager
def staging(final: Path, identity: str, overwrite: bool) -> Iterator[Staging]:
    """The place in which a run is built; removed on errors of the input, kept for a resume on everything else.

    Args:
        final: the folder to be.
        identity: everything that decides the numbers; shards of another identity are thrown away.
        overwrite: whether a folder that is already there may be replaced.

    Raises:
        InputError: if the place cannot be written, or another run is being written there.
    """
    check_place(final, overwrite)
    folder = final.with_name(f".{final.name}.partial")
    made = [parent for parent in folder.parents if not parent.exists()]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = FileLock(folder / "lock").acquire(timeout=0)
        except Timeout as error:
            raise InputError(
                f"Another run is being written to {str(final)!r}; wait for it or give another --out."
            ) from error
        with lock:
            _restore(folder, final, overwrite)
            _claim(folder, identity)
            try:
                yield Staging(final, folder)
            except InputError:
                shutil.rmtree(folder, ignore_errors=True)
                for parent in made:
                    parent.rmdir()
                raise
    except OSError as error:
        if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENAMETOOLONG):
            raise InputError(f"Cannot write {str(final)!r}: {error.strerror}; give another --out.") from error
        if error.errno in _NO_SPACE:
            error.add_note("make room and give the same command again: it goes on where it stopped")
        raise


def _restore(folder: Path, final: Path, overwrite: bool) -> None:
    """Bring back a run that was being replaced when the replacing one was killed between two renames."""
    replaced = folder / _REPLACED
    if replaced.is_dir() and not final.exists():
        replaced.rename(final)
        check_place(final, overwrite)


def _claim(folder: Path, identity: str) -> None:
    """Throw away what an interrupted run of another identity left."""
    marker = folder / _IDENTITY
    if marker.is_file() and marker.read_text(encoding="utf-8") == identity:
        return
    shutil.rmtree(folder / "shards", ignore_errors=True)
    write_whole(marker, identity.encode())
