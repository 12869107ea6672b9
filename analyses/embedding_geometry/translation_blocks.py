"""What was found about translations: a sentence for each kind of evidence and language, a figure, a table."""

import numpy as np
import pandas as pd

from analyses.embedding_geometry.layer_pictures import twin_series
from analyses.embedding_geometry.layer_tables import range_of
from analyses.embedding_geometry.translation import ALIGNED, LANGUAGES, SCORES, TranslationRetrieval
from interp.report import Figure, LinePlot, Series, Table

_CSLS = SCORES.index("CSLS")


def translation_findings(found: TranslationRetrieval) -> tuple[str, ...]:
    """Where translations meet, one sentence a language."""
    return tuple(_sentence(found, language) for language in range(len(LANGUAGES)))


def _sentence(found: TranslationRetrieval, language: int) -> str:
    name, n_words = LANGUAGES[language], found.n_words[language]
    words = (
        f"{n_words} words of the parallel prompts ({found.n_sentences[language]} sentences, aligned by hand)"
        if found.evidence == ALIGNED
        else f"{n_words} words alone"
    )
    top = int(found.accuracy.point[language, _CSLS].argmax())
    first = found.meeting(language)
    start = f"the nearest {name} word translates the English one in a share of {_at(found, language, 0)}"
    if first is None:
        best = "" if top == 0 else f", at best {_at(found, language, top)}"
        return f"English and {name} do not meet in the encoder beyond chance and untrained twins: of {words}, {start}{best}."
    met = "beyond chance already there" if first == 0 else f"and beyond chance from {_at(found, language, first)}"
    best = "" if top in {0, first} else f", most often in {_at(found, language, top)}"
    chance = f"{found.chance[language]:.2f}"
    return f"English and {name} meet in the encoder: of {words}, {start}, {met}{best} (CSLS; chance {chance})."


def _at(found: TranslationRetrieval, language: int, space: int) -> str:
    accuracy, cell = found.accuracy, (language, _CSLS, space)
    twins = found.twins[:, language, _CSLS, space]
    return (
        f"{accuracy.point[cell]:.2f} [{accuracy.low[cell]:.2f}, {accuracy.high[cell]:.2f}] in {found.spaces[space]} (p = "
        f"{found.p_values[cell]:.2g} over all spaces; untrained twins {twins.min():.2f} to {twins.max():.2f})"
    )


def translation_figure(found: TranslationRetrieval) -> Figure:
    """Retrieval by CSLS over the encoder's spaces."""
    places = np.arange(len(found.spaces), dtype=np.float64)
    point, low, high = (bound[:, _CSLS] for bound in (found.accuracy.point, found.accuracy.low, found.accuracy.high))
    best = [int(row.argmax()) for row in point]
    return Figure(
        name="translation-retrieval",
        caption=(
            "Share of English words of the parallel prompts whose nearest aligned German or French word (CSLS) translates them, "
            f"with 95 % intervals over sentences; untrained twins with their range. Chance: "
            f"{', '.join(f'{name} {chance:.2f}' for name, chance in zip(LANGUAGES, found.chance, strict=True))}."
        ),
        alt="Line chart: "
        + "; ".join(
            f"{language} {point[i, 0]:.2f} in {found.spaces[0]} and at most {point[i, best[i]]:.2f} in {found.spaces[best[i]]}, "
            f"untrained twins {found.twins[:, i, _CSLS, best[i]].mean():.2f} there"
            for i, language in enumerate(LANGUAGES)
        )
        + ".",
        chart=LinePlot(
            series=(
                *(
                    Series(f"English to {language}", places, point[i], low[i], high[i])
                    for i, language in enumerate(LANGUAGES)
                ),
                *(
                    twin_series(found.twins[:, i, _CSLS], f"untrained twins, {language}")
                    for i, language in enumerate(LANGUAGES)
                ),
            ),
            x_axis="space",
            y_axis="accuracy of the nearest word",
            x_ticks=found.spaces,
        ),
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
            "accuracy": found.accuracy.point[i, j, k],
            "low": found.accuracy.low[i, j, k],
            "high": found.accuracy.high[i, j, k],
            "p": found.p_values[i, j, k],
            "chance": found.chance[i],
        }
        | {f"twins {name}": value for name, value in range_of(found.twins[:, i, j, k]).items()}
        for found in kinds
        for i, language in enumerate(LANGUAGES)
        for j, score in enumerate(SCORES)
        for k, space in enumerate(found.spaces)
    ]
    frame = pd.DataFrame(rows)
    order = frame["accuracy"].groupby(frame["evidence"], sort=False).rank(method="first", ascending=False)
    frame = frame.assign(order=order).sort_values(["evidence", "order"], kind="stable").drop(columns="order")
    return Table(
        name="translation-retrieval",
        caption=(
            "Share of English words whose nearest German or French word in the encoder translates them, by cosine and by CSLS. "
            "Aligned words: of the parallel prompts, in their sentences, links drawn by hand; words alone: a list of nouns, each "
            "behind the prefix without a sentence. 95 % intervals over sentences; p: translations shuffled, family-wise over the "
            "spaces; chance: an arbitrary word of the other language. Control: untrained twins. The highest of either kind first."
        ),
        frame=frame.reset_index(drop=True),
        columns_shown=(
            "evidence", "space", "language", "score", "words", "accuracy", "low", "high", "p", "chance", "twins lowest",
            "twins highest",
        ),
    )  # fmt: skip
