"""The command about word alignments: links of one head, layer or flow; or all of them against links drawn by people."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from analyses.commands import options
from analyses.commands.messages import messages, print_frame, read_text, say

if TYPE_CHECKING:
    from interp.model.hooked_model import HookedEncoderDecoder
    from interp.report import Section

_LINKS = "Links without gold"
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
_Prompts = Annotated[
    str,
    typer.Argument(
        help="Prompts with targets: a bundled set, a file, or -. Links count the words of their fields source_words and "
        "target_words, else ours."
    ),
]
_Gold = Annotated[
    Path | None,
    typer.Option(
        help="Links by people, one sentence a line: s-t sure, spt possible. Without them links are written, not scored."
    ),
]
_LinksFile = Annotated[
    Path | None,
    typer.Option(help="Write links there, in the format of the gold file; of two directions: grow-diag."),
]
_By = Annotated[
    str | None,
    typer.Option(
        help="Who aligns: XL2H4, layer 2, either with norm, alti layer 3, rollout layer 3.",
        rich_help_panel=_LINKS,
        show_default="the layer before the last",
    ),
]
_Step = Annotated[
    Literal["output", "input"],
    typer.Option(help="A word's row: the one that predicts it, or the one that reads it.", rich_help_panel=_LINKS),
]
_Masked = Annotated[
    bool,
    typer.Option("--masked", help="Link every target word: prefix and end do not compete.", rich_help_panel=_LINKS),
]
_Scores = Annotated[
    bool,
    typer.Option("--scores", help="Follow every link with the share of the reading on it.", rich_help_panel=_LINKS),
]


def align(
    prompts: _Prompts,
    gold: _Gold = None,
    by: _By = None,
    step: _Step = "output",
    masked: _Masked = False,
    scores: _Scores = False,
    one_based: Annotated[bool, typer.Option("--one-based", help="Words are counted from 1.")] = False,
    target_first: Annotated[bool, typer.Option("--target-first", help="Links name the target word first.")] = False,
    reverse_model: _ReverseModel = None,
    reverse_prefix: _ReversePrefix = None,
    links: _LinksFile = None,
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
    """Write word links of one head, layer or flow; with gold links, score those of all beside diagonal and random links.

    Examples:
    \b
      interp align sentences.jsonl --by XL2H4 --scores
      interp align sentences.jsonl --gold links.txt --one-based
      interp align sentences.jsonl --gold links.txt --reverse-model german-english --links merged.txt
      interp align corpus.de-en.txt --gold links.txt --one-based --hypotheses fast-align.txt
    """
    with messages():
        from analyses.cross_attention_focus import alignment
        from analyses.runs.inputs import read_prompt_set

        first: Literal[0, 1] = 1 if one_based else 0
        _check_choices(gold, (by, scores, masked), (reverse_model, reverse_prefix), hypotheses)
        if hypotheses is not None and gold is not None:
            _score_hypotheses(prompts, gold, one_based, target_first, hypotheses, hypotheses_one_based, seed)
            return
        pairs = alignment.pairs_from_prompts(read_prompt_set(prompts, None).prompts)
        wanted = () if gold is None else alignment.read_gold(read_text(gold, "gold file"), first, target_first)
        loaded = _loaded(model, max_length, (source_lang, target_lang), reverse_model is not None)
        if gold is None:
            how = alignment.Conventions(step, "words", masked)
            given = alignment.chosen_links(loaded, pairs, by or alignment.default_aligner(loaded.cfg), how)
            _write(links, alignment.write_links(given, first, target_first, scores))
            return
        if reverse_model is None and reverse_prefix is None:
            found = alignment.evaluate(loaded, pairs, wanted, twins, seed)
            section, chosen = alignment.alignment_section(found), found.links
        else:
            other = _other_way(loaded, reverse_model, max_length, (source_lang, target_lang))
            both = alignment.evaluate_directions(loaded, other, pairs, wanted, reverse_prefix, twins, seed)
            section, chosen = alignment.directions_section(both), both.links["grow-diag"]
        _print(section, top)
        if links is not None:
            _write(links, alignment.write_links(chosen, first, target_first))


def _check_choices(
    gold: Path | None, of_links: Sequence[object], reverse: Sequence[object], hypotheses: Path | None
) -> None:
    """Refuse choices that would be ignored: some are about links that are written, some about scores.

    Raises:
        InputError: naming the choice.
    """
    from interp.errors import InputError

    if gold is None and any(reverse):
        raise InputError(
            "--reverse-model and --reverse-prefix merge the best links by gold ones; give --gold LINKS with them."
        )
    if gold is None and hypotheses is not None:
        raise InputError("--hypotheses are scored against links by people; give --gold LINKS with them.")
    unused = [name for name, value in zip(("--by", "--scores", "--masked"), of_links, strict=True) if value]
    if gold is not None and unused:
        raise InputError(
            f"{unused[0]} is about links of one aligner, and --gold scores all of them; leave one of the two out."
        )


def _loaded(
    name: str, max_length: int | None, languages: tuple[str | None, str | None], two: bool
) -> "HookedEncoderDecoder":
    """The model; of two, one that marks no languages leaves those that are named to the other."""
    import interp

    if not two:
        return interp.load(name, max_length=max_length, source_lang=languages[0], target_lang=languages[1])
    found = interp.load(name, max_length=max_length)
    return _speaking(found, *languages) if found.languages.codes else found


def _speaking(model: "HookedEncoderDecoder", source: str | None, target: str | None) -> "HookedEncoderDecoder":
    """The same model with these languages."""
    import interp

    return interp.HookedEncoderDecoder(model.hf, model.tokenizer, model.max_length, source, target)


def _other_way(
    loaded: "HookedEncoderDecoder", name: str | None, max_length: int | None, said: tuple[str | None, str | None]
) -> "HookedEncoderDecoder":
    """The model of the other direction, its languages exchanged where models mark them; without a name, the same model.

    Args:
        loaded: the model of the first direction.
        name: of the other model.
        max_length: what the user gave.
        said: codes of source and target that the user gave, for the other model if the first marks none.
    """
    import interp

    ours = loaded.languages
    source, target = (ours.source, ours.target) if ours.codes else said
    other = loaded if name is None else interp.load(name, max_length=max_length)
    if other.languages.codes:
        return _speaking(other, *map(other.languages.same_language, (target, source)))
    if not ours.codes:
        ours.named(*said)  # refuses languages that neither of the two marks
    return other


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


def _write(path: Path | None, text: str) -> None:
    """Write links to a file, or print them.

    Raises:
        InputError: if the file cannot be written.
    """
    from interp.errors import InputError, reason

    if path is None:
        say(text, nl=False)
        return
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"The links cannot be written to {str(path)!r} ({reason(error)}); name a file in a folder that exists."
        ) from error
    say(f"Links written to {path}.")


def _print(section: "Section", top: int) -> None:
    from interp.report import Table

    for sentence in section.findings:
        say(sentence)
    for block in section.blocks:
        if isinstance(block, Table):
            print_frame(block.name.replace("-", " ").capitalize(), block.frame.head(top))
