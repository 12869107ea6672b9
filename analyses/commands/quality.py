"""The command that measures how well a model translates, so that a model card can be checked by its reader."""

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from analyses.commands import options
from analyses.commands.messages import messages, print_table, say

if TYPE_CHECKING:
    from interp.text.translation_pairs import TranslationPair

_PAIRS_HELP = "TSV (or .tsv.gz) of corpus, language, source (with its prefix), target; or prompts that have targets."


def eval_model(
    pairs: Annotated[Path, typer.Option(help=_PAIRS_HELP)],
    model: options.Model = "bundled",
    beams: Annotated[int, typer.Option(min=1, help="Hypotheses of beam search.")] = 4,
    batch_size: options.BatchSize = 64,
    swap: Annotated[
        bool | None,
        typer.Option(help="Also swap the prefix language of every source.", show_default="where pairs allow it"),
    ] = None,
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
    source_column: options.SourceColumn = None,
    target_column: options.TargetColumn = None,
) -> None:
    """Score a model's translations with sacreBLEU, by corpus and language.

    Examples:
    \b
      interp eval-model --pairs test.tsv.gz
      interp eval-model --pairs mine.jsonl
    """
    with messages():
        import interp
        from interp.prompts.references import read_references
        from interp.prompts.table_files import Columns
        from interp.text.translation_quality import prefix_swap, score_texts, translate

        other = source_column is not None or target_column is not None
        named = Columns(source_column or "source", target_column) if other else None
        rows = read_references(pairs, named)
        unswapped = _unswapped(rows, swap)
        hooked = interp.load(model, max_length=max_length, source_lang=source_lang, target_lang=target_lang)
        assert hooked.tokenizer is not None
        sources = [pair.source for pair in rows]
        with hooked.languages.spoken(hooked.tokenizer):
            translations = translate(
                hooked.hf, hooked.tokenizer, sources, beams, batch_size, hooked.languages.first_token
            )
        scores = score_texts(rows, translations)
        table = [(s.corpus, s.language, s.sentences, round(s.bleu, 1), round(s.chrf, 1)) for s in scores]
        print_table("Translation quality", ("corpus", "language", "sentences", "BLEU", "chrF"), table)
        say(f"BLEU {scores[0].bleu_signature}; chrF {scores[0].chrf_signature}")
        if unswapped:
            say(unswapped)
        elif swap is not False:
            swapped = prefix_swap(hooked.hf, hooked.tokenizer, rows, beams, batch_size)
            say(
                f"Another prefix language gives another output language for {swapped.switched:.1%} of {swapped.sources} sources "
                f"(the language classifier is wrong on {swapped.reference_error:.1%} of the references)."
            )


def _unswapped(rows: "Sequence[TranslationPair]", swap: bool | None) -> str:
    """Why no language is swapped, where it was not forbidden and cannot be done; empty otherwise.

    Raises:
        InputError: if it was asked for.
    """
    from interp.errors import InputError
    from interp.text.translation_quality import check_swap

    if swap is False:
        return ""
    if not swap and not all(pair.prefix for pair in rows):
        return "Not every source has a task prefix, so no language was swapped."
    try:
        check_swap(rows)
    except InputError as error:
        if swap:
            raise
        return f"No language was swapped. {error}"
    return ""
