"""Runs on disk: where they go by default, which there are, finished or not, and where the report of one is."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from analyses.runs.manifest import LOG, MANIFEST
from analyses.runs.run_place import LOCK, hidden_folder, kind_of, strange_in
from analyses.runs.run_status import read_status
from interp.errors import InputError, did_you_mean
from interp.input_files import parse_json, read_regular
from interp.report.numbers import counted

DEFAULT_FOLDER = Path("reports")
"""Where runs go that were given no place."""

REPORT = "index.html"


def runs_below(folder: Path) -> tuple[Path, ...]:
    """The finished runs directly below a folder, the newest first."""
    found = [path.parent for path in folder.glob("[!.]*/manifest.json") if (path.parent / REPORT).is_file()]
    return tuple(sorted(found, key=lambda run: (-(run / REPORT).stat().st_mtime_ns, run.name)))


def report_of(run: Path | None) -> Path:
    """The page of a run, as an absolute path.

    Args:
        run: its folder, its `index.html`, or None for the newest run below `reports/`.

    Raises:
        InputError: if there is no such run.
    """
    if run is None:
        there = runs_below(DEFAULT_FOLDER)
        if not there:
            raise InputError(f"There is no finished run below {str(DEFAULT_FOLDER)!r}; make one with `interp run`.")
        run = there[0]
    folder = run.parent if run.name == REPORT else run
    if not (folder / REPORT).is_file():
        known = [str(path) for path in runs_below(folder.parent)]
        raise InputError(
            f"{str(run)!r} has no {REPORT}{did_you_mean(str(run), known)}; give the folder that `interp run` wrote."
        )
    return (folder / REPORT).absolute()


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What is known of a run without verifying it.

    Attributes:
        folder: where it is, or is to be.
        status: `finished`, `running`, `killed`, `interrupted` or `failed: ...`.
        when: it was last heard of, UTC.
        what: the prompts and the digest of one that is finished; else how far it came.
    """

    folder: Path
    status: str
    when: str
    what: str


def run_records(folder: Path) -> tuple[RunRecord, ...]:
    """The runs and comparisons directly below a folder, those that did not finish too, the newest first.

    Raises:
        InputError: if there is no such folder.
    """
    if not folder.is_dir():
        raise InputError(
            f"There is no folder {str(folder)!r}; give one that holds runs, such as {str(DEFAULT_FOLDER)!r}."
        )
    hidden = [path for path in folder.glob(".*.partial") if not strange_in(path)]
    found = [_finished(run) for run in runs_below(folder)] + [_unfinished(path) for path in hidden]
    return tuple(sorted(found, key=lambda record: record.when, reverse=True))


def _finished(run: Path) -> RunRecord:
    manifest, log = (_json(run / name) for name in (MANIFEST, LOG))
    prompts = manifest.get("prompts")
    count = f"{counted(prompts['count'], 'prompt')}, " if isinstance(prompts, dict) and "count" in prompts else ""
    when = log.get("finished") or time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime((run / REPORT).stat().st_mtime))
    return RunRecord(run, "finished", str(when), f"{count}digest {str(manifest.get('digest'))[:8]}")


def _unfinished(hidden: Path) -> RunRecord:
    status = read_status(hidden)
    final = hidden.with_name(hidden.name.removeprefix(".").removesuffix(".partial"))
    assert hidden_folder(final) == hidden
    ended = "running" if _held(hidden) else status.get("ended") or "killed"
    done = f"{status.get('doing', 'unknown')}, {status.get('done', 0)} of {status.get('total', 0)}"
    return RunRecord(final, str(ended), str(status.get("at", "")), done)


def _held(hidden: Path) -> bool:
    if kind_of(hidden / LOCK) != "file":
        return False
    try:
        with FileLock(hidden / LOCK, timeout=0):
            return False
    except (Timeout, OSError):
        return True


def _json(path: Path) -> dict[str, Any]:
    try:
        found = parse_json(read_regular(path, follow_links=False))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}
