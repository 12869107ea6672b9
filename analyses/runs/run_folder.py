"""The folder of a run: built out of sight, shown when it is whole.

A run is written into a hidden folder beside its place and renamed at the end, so a folder that can be seen is complete.
Shards of observations are kept there while the run is going on; a run that was interrupted finds them again if, and only
if, everything that decides the numbers is the same. One run at a time may build one folder.

Every shard carries a code (HMAC-SHA256) under a key made of the run's identity and of a secret that is drawn when the hidden
folder is made: a shard that was edited, renamed or brought from another run is computed again.
"""

import errno
import hmac
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import numpy as np
from filelock import FileLock, Timeout
from safetensors.numpy import load as load_arrays
from safetensors.numpy import save as save_arrays

from analyses.runs.run_place import (
    CONTENT,
    DESK,
    IDENTITY,
    LOCK,
    MARK,
    REPLACED,
    SHARDS,
    check_place,
    damage_of,
    hidden_folder,
    kind_of,
    remove_ours,
)
from analyses.runs.run_status import Status
from interp.errors import InputError
from interp.input_files import read_regular
from interp.output_files import write_whole

_CODE = ".sha256"
_MOST_SHARD_BYTES = 2**36
_REFUSED = (errno.EACCES, errno.EROFS, errno.EPERM, errno.ENAMETOOLONG)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


@dataclass(frozen=True, slots=True)
class Staging:
    """The hidden folder in which a run is built.

    Attributes:
        final: where the run will be seen.
        folder: where it is built.
        key: of the codes of its shards.
        status: what is noted of its progress.
        part: what the names of shards begin with; not empty where several runs share a folder.
    """

    final: Path
    folder: Path
    key: bytes
    status: Status
    part: str = ""

    def for_part(self, part: str) -> "Staging":
        """The same folder for one of several runs."""
        return replace(self, part=f"{part}-")

    def desk(self) -> Path:
        """An empty folder for what is needed while the run is built, gone with it."""
        place = self.folder / DESK
        shutil.rmtree(place, ignore_errors=True)
        place.mkdir()
        return place

    def _shard(self, name: str) -> Path:
        return self.folder / SHARDS / f"{self.part}{name}.safetensors"

    def _code(self, path: Path, content: bytes) -> str:
        return hmac.new(self.key, path.name.encode() + b"\0" + content, "sha256").hexdigest()

    def _read(self, name: str) -> bytes | None:
        """A shard of this run as it was written, or None."""
        path = self._shard(name)
        code = path.with_suffix(_CODE)
        try:
            content = read_regular(path, _MOST_SHARD_BYTES, follow_links=False)
            if hmac.compare_digest(read_regular(code, 64, follow_links=False), self._code(path, content).encode()):
                return content
        except OSError:
            pass
        # Damaged on disk: computing it again costs time, believing it costs the result.
        path.unlink(missing_ok=True)
        code.unlink(missing_ok=True)
        return None

    def __contains__(self, name: str, /) -> bool:
        """Whether a shard of this run, or of an earlier one of the same identity, is there and as it was written."""
        return self._read(name) is not None

    def __getitem__(self, name: str, /) -> Mapping[str, np.ndarray]:
        """The arrays of a shard.

        Raises:
            KeyError: if it is not there whole.
        """
        content = self._read(name)
        if content is None:
            raise KeyError(f"the shard {name} was lost while the run was going on")
        return load_arrays(content)

    def __setitem__(self, name: str, arrays: Mapping[str, np.ndarray], /) -> None:
        """Keep a shard; it appears whole or not at all."""
        path = self._shard(name)
        path.parent.mkdir(exist_ok=True)
        # Not `ascontiguousarray`, which makes a row of a single number.
        content = save_arrays({key: np.asarray(value, order="C") for key, value in arrays.items()})
        write_whole(path, content)
        write_whole(path.with_suffix(_CODE), self._code(path, content).encode())

    def publish(self, files: Mapping[str, bytes], overwrite: bool) -> None:
        """Write the run's files, by relative path, and show the folder; one that is already there may be replaced.

        All is on the disk before it is shown, so that a power cut leaves a whole run or none.

        Raises:
            FileExistsError: if what is there by now may not be replaced.
        """
        content = self.folder / CONTENT
        shutil.rmtree(content, ignore_errors=True)
        for name, data in files.items():
            path = content / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        for folder in {
            content,
            *(parent for name in files for parent in (content / name).parents if content in parent.parents),
        }:
            _flush(folder)
        for name in files:
            _flush(content / name)
        try:
            check_place(self.final, overwrite)
        except InputError as error:  # it was a place when the run began; what was computed is kept
            raise FileExistsError(errno.EEXIST, str(error)) from error
        if overwrite and self.final.exists():
            shutil.rmtree(self.folder / REPLACED, ignore_errors=True)
            self.final.rename(self.folder / REPLACED)
        content.rename(self.final)
        _flush(self.final.absolute().parent)
        remove_ours(self.folder)


def _flush(path: Path) -> None:
    """Have a file or folder written to the disk, where the system can be asked for it."""
    with suppress(OSError):
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


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
    folder = hidden_folder(final)
    made = [parent for parent in folder.parents if not parent.exists()]
    try:
        if kind_of(folder) == "folder" and damage_of(folder):
            _restore(folder, final)
            remove_ours(folder)
        with _hidden(folder, final) as secret:
            if _restore(folder, final):
                check_place(final, overwrite)
            _claim(folder, identity)
            store = Staging(final, folder, sha256(secret + identity.encode()).digest(), Status(folder))
            try:
                with store.status.following():
                    yield store
            except InputError:
                remove_ours(folder)
                raise
        if os.name == "nt" and final.exists():  # where a lock that is held cannot be removed
            remove_ours(folder)
    except InputError:
        for parent in made:
            with suppress(OSError):
                parent.rmdir()
        raise
    except OSError as error:
        if error.errno in _REFUSED:
            raise InputError(f"Cannot write {str(final)!r}: {error.strerror}; give another --out.") from error
        if error.errno in _NO_SPACE:
            error.add_note("make room and give the same command again: it goes on where it stopped")
        raise


@contextmanager
def _hidden(folder: Path, final: Path) -> Iterator[bytes]:
    """The hidden folder, made with its mark if it is not there, and held; gives its secret."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        if kind_of(folder) is None:
            new = Path(tempfile.mkdtemp(prefix=".interp-", dir=folder.parent))
            write_whole(new / MARK, secrets.token_hex(32).encode())
            try:
                new.rename(folder)
            except OSError:  # another run was first
                remove_ours(new)
        lock = FileLock(folder / LOCK).acquire(timeout=0)
    except Timeout as error:
        raise InputError(
            f"Another run is being written to {str(final)!r}; wait for it or give another --out."
        ) from error
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise
        raise InputError(f"Cannot write {str(final)!r}: {error.strerror}; give another --out.") from error
    with lock:
        yield read_regular(folder / MARK, 64, follow_links=False)


def _restore(folder: Path, final: Path) -> bool:
    """Bring back a run that was being replaced when the replacing one was killed between two renames."""
    lost = kind_of(folder / REPLACED) == "folder" and kind_of(final) is None
    if lost:
        (folder / REPLACED).rename(final)
    return lost


def _claim(folder: Path, identity: str) -> None:
    """Throw away what an interrupted run of another identity left."""
    marker = folder / IDENTITY
    with suppress(OSError):
        if read_regular(marker, follow_links=False) == identity.encode():
            return
    shutil.rmtree(folder / SHARDS, ignore_errors=True)
    write_whole(marker, identity.encode())
