"""Where in the encoder do translations meet, if they do?

Words with one usual translation stand alone behind the task prefix, in English, German and French. In every encoder space, an
English word is given the nearest of all German (or French) words; counted is how often that is its translation, by cosine and by
CSLS, which takes out hubs (Conneau et al. 2018). Pairs that are spelled alike say nothing and are left out. Encoder 0 is the
static embedding, and untrained twins tell what shared pieces of spelling alone bring.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float

from analyses._contract import Observed
from analyses.embedding_geometry.lexicon import TRANSLATIONS
from interp.hubness import cosine_scores, csls, retrieval_hits
from interp.statistics import Interval, bootstrap_mean

LANGUAGES = ("German", "French")
SCORES = ("cosine", "CSLS")


@dataclass(frozen=True, slots=True, eq=False)
class TranslationRetrieval:
    """Share of English words whose nearest word is their translation.

    Attributes:
        spaces: names of the encoder's spaces.
        n_words: words of every language in `LANGUAGES`.
        accuracy: [language score space], scores in the order of `SCORES`.
        twins: the same of every untrained twin, without intervals.
    """

    spaces: tuple[str, ...]
    n_words: tuple[int, ...]
    accuracy: Interval
    twins: Float[np.ndarray, "twin language score space"]


def translation_retrieval(
    spaces: tuple[str, ...], model: Observed, twins: tuple[Observed, ...], seed: int, resamples: int
) -> TranslationRetrieval:
    """Retrieval in every encoder space; intervals resample English words."""
    hits = [_hits(model, language) for language in range(len(LANGUAGES))]
    intervals = [bootstrap_mean(one, seed, resamples) for one in hits]
    return TranslationRetrieval(
        spaces=spaces,
        n_words=tuple(len(one) for one in hits),
        accuracy=Interval(
            *(np.stack([getattr(one, name) for one in intervals]) for name in ("point", "low", "high", "count"))
        ),
        twins=np.stack([
            np.stack([_hits(twin, language).mean(axis=0) for language in range(len(LANGUAGES))]) for twin in twins
        ]),
    )


def _hits(observed: Observed, language: int) -> Float[np.ndarray, "word score space"]:
    """1 where a word's nearest word is its translation."""
    kept = [place for place, words in enumerate(TRANSLATIONS) if words[0].casefold() != words[language + 1].casefold()]
    english, other = (observed.weights["translation_states"][index][kept] for index in (0, language + 1))
    answers = np.arange(len(kept))
    columns = []
    for space in range(english.shape[1]):
        cosines = cosine_scores(english[:, space], other[:, space])
        columns.append(np.stack([retrieval_hits(scores, answers) for scores in (cosines, csls(cosines))], axis=1))
    return np.stack(columns, axis=2)
