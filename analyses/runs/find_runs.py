"""Finished runs on disk: where they go by default, which there are, and where the report of one is."""

from pathlib import Path

from interp.errors import InputError, did_you_mean

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
