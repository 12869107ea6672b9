"""The command that measures how well a model translates, so that a model card can be checked by its reader."""

from pathlib import Path
from typing import Annotated

import typer

from analyses.commands import options
from analyses.commands.messages import messages, print_table, say


def eval_model(
    pairs: Annotated[Path, typer.Option(help="TSV (or .tsv.gz): corpus, language, source (with its prefix), target.")],
    model: options.Model = "bundled",
    beams: Annotated[int, typer.Option(min=1, help="Hypotheses of beam search.")] = 4,
    batch_size: options.BatchSize = 64,
    swap: Annotated[bool, typer.Option(help="Also swap the prefix language of every source.")] = True,
    source_lang: options.SourceLang = None,
    target_lang: options.TargetLang = None,
    max_length: options.MaxLength = None,
) -> None:
    """Score a model's translations with sacreBLEU, by corpus and language.

    Examples:
    \b
      interp eval-model --pairs test.tsv.gz
    """
    with messages():
        import interp
        from interp.text.translation_pairs import read_pairs
        from interp.text.translation_quality import check_swap, prefix_swap, score_texts, translate

        rows = read_pairs(pairs)
        prefixed = all(pair.prefix for pair in rows)
        if swap and prefixed:
            check_swap(rows)
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
        if swap and not prefixed:
            say("Not every source has a task prefix, so no language was swapped.")
        elif swap:
            swapped = prefix_swap(hooked.hf, hooked.tokenizer, rows, beams, batch_size)
            say(
                f"Another prefix language gives another output language for {swapped.switched:.1%} of {swapped.sources} sources "
                f"(the language classifier is wrong on {swapped.reference_error:.1%} of the references)."
            )
