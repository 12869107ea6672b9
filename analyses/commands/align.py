"""The command about word alignments: links of one head, layer or flow; or all of them against links drawn by people."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from analyses.commands import options
from analyses.commands.messages import messages, print_frame, read_text

if TYPE_CHECKING:
    from interp.report import Section

_DIRECTIONS = "Two directions"
_LINKS = "Links without gold"


def align(
    prompts: Annotated[str, typer.Argument(help="Prompts with targets: a bundled set, a file, or -.")],
    gold: Annotated[
        Path | None,
        typer.Option(
            help="Links by people, one sentence a line: s-t sure, spt possible. Without them links are written, not scored."
        ),
    ] = None,
    by: Annotated[
        str | None,
        typer.Option(
            help="Who aligns: XL2H4, layer 2, either with norm, alti layer 3, rollout layer 3.",
            rich_help_panel=_LINKS,
            show_default="the layer before the last",
        ),
    ] = None,
    step: Annotated[
        Literal["output", "input"],
        typer.Option(help="A word's row: the one that predicts it, or the one that reads it.", rich_help_panel=_LINKS),
    ] = "output",
    masked: Annotated[
        bool,
        typer.Option("--masked", help="Link every target word: prefix and end do not compete.", rich_help_panel=_LINKS),
    ] = False,
    scores: Annotated[
        bool,
        typer.Option("--scores", help="Follow every link with the share of the reading on it.", rich_help_panel=_LINKS),
    ] = False,
    one_based: Annotated[bool, typer.Option("--one-based", help="Words are counted from 1.")] = False,
    target_first: Annotated[bool, typer.Option("--target-first", help="Links name the target word first.")] = False,
    reverse_model: Annotated[
        str | None,
        typer.Option(
            help="Model that translates the other way, a folder or a hub id; with only a prefix given, the same model.",
            rich_help_panel=_DIRECTIONS,
            show_default=False,
        ),
    ] = None,
    reverse_prefix: Annotated[
        str | None,
        typer.Option(
            help="Task prefix of the other direction; by default that of the prompts, its languages exchanged.",
            rich_help_panel=_DIRECTIONS,
            show_default=False,
        ),
    ] = None,
    links: Annotated[
        Path | None,
        typer.Option(help="Write links there, in the format of the gold file; of two directions: grow-diag."),
    ] = None,
    twins: options.Twins = 5,
    seed: options.Seed = 0,
    top: Annotated[int, typer.Option(min=1, help="Aligners shown.")] = 15,
    model: options.Model = "bundled",
) -> None:
    """Write word links of one head, layer or flow; with gold links, score those of all beside diagonal and random links.

    Links count the words of the fields source_words and target_words where prompts have them, and else ours. With a reverse
    model or prefix the pairs are also read the other way, and the best links of both directions are merged: intersection,
    union, grow-diag, grow-diag-final.

    Examples:
    \b
      interp align sentences.jsonl --scores
      interp align sentences.jsonl --by XL2H4 --links links.txt
      interp align sentences.jsonl --gold links.txt --one-based
      interp align sentences.jsonl --gold links.txt --reverse-model german-english --links merged.txt
    """
    with messages():
        import interp
        from analyses.cross_attention_focus import alignment
        from analyses.runs.inputs import read_prompt_set

        _check_choices(gold, {"--by": by, "--scores": scores, "--masked": masked}, (reverse_model, reverse_prefix))
        pairs = alignment.pairs_from_prompts(read_prompt_set(prompts, None).prompts)
        if gold is None:
            loaded = interp.load(model)
            how = alignment.Conventions(step, "words", masked)
            given = alignment.chosen_links(loaded, pairs, by or alignment.default_aligner(loaded.cfg), how)
            text = alignment.write_scored(given, 1 if one_based else 0, target_first, scores)
            typer.echo(text, nl=False) if links is None else _write(links, text)
            return
        wanted = alignment.read_gold(
            read_text(gold, "gold file"), first=1 if one_based else 0, target_first=target_first
        )
        loaded = interp.load(model)
        if reverse_model is None and reverse_prefix is None:
            found = alignment.evaluate(loaded, pairs, wanted, twins, seed)
            section, chosen = alignment.alignment_section(found), found.links
        else:
            other = loaded if reverse_model is None else interp.load(reverse_model)
            both = alignment.evaluate_directions(loaded, other, pairs, wanted, reverse_prefix, twins, seed)
            section, chosen = alignment.directions_section(both), both.links["grow-diag"]
        _print(section, top)
        if links is not None:
            _write(links, alignment.write_links(chosen, 1 if one_based else 0, target_first))


def _check_choices(gold: Path | None, of_links: Mapping[str, object], reverse: Sequence[object]) -> None:
    """Refuse choices that would be ignored: some are about links that are written, some about scores.

    Raises:
        InputError: naming the choice.
    """
    from interp.errors import InputError

    if gold is None and any(reverse):
        raise InputError(
            "--reverse-model and --reverse-prefix merge the best links by gold ones; give --gold LINKS with them."
        )
    unused = [name for name, value in of_links.items() if value]
    if gold is not None and unused:
        raise InputError(
            f"{unused[0]} is about links of one aligner, and --gold scores all of them; leave one of the two out."
        )


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
