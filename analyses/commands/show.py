"""The command that shows what one sentence does."""

import re
from hashlib import sha256
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from analyses.commands import options
from analyses.commands.messages import check_output, messages, open_in_browser

if TYPE_CHECKING:
    from analyses.sentence import SentenceReading

_SHOWN_BELOW = Path("reports") / "sentences"


def show(
    source: Annotated[str | None, typer.Argument(help="Source text with its task prefix.", show_default=False)] = None,
    target: Annotated[str | None, typer.Option(help="Target text; generated if missing.")] = None,
    prefix: options.Prefix = None,
    foil: Annotated[
        str | None,
        typer.Option(help="Another target text, or with --row one piece; by default the model's best other token."),
    ] = None,
    row: Annotated[int | None, typer.Option(min=0, help="Step that is explained, from 0.")] = None,
    words: Annotated[
        str | None,
        typer.Option(help='Your words of the source behind its prefix: "The dog is running ." or ["The", "dog", ...].'),
    ] = None,
    audio: options.Audio = None,
    out: Annotated[
        Path | None,
        typer.Option(
            "--out",
            "-o",
            help="Page, FILE.html, with its tables in tables/.",
            show_default="one below reports/sentences/",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it is there.")] = False,
    no_open: Annotated[bool, typer.Option("--no-open", help="Do not open the page in the browser.")] = False,
    model: options.Model = "bundled",
    dtype: options.DType = "float32",
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
) -> None:
    """Show what one sentence does, in the terminal and on a page that opens in the browser.

    Tokens, what the model could have said at each step, cross-attention by layer and head, what wrote the chosen token, and when
    the model knew it.

    Examples:
    \b
      interp show "translate English to German: The dog is running."
      interp show "translate English to German: A red car." --foil "Eine rotes Auto." --out car.html
      interp show "translate English to German: A well-known car." --words "A well - known car ." --row 2
      interp show --audio speech.wav --model ./whisper --target-lang en
    """
    with messages():
        from rich.console import Console

        check_output(out, ".html", overwrite)
        text, given_words = options.one_source(source, audio, words), _words(words)
        import interp
        from analyses.sentence import print_essence, read_sentence

        name = PurePath(model).name
        hooked = interp.load(model, None, "auto", dtype, max_length, source_lang, target_lang)
        reading = read_sentence(hooked, text, target, foil, row, given_words, name, prefix, audio)
        console = Console()
        print_essence(reading, console if console.is_terminal else Console(width=160))
        choices = (audio or source, target, prefix, foil, row, words, model, dtype, source_lang, target_lang)
        page = _write_page(reading, text or reading.prompt.title, out, choices)
        open_in_browser(page, reading.address, only_print=no_open or not console.is_terminal)


def _write_page(reading: "SentenceReading", text: str, out: Path | None, choices: tuple[object, ...]) -> Path:
    """The page of a sentence, written where it was asked for, or at a place of its own for every choice."""
    from interp.report.explorer import explorer_page

    page = out or _SHOWN_BELOW / f"{_slug(text)}-{sha256(repr(choices).encode()).hexdigest()[:8]}.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_bytes(explorer_page(reading.explorer, f"{text} \u2192 {reading.target}"))
    return page


def _slug(source: str) -> str:
    return "-".join(re.findall("[a-z0-9]+", source.lower()))[-40:].strip("-") or "sentence"


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
