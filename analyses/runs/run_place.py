"""Where a run may be written, decided before any work; and what may be removed there: what a run wrote, and nothing else."""

import os
import secrets
import shutil
import stat
from contextlib import suppress
from pathlib import Path

from analyses.runs.manifest import LOG, MANIFEST
from analyses.runs.verify import verify_run
from interp.errors import InputError
from interp.folder_contents import contents_of, listed

MARK = "interp-run-in-progress"
"""The file by which a hidden folder is known as ours; it holds the secret of its shards."""
LOCK, IDENTITY, STATUS, SHARDS, CONTENT, REPLACED, DESK = (
    "lock",
    "identity.txt",
    "status.json",
    "shards",
    "content",
    "replaced",
    "desk",
)
_FILES, _FOLDERS = (LOCK, IDENTITY, STATUS, MARK), (SHARDS, CONTENT, REPLACED, DESK)


def hidden_folder(final: Path) -> Path:
    """Where a run is built before it is shown."""
    return final.with_name(f".{final.name}.partial")


def check_place(final: Path, overwrite: bool) -> None:
    """Refuse a place where a run cannot or must not be written, before any work is done.

    Raises:
        InputError: if something is there and may not be replaced, or the place cannot be written.
    """
    if final.name in ("", "..") or "\0" in str(final):
        raise InputError(
            f"--out is {str(final)!r}, which names no new folder; give --out a name, such as reports/mine."
        )
    there, hidden = kind_of(final), kind_of(hidden_folder(final))
    if there == "link":
        raise InputError(
            f"{str(final)!r} is a link; give --out the folder it leads to, or a folder that does not exist yet."
        )
    if there in ("file", "other"):
        raise InputError(f"{str(final)!r} is a file; give --out a folder that does not exist yet.")
    if hidden is not None:
        check_hidden(final, overwrite)
    if there == "folder":
        _check_replaceable(final, overwrite)
    parent = final.absolute().parent
    while not parent.exists():
        parent = parent.parent
    check_outside_runs(final)
    if not parent.is_dir() or not os.access(parent, os.W_OK | os.X_OK):
        raise InputError(f"Cannot write to {str(parent)!r}; give --out a folder that you may write to.")


def check_outside_runs(place: Path) -> None:
    """Refuse a place within a run, which would no longer be what its manifest says.

    Raises:
        InputError: naming the run.
    """
    folders = place.absolute().parents
    run = next((folder for folder in folders if all((folder / name).is_file() for name in (MANIFEST, LOG))), None)
    if run is not None:
        raise InputError(
            f"{str(place)!r} lies in {str(run)!r}, a run that would no longer be what its manifest says; give --out a place "
            "outside of it."
        )


def kind_of(path: Path) -> str | None:
    """What is at a path: a link, a folder, a file, something else, or nothing."""
    try:
        mode = path.lstat().st_mode
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise InputError(f"Cannot write {str(path)[:100]!r}: {error.strerror}; give another --out.") from error
    kinds = {stat.S_IFLNK: "link", stat.S_IFDIR: "folder", stat.S_IFREG: "file"}
    return kinds.get(stat.S_IFMT(mode), "other")


def _check_replaceable(final: Path, overwrite: bool) -> None:
    """Refuse to replace a folder that holds anything but what a run wrote, byte for byte."""
    try:
        empty = not any(final.iterdir())
    except OSError as error:
        raise InputError(f"The folder {str(final)!r} cannot be read ({error.strerror}); give another --out.") from error
    if empty:
        return
    if not overwrite:
        raise InputError(f"The folder {str(final)!r} already exists; give --overwrite to replace it, or another --out.")
    try:
        verdict = verify_run(final)
    except InputError as error:
        raise InputError(
            f"The folder {str(final)!r} was not written by `interp run` (it has no {MANIFEST} that can be read), so it is not "
            f"replaced; it holds {listed(tuple(sorted(path.name for path in final.iterdir())))}. Give another --out."
        ) from error
    # What is missing is no loss; what is not as the run wrote it may be somebody's work.
    strange = (*verdict.changed, *verdict.added, *verdict.foreign, *(() if verdict.sealed else (MANIFEST,)))
    if strange:
        raise InputError(
            f"--overwrite would remove what `interp run` did not write so: {listed(strange)} in {str(final)!r}. Move it away, "
            "remove the folder yourself, or give another --out."
        )


def check_hidden(final: Path, overwrite: bool) -> None:
    """Refuse a hidden folder that is not ours, or, unless all is made anew, one that is damaged.

    Raises:
        InputError: saying what is in the way and what to do.
    """
    folder = hidden_folder(final)
    strange = strange_in(folder)
    if strange:
        raise InputError(
            f"{str(folder)!r} is in the way and not only ours: {listed(strange)}. Move it away, or give another --out."
        )
    if not overwrite and (damage := damage_of(folder)):
        raise InputError(
            f"What an earlier run left in {str(folder)!r} is damaged ({damage}); start anew with --overwrite."
        )


def strange_in(folder: Path) -> tuple[str, ...]:
    """What makes a folder another's: it is a link or no folder, belongs to somebody else, has no mark, or holds other things."""
    if kind_of(folder) != "folder":
        return ("it is no folder",)
    if hasattr(os, "geteuid") and folder.lstat().st_uid != os.geteuid():
        return ("it belongs to another user",)
    names = {path.name for path in folder.iterdir()}
    if kind_of(folder / MARK) != "file":
        return ("it has no mark of `interp run`",)
    return tuple(sorted(name for name in names if name.removesuffix(".part") not in (*_FILES, *_FOLDERS)))


def damage_of(folder: Path) -> str | None:
    """Why a marked folder cannot be gone on with, or None."""
    for name in (*_FILES, *_FOLDERS):
        kind = kind_of(folder / name)
        wanted = "file" if name in _FILES else "folder"
        if kind not in (None, wanted):
            return f"{name} is no {wanted}"
    try:
        others = contents_of(folder).others
        secret = (folder / MARK).stat().st_size
    except OSError as error:
        return f"{error.strerror}: {error.filename}"
    if others:
        return f"links, pipes or devices: {listed(tuple(sorted(others)))}"
    return None if secret == 64 else "its mark is cut short"


def remove_ours(folder: Path) -> None:
    """Remove a marked hidden folder: what runs put there, the mark last, and the folder if nothing else is in it.

    Before the mark goes, the folder gets another name: one that lost its mark to a kill would be in the way of the next run.
    """
    for name in (*_FOLDERS, *_FILES):
        if name == MARK and folder.is_dir() and {path.name for path in folder.iterdir()} == {MARK}:
            with suppress(OSError):
                folder = folder.rename(folder.with_name(f".interp-{secrets.token_hex(4)}"))
        for path in (folder / name, folder / f"{name}.part"):
            if kind_of(path) == "folder":
                shutil.rmtree(path, ignore_errors=True)
            else:
                with suppress(OSError):
                    path.unlink()
    with suppress(OSError):
        folder.rmdir()
