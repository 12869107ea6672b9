"""The command that explains a prediction by what wrote it."""

import shlex
from collections.abc import Mapping
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Annotated

import typer

from analyses.commands import options
from analyses.commands.messages import check_output, messages, print_frame, say
from analyses.commands.pages import page_slug, write_page

if TYPE_CHECKING:
    from analyses.logit_attribution.attribute import Explanation


_SOURCES = (
    "Ask other methods for the source words: contributions, attention, norms, alti, chefer, attnlrp, attnlrp-held, saliency, "
    "input-x-gradient, integrated-gradients, occlusion, several with commas, or `all`."
)
_JUDGE = "Judge the methods of --sources (all by default) on --prompts, against random orders and an untrained twin."
_OUT = (
    "Also write a page, FILE.html: of the text's explanation, or with --judge the curves of all methods; tables and figures "
    "beside it."
)


def attribute(
    source: Annotated[str | None, typer.Argument(help="Source text with its task prefix.", show_default=False)] = None,
    target: Annotated[str | None, typer.Option(help="Target text; generated if missing.")] = None,
    audio: options.Audio = None,
    prefix: options.Prefix = None,
    foil: Annotated[
        str | None,
        typer.Option(
            help="Another target text, or with --position one piece; by default the model's best other token."
        ),
    ] = None,
    position: Annotated[int | None, typer.Option(min=0, help="Decoder row, from 0.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Components shown.")] = 12,
    sources: Annotated[str | None, typer.Option(help=_SOURCES, show_default=False)] = None,
    judge: Annotated[bool, typer.Option("--judge", help=_JUDGE)] = False,
    prompts: options.Prompts = "translation",
    limit: options.Limit = None,
    seed: options.Seed = 0,
    out: Annotated[Path | None, typer.Option(help=_OUT)] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the page if it is there.")] = False,
    model: options.Model = "bundled",
    dtype: options.DType = "float32",
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
) -> None:
    """Show what wrote a predicted token: decoder components, then source tokens through cross-attention. Exact.

    With --sources, which source tokens other methods name; with --judge, how good the methods are.

    Examples:
    \b
      interp attribute "translate English to German: The dog is running." --out dog.html
      interp attribute "translate English to German: A red car." --target "Ein rotes Auto." --foil "Eine rotes Auto."
      interp attribute "translate English to German: The dog is running." --sources all
      interp attribute --judge --sources contributions,alti,attnlrp-held --out judge.html
      interp attribute --audio speech.wav --model ./whisper --target-lang en --position 5
    """
    with messages():
        import interp
        from analyses.commands.source_methods import judge_sources, methods_asked, print_sources
        from analyses.logit_attribution.attribute import explain

        check_output(out, ".html", overwrite)
        methods = methods_asked(source, sources, judge, out, audio)
        hooked = interp.load(model, None, "auto", dtype, max_length, source_lang, target_lang)
        if judge:
            judge_sources(hooked, prompts, prefix, limit, methods, seed, out, PurePath(model).name)
        if source is not None and sources is not None:
            print_sources(hooked, (source, target, foil, position, prefix), methods)
        elif source is not None or audio is not None:
            told = explain(hooked, source or "", target, foil, position, prefix, audio)
            _print_explanation(told, top)
            if out is not None:
                choices = {"audio": audio, "target": target, "prefix": prefix, "foil": foil, "position": position}
                spoken = {"source-lang": source_lang, "target-lang": target_lang, "max-length": max_length}
                _write_page(told, out, {**choices, "model": PurePath(model).name, "dtype": dtype, **spoken})


def _print_explanation(told: "Explanation", top: int) -> None:
    from analyses.logit_attribution.attribute import inexact

    say(f"target ({told.target_origin}): {told.target}")
    say(
        f"row {told.position}: {told.label} beats {told.foil} by {told.difference:+.3f} logits; "
        f"gap of the sum {told.gap:.1e} of the contributions' size"
    )
    for warning in inexact(told):
        say(warning)
    print_frame("Components", told.components.head(top))
    print_frame("Source tokens", told.sources)


def _write_page(told: "Explanation", out: Path, choices: Mapping[str, object]) -> None:
    from analyses.logit_attribution.explanation_page import explanation_report

    name = page_slug(out, "attribution")
    command = _command(None if choices["audio"] else told.source, choices)
    write_page(explanation_report(told, command, str(choices["model"]), name), out)


def _command(source: str | None, choices: Mapping[str, object]) -> str:
    """The command line that makes the page again, defaults left out."""
    words = ["interp", "attribute", *([] if source is None else [source])]
    for name, value in choices.items():
        if value not in {None, "bundled", "float32"}:
            words += [f"--{name}", str(value)]
    return shlex.join(words)
