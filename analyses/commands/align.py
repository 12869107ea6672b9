"""The command that scores word alignments: heads, layers and flows against links drawn by people, in one direction or two."""

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analyses.commands import options
from analyses.commands.messages import messages, print_frame, read_text, say

if TYPE_CHECKING:
    from interp.model.hooked_model import HookedEncoderDecoder
    from interp.report import Section

_ELSEWHERE = "Links from elsewhere"
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
_Hypotheses = Annotated[
    Path | None,
    typer.Option(
        help="Score these links from elsewhere instead of a model's; PROMPTS may be lines `source ||| target`.",
        rich_help_panel=_ELSEWHERE,
    ),
]
_FromOne = Annotated[
    bool,
    typer.Option("--hypotheses-one-based", help="Their words are counted from 1.", rich_help_panel=_ELSEWHERE),
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
    hypotheses: _Hypotheses = None,
    hypotheses_one_based: _FromOne = False,
    twins: options.Twins = 5,
    seed: options.Seed = 0,
    top: Annotated[int, typer.Option(min=1, help="Aligners shown.")] = 15,
    model: options.Model = "bundled",
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
) -> None:
    """Score word alignments of every head, layer and flow against gold links, beside diagonal and random links.

    Links of two directions are merged by intersection, union, grow-diag(-final), both words of a new link free as in published
    tables, and grow-diag(-final)-either (Koehn et al. 2003).

    Examples:
    \b
      interp align sentences.jsonl --gold links.txt --one-based
      interp align sentences.jsonl --gold links.txt --reverse-model german-english --links merged.txt
      interp align corpus.de-en.txt --gold links.txt --one-based --hypotheses fast-align.txt
    """
    with messages():
        import interp
        from analyses.cross_attention_focus import alignment
        from analyses.runs.inputs import read_prompt_set

        if hypotheses is not None:
            _score_hypotheses(prompts, gold, one_based, target_first, hypotheses, hypotheses_one_based, seed)
            return
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


def _score_hypotheses(
    prompts: str, gold: Path, one_based: bool, target_first: bool, hypotheses: Path, from_one: bool, seed: int
) -> None:
    import pandas as pd

    from analyses.cross_attention_focus import alignment
    from analyses.runs.inputs import read_prompt_set

    sizes = alignment.read_sizes(read_text(Path(prompts), "pairs")) if Path(prompts).is_file() else None
    if sizes is None:
        pairs = alignment.pairs_from_prompts(read_prompt_set(prompts, None).prompts)
        sizes = [(len(pair.source_words), len(pair.target_words)) for pair in pairs]
    wanted = alignment.read_gold(read_text(gold, "gold file"), first=1 if one_based else 0, target_first=target_first)
    given = alignment.read_gold(
        read_text(hypotheses, "file of hypotheses"), first=1 if from_one else 0, target_first=target_first
    )
    found = alignment.score_hypotheses([links.possible for links in given], wanted, sizes, seed)
    rows = {hypotheses.name: found.given, "straight diagonal": found.diagonal, "random links": found.random}
    frame = pd.DataFrame([
        {
            "links": name,
            "AER": one.aer,
            "low": one.low,
            "high": one.high,
            "precision": one.precision,
            "recall": one.recall,
        }
        for name, one in rows.items()
    ])
    print_frame(f"Links against gold, {found.n_sentences} sentence pairs", frame)


def _write(path: Path, text: str) -> None:
    from interp.errors import InputError

    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"The links cannot be written to {str(path)!r} ({error}); name a file in a folder that exists."
        ) from error
    say(f"Links written to {path}.")


def _print(section: "Section", top: int) -> None:
    from interp.report import Table

    for sentence in section.findings:
        say(sentence)
    for block in section.blocks:
        if isinstance(block, Table):
            print_frame(block.name.replace("-", " ").capitalize(), block.frame.head(top))
