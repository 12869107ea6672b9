"""Commands that explain one thing: a prediction by what wrote it, word links by what points at them."""

from pathlib import Path
from typing import Annotated

import typer

from analyses import options
from analyses.messages import messages, print_table


def attribute(
    source: Annotated[str, typer.Argument(help="Source text with its task prefix.", show_default=False)],
    target: Annotated[str | None, typer.Option(help="Target text; generated if missing.")] = None,
    foil: Annotated[
        str | None,
        typer.Option(
            help="Another target text, or with --position one piece; by default the model's best other token."
        ),
    ] = None,
    position: Annotated[int | None, typer.Option(min=0, help="Decoder row, from 0.")] = None,
    top: Annotated[int, typer.Option(min=1, help="Components shown.")] = 12,
    model: options.Model = "bundled",
) -> None:
    """Show what wrote a predicted token: decoder components, then source tokens through cross-attention. Exact.

    Examples:
    \b
      interp attribute "translate English to German: The dog is running."
      interp attribute "translate English to German: A red car." --target "Ein rotes Auto." --foil "Eine rotes Auto."
    """
    with messages():
        import interp
        from analyses.logit_attribution.attribute import explain

        told = explain(interp.load(model), source, target, foil, position)
        typer.echo(f"target ({told.target_origin}): {told.target}")
        typer.echo(
            f"row {told.position}: {told.label} beats {told.foil} by {told.difference:+.3f} logits; "
            f"gap of the sum {told.gap:.1e} of the largest logit"
        )
        for title, frame in (("Components", told.components.head(top)), ("Source tokens", told.sources)):
            print_table(title, list(map(str, frame.columns)), frame.itertuples(index=False))


def align(
    prompts: Annotated[str, typer.Argument(help="Prompts with targets: a bundled set, a file, or -.")],
    gold: Annotated[Path, typer.Option(help="Links, one sentence a line: s-t sure, spt possible.")],
    one_based: Annotated[bool, typer.Option("--one-based", help="Words are counted from 1.")] = False,
    target_first: Annotated[bool, typer.Option("--target-first", help="Links name the target word first.")] = False,
    twins: options.Twins = 5,
    seed: options.Seed = 0,
    top: Annotated[int, typer.Option(min=1, help="Aligners shown.")] = 15,
    model: options.Model = "bundled",
) -> None:
    """Score word alignments of every head, layer and flow against gold links, beside diagonal and random links.

    Examples:
    \b
      interp align sentences.jsonl --gold links.txt --one-based
    """
    with messages():
        import interp
        from analyses.cross_attention_focus import alignment
        from analyses.runner import read_prompt_set
        from interp.errors import InputError
        from interp.report import Table

        pairs = alignment.pairs_from_prompts(read_prompt_set(prompts, None).prompts)
        try:
            text = gold.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(f"The gold file {str(gold)!r} cannot be read ({error}); give UTF-8 text.") from error
        links = alignment.read_gold(text, first=1 if one_based else 0, target_first=target_first)
        section = alignment.alignment_section(alignment.evaluate(interp.load(model), pairs, links, twins, seed))
        for sentence in section.findings:
            typer.echo(sentence)
        for block in section.blocks:
            if isinstance(block, Table):
                print_table(
                    "Aligners", list(map(str, block.frame.columns)), block.frame.head(top).itertuples(index=False)
                )
