"""What the command line says: results on standard output, progress and what went wrong on standard error."""

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from interp.input_files import read_regular
from interp.report.visible_text import shorten, visible, visible_lines

if TYPE_CHECKING:
    import pandas as pd

FAILED, BAD_INPUT, INTERRUPTED = 1, 2, 130
_LONGEST = 2_000
"""Characters of a message, which may quote what it is about."""


def say(text: object, err: bool = False, nl: bool = True) -> None:
    """Print a text; characters that a terminal would obey (escapes, direction, half letters) are spelled out."""
    typer.echo(visible_lines(str(text)), err=err, nl=nl)


@contextmanager
def messages(debug: bool | None = None) -> Iterator[None]:
    """Turn what went wrong into one sentence and an exit code: 1 failure, 2 the input was at fault, 130 interrupted.

    Args:
        debug: whether `--debug` was given; None for commands that have no such option.
    """
    try:
        yield
    except BrokenPipeError:
        # Whoever reads has enough (`| head`); Python must not complain when it flushes what is left.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise typer.Exit from None
    except typer.Exit:  # the ranks of a command have said what there is to say
        raise
    except KeyboardInterrupt:
        say("Interrupted. The same command goes on where it stopped.", err=True)
        raise typer.Exit(INTERRUPTED) from None
    except Exception as error:  # the one place where any failure becomes an exit code
        if debug:
            raise
        raise typer.Exit(_explain(error, "" if debug is None else " (--debug shows where)")) from None


def _explain(error: Exception, hint: str) -> int:
    from interp.errors import InputError

    text = shorten(" ".join(str(error).split()), _LONGEST)
    if isinstance(error, InputError):
        say(f"Error: {text}", err=True)
        return BAD_INPUT
    notes = "".join(f" ({note})" for note in getattr(error, "__notes__", ()))
    say(f"Failed: {type(error).__name__}: {text or 'no message'}{notes}{hint}", err=True)
    return FAILED


@contextmanager
def progress_bar(quiet: bool) -> Iterator[Callable[[str, int, int], None]]:
    """A progress bar, or lines from time to time when standard error is no terminal; silent when asked."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True)
    if not quiet and not console.is_terminal:
        yield _progress_lines()
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=console, transient=True, disable=quiet) as bar:
        task = bar.add_task("starting", total=None)

        yield lambda what, done, total: bar.update(task, description=visible(what), completed=done, total=total)


def _progress_lines() -> Callable[[str, int, int], None]:
    """A line for a new step, and for an old one every half minute; none before ten seconds, within which most mistakes show."""
    started = time.monotonic()
    told, step = started - 20, ""

    def tell(what: str, done: int, total: int) -> None:
        nonlocal told, step
        now = time.monotonic()
        if now - started > 10 and (what != step or now - told > 30):
            told, step = now, what
            say(f"{now - started:5.0f} s  {what}, {done} of {total}", err=True)

    return tell


def print_pairs(rows: list[tuple[str, str]]) -> None:
    """Print names and descriptions in two columns."""
    width = max(len(name) for name, _ in rows)
    for name, description in rows:
        say(f"{name:<{width}}  {description}")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table for people: plain when standard output is no terminal."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(title=Text(visible(title)), title_justify="left")
    kept = [tuple("" if cell != cell else cell for cell in row) for row in rows]  # what is undefined stays empty
    for index, name in enumerate(columns):
        numbers = all(isinstance(row[index], int | float) for row in kept)
        table.add_column(visible(name), justify="right" if numbers else "left", overflow="fold")
    for row in kept:
        # As text, so that brackets in tokens are not read as styles.
        table.add_row(*(Text(f"{cell:.3f}" if isinstance(cell, float) else visible(str(cell))) for cell in row))
    console = Console()
    Console(width=console.width if console.is_terminal else 160).print(table)


def print_frame(title: str, frame: "pd.DataFrame") -> None:
    """Print a frame as a table."""
    print_table(title, list(map(str, frame.columns)), frame.itertuples(index=False))


def read_text(path: Path, what: str) -> str:
    """The text of a file that the user named.

    Raises:
        InputError: if it cannot be read.
    """
    from interp.errors import InputError, reason

    try:
        return read_regular(path).decode("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The {what} {str(path)!r} cannot be read ({reason(error)}); give UTF-8 text.") from error


def check_output(out: Path | None, ending: str, overwrite: bool) -> None:
    """Refuse a place for a file before any work is done.

    Raises:
        InputError: if it has another ending, is in a run or in no folder that may be written to, or is there already.
    """
    from analyses.runs.run_place import check_outside_runs
    from interp.errors import InputError

    if out is None:
        return
    if out.suffix != ending:
        raise InputError(f"--out is {str(out)!r}; give the name of a {ending} file.")
    if not out.parent.is_dir():
        raise InputError(f"There is no folder {str(out.parent)!r}; make it, or give another --out.")
    if not os.access(out.parent, os.W_OK | os.X_OK):
        raise InputError(f"Cannot write to {str(out.parent)!r}; give --out in a folder that you may write to.")
    check_outside_runs(out)
    if out.is_symlink():
        raise InputError(f"{str(out)!r} is a link; give --out the file it leads to, or one that does not exist yet.")
    if out.exists() and not overwrite:
        raise InputError(f"{str(out)!r} exists; give another --out, or --overwrite.")


def open_in_browser(page: Path, state: str = "", only_print: bool = False) -> None:
    """Print the path of a page and open it in a state of its address; say on standard error where there is no browser."""
    import webbrowser

    say(page)
    try:
        shown = only_print or webbrowser.open(page.absolute().as_uri() + state)
    except webbrowser.Error:
        shown = False
    if not shown:
        say("No browser was found here; open the file above in one.", err=True)
