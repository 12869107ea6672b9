"""The command that scores word alignments: heads, layers and flows against links drawn by people, in one direction or two."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analyses.commands import options
from analyses.commands.messages import messages, print_frame, read_text

if TYPE_CHECKING:
    from interp.model.hooked_model import HookedEncoderDecoder
    from interp.report import Section

_reverse = partial(typer.Option, rich_help_panel="Two directions", show_default=False)
_ReverseModel = Annotated[
    str | None,
    _reverse(
        help="Model that translates the other way, a folder or a hub id; with only a prefix given, the same model."
    ),
]
_ReversePrefix = Annotated[
    str | None,
    _reverse(help="Task prefix of the other direction; by default that of the prompts, its languages exchanged."),
]


def align(
    prompts: Annotated[str, typer.Argument(help="Prompts with targets: a bundled set, a file, or -.")],
    gold: Annotated[Path, typer.Option(help="Links, one sentence a line: s-t sure, spt possible.")],
    one_based: Annotated[bool, typer.Option("--one-based", help="Words are counted from 1.")] = False,
    target_first: Annotated[bool, typer.Option("--target-first", help="Links name the target word first.")] = False,
    reverse_model: _ReverseModel = None,
    reverse_prefix: _ReversePrefix = None,
    links: Annotated[
        Path | None,
        typer.Option(help="Write the chosen links there, in the format of the gold file; two directions: grow-diag."),
    ] = None,
    twins: options.Twins = 5,
    seed: options.Seed = 0,
    top: Annotated[int, typer.Option(min=1, help="Aligners shown.")] = 15,
    model: options.Model = "bundled",
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
) -> None:
    """Score word alignments of every head, layer and flow against gold links, beside diagonal and random links.

    With a reverse model or prefix the pairs are also read the other way, and the best links of both directions are merged:
    intersection, union, grow-diag, grow-diag-final.

    Examples:
    \b
      interp align sentences.jsonl --gold links.txt --one-based
      interp align sentences.jsonl --gold links.txt --reverse-model german-english --links merged.txt
    """
    with messages():
        import interp
        from analyses.cross_attention_focus import alignment
        from analyses.runs.inputs import read_prompt_set

        pairs = alignment.pairs_from_prompts(read_prompt_set(prompts, None).prompts)
        wanted = alignment.read_gold(
            read_text(gold, "gold file"), first=1 if one_based else 0, target_first=target_first
        )
        loaded = interp.load(model, max_length=max_length, source_lang=source_lang, target_lang=target_lang)
        if reverse_model is None and reverse_prefix is None:
            found = alignment.evaluate(loaded, pairs, wanted, twins, seed)
            section, chosen = alignment.alignment_section(found), found.links
        else:
            other = _other_way(loaded, reverse_model)
            both = alignment.evaluate_directions(loaded, other, pairs, wanted, reverse_prefix, twins, seed)
            section, chosen = alignment.directions_section(both), both.links["grow-diag"]
        _print(section, top)
        if links is not None:
            _write(links, alignment.write_links(chosen, 1 if one_based else 0, target_first))


def _other_way(loaded: "HookedEncoderDecoder", name: str | None) -> "HookedEncoderDecoder":
    """The model of the other direction, its languages exchanged where models mark them; without a name, the same model."""
    import interp

    target, source = loaded.languages.source, loaded.languages.target
    if name is None:
        return interp.HookedEncoderDecoder(loaded.hf, loaded.tokenizer, loaded.max_length, source, target)
    return interp.load(name, max_length=loaded.max_length, source_lang=source, target_lang=target)


def _write(path: Path, text: str) -> None:
    from interp.errors import InputError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"The links cannot be written to {str(path)!r} ({error}); name a file in a folder that exists."
        ) from error
    typer.echo(f"Links written to {path}.")


def _print(section: "Section", top: int) -> None:
    from interp.report import Table

    for sentence in section.findings:
        typer.echo(sentence)
    for block in section.blocks:
        if isinstance(block, Table):
            print_frame(block.name.replace("-", " ").capitalize(), block.frame.head(top))
