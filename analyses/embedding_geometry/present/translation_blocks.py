"""What was found about translations: a sentence for each kind of evidence and language, a figure, a table."""

import pandas as pd

from analyses.embedding_geometry.measure.translation import ALIGNED, SCORES, TranslationRetrieval
from analyses.embedding_geometry.present.layer_tables import CONTROLS, TITLES
from interp.report import Figure, Span, Table
from interp.report.estimate_lines import estimate_lines
from interp.report.numbers import counted, fixed, significant, untrained_twins, with_interval
from interp.statistics import falling_order, largest

CSLS = SCORES.index("CSLS")


def translation_findings(found: TranslationRetrieval) -> tuple[str, ...]:
    """Where translations meet, one sentence a language."""
    return tuple(_sentence(found, language) for language in range(len(found.languages)))


def _sentence(found: TranslationRetrieval, language: int) -> str:
    name, n_words = found.languages[language], found.n_words[language]
    words = (
        f"{n_words} words of the parallel prompts ({counted(found.n_sentences[language], 'sentence')}, aligned by hand)"
        if found.evidence == ALIGNED
        else f"{n_words} words alone"
    )
    top, first = most_hits(found, language), found.meeting(language)
    start = f"the nearest {name} word translates the English one in a share of {_at(found, language, 0)}"
    if first is None:
        best = "" if top == 0 else f", at best {_at(found, language, top)}"
        return f"English and {name} do not meet in the encoder beyond chance and untrained twins: of {words}, {start}{best}."
    met = "beyond chance already there" if first == 0 else f"and beyond chance from {_at(found, language, first)}"
    best = "" if top in {0, first} else f", most often in {_at(found, language, top)}"
    chance = fixed(found.chance[language])
    return f"English and {name} meet in the encoder: of {words}, {start}, {met}{best} (CSLS; chance {chance})."


def most_hits(found: TranslationRetrieval, language: int) -> int:
    """The space with the most hits."""
    return largest(found.accuracy.point[language, CSLS])[0]


def _at(found: TranslationRetrieval, language: int, space: int) -> str:
    accuracy = found.accuracy[language, CSLS, space]
    return (
        f"{with_interval(accuracy)} in {found.spaces[space]} (p = {significant(found.p_values[language, CSLS, space])} over "
        f"all spaces; {untrained_twins(accuracy)})"
    )


def translation_figure(found: TranslationRetrieval) -> Figure:
    """Retrieval by CSLS over the encoder's spaces."""
    curves = [
        (f"English to {language}", found.accuracy[place, CSLS], f"untrained twins, {language}")
        for place, language in enumerate(found.languages)
    ]
    parts = []
    for place, language in enumerate(found.languages):
        accuracy, best = found.accuracy[place, CSLS], most_hits(found, place)
        parts.append(
            f"{language} {fixed(accuracy.point[0])} in {found.spaces[0]} and at most {fixed(accuracy.point[best])} in "
            f"{found.spaces[best]}, untrained twins {fixed(accuracy.control_mean[best])} there"
        )
    chances = ", ".join(f"{name} {fixed(chance)}" for name, chance in zip(found.languages, found.chance, strict=True))
    return Figure(
        name="translation-retrieval",
        caption=(
            f"Share of English words of the parallel prompts whose nearest aligned {' or '.join(found.languages)} word (CSLS) "
            f"translates them, with 95 % intervals over sentences; untrained twins with their range. Chance: {chances}."
        ),
        alt=f"Line chart: {'; '.join(parts)}.",
        chart=estimate_lines(curves, "space", "accuracy of the nearest word", found.spaces),
    )


def translation_table(kinds: tuple[TranslationRetrieval, ...]) -> Table:
    """Retrieval of translations in every space, by both kinds of evidence."""
    rows = [
        {
            "evidence": found.evidence,
            "space": space,
            "language": language,
            "score": score,
            "words": found.n_words[i],
            **{title: columns[title] for title in ("accuracy", "low", "high")},
            "p": found.p_values[i, j, k],
            "chance": found.chance[i],
            **columns,
        }
        for found in kinds
        for i, language in enumerate(found.languages)
        for j, score in enumerate(SCORES)
        for k, space in enumerate(found.spaces)
        for columns in [found.accuracy[i, j, k].columns("accuracy", prefix="", titles=TITLES)]
    ]
    frame = pd.DataFrame(rows)
    frame = frame.iloc[falling_order(frame["accuracy"].to_numpy())].sort_values(
        "evidence", kind="stable", ignore_index=True
    )
    return Table(
        name="translation-retrieval",
        caption=(
            f"Share of English words whose nearest {' or '.join(kinds[0].languages)} word in the encoder translates them, by "
            "cosine and by CSLS. Aligned words: of the parallel prompts, in their sentences, links drawn by hand; words alone: a "
            "list of nouns, each behind the prefix without a sentence. 95 % intervals over sentences; p: translations shuffled, "
            "family-wise over the spaces; chance: an arbitrary word of the other language. Control: untrained twins. The highest "
            "of either kind first."
        ),
        frame=frame,
        columns_shown=("evidence", "space", "language", "score", "words", "accuracy", "p", "chance"),
        spans=(Span.of("accuracy", "", CONTROLS),),
    )
