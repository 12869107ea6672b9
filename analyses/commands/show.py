"""The command that shows what one sentence does."""

import re
from hashlib import sha256
from pathlib import Path, PurePath
from typing import Annotated

import typer

from analyses.commands import options
from analyses.commands.messages import command_line, messages, open_in_browser

_SHOWN_BELOW = Path("reports") / "sentences"


def show(
    source: Annotated[str, typer.Argument(help="Source text with its task prefix.", show_default=False)],
    target: Annotated[str | None, typer.Option(help="Target text; generated if missing.")] = None,
    foil: Annotated[
        str | None,
        typer.Option(help="Another target text, or with --row one piece; by default the model's best other token."),
    ] = None,
    row: Annotated[int | None, typer.Option(min=0, help="Step that is explained, from 0.")] = None,
    words: Annotated[
        str | None,
        typer.Option(help='Your words of the source behind its prefix: "The dog is running ." or ["The", "dog", ...].'),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Page, FILE.html, with its tables in tables/.",
            show_default="one below reports/sentences/",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Write over a page that is there.")] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the page in the browser.")] = False,
    model: options.Model = "bundled",
    dtype: options.DType = "float32",
) -> None:
    """Show what one sentence does, in the terminal and on a page that opens in the browser.

    Tokens, what the model could have said at each step, cross-attention by layer and head, what wrote the chosen token, and when
    the model knew it.

    Examples:
    \b
      interp show "translate English to German: The dog is running."
      interp show "translate English to German: A red car." --foil "Eine rotes Auto." --out reports/car
      interp show "translate English to German: A well-known car." --words "A well - known car ." --row 2
    """
    with messages():
        from rich.console import Console

        given_words = _words(words)
        choices = {"target": target, "foil": foil, "row": row, "words": words, "model": model, "dtype": dtype}
        folder = _place(out, command_line("show", source, choices), source, overwrite)
        import interp
        from analyses.sentence import print_essence, read_sentence, sentence_report
        from interp.report import render

        name = PurePath(model).name
        reading = read_sentence(interp.load(model, dtype=dtype), source, target, foil, row, given_words)
        console = Console()
        print_essence(reading, console if console.is_terminal else Console(width=160))
        again = command_line("show", source, choices | {"model": name})
        for path, content in render(sentence_report(reading, again, name)).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_bytes(content)
        open_in_browser((folder / "index.html").absolute(), only_print=no_open or not console.is_terminal)


def _place(out: Path | None, command: str, source: str, overwrite: bool) -> Path:
    """Where the page goes; without a place of its own, one that the same command finds again.

    Raises:
        InputError: if something is there already.
    """
    from interp.errors import InputError

    if out is None:
        readable = "-".join(re.findall("[a-z0-9]+", source.lower()))[-40:].strip("-") or "sentence"
        return _SHOWN_BELOW / f"{readable}-{sha256(command.encode()).hexdigest()[:8]}"
    if out.exists() and not out.is_dir():
        raise InputError(f"{str(out)!r} is a file; give a folder for the page.")
    if out.is_dir() and any(out.iterdir()) and not overwrite:
        raise InputError(f"{str(out)!r} is not empty; give another --out, or --overwrite.")
    return out


def _words(given: str | None) -> list[str] | None:
    """A JSON list, or words separated by spaces as in files of word links."""
    import json

    from interp.errors import InputError

    if given is None or not given.lstrip().startswith("["):
        return None if given is None else given.split()
    try:
        words = json.loads(given)
    except ValueError as error:
        raise InputError(
            f'--words is no JSON list ({error}); write ["The", "dog"] or words separated by spaces.'
        ) from error
    if not all(isinstance(word, str) for word in words):
        raise InputError(f"--words holds something that is no text: {given}; write every word in double quotes.")
    return list(words)
