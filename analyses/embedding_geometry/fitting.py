"""Which words and sentences can be asked of the model at hand?

The bundled words and sentences are English, and some of them are translated into German and French. They are used where the
prompts are English and the tokenizer spells the words about as it spells the prompts; translations only where the prompts are
translations out of English into one of the two. Elsewhere the groups come from the prompts themselves: content against function
words, or words (failing them, pieces) of two scripts; the most frequent ones of one piece.
"""

import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain

from transformers import PreTrainedTokenizerBase

from analyses.core.kept_batches import Texts
from analyses.embedding_geometry.measure.word_lists import LANGUAGES
from analyses.embedding_geometry.settings import FittedSettings, GeometrySettings
from interp.errors import InputError
from interp.families.config import ModelConfig
from interp.model.hooked_model import HookedEncoderDecoder
from interp.text.batch import Batch
from interp.text.tokenized_text import Text
from interp.text.translation_task import translation_tasks
from interp.text.vocabulary import spell
from interp.text.words import CATEGORIES, CONTENT, FUNCTION, NO_WORD

_ENGLISH = "english"

_TIMES = 2.0
"""How many times the pieces a letter of the prompts the bundled words may take."""

_FEWEST, _MOST = 4, 18
"""Words of a group from the prompts."""


def fit(model: HookedEncoderDecoder, batches: Sequence[Batch], settings: GeometrySettings) -> GeometrySettings:
    """The settings with what the user left open chosen for a model and its prompts.

    Args:
        model: the model.
        batches: all prompts.
        settings: as the user gave them.
    """
    tokenizer = model.tokenizer
    if tokenizer is None:
        return settings
    sources, targets = Texts(batches, "source_texts"), Texts(batches, "target_texts")
    unfit = _unfit(sources, settings.words, tokenizer)
    tasks = set(translation_tasks(sources, tokenizer, model.languages))
    translated = tuple(language for language in LANGUAGES if (_ENGLISH, language.lower()) in tasks)
    left_open = "groups" not in settings.model_fields_set
    groups = _groups((sources, targets), tokenizer) if unfit and left_open else settings.groups
    return FittedSettings.model_construct(**{
        **dict(settings),
        "groups": groups,
        "prefix": settings.prefix if "prefix" in settings.model_fields_set else _prefix(sources, settings, model.cfg),
        "from_prompts": bool(unfit and left_open),
        "sentences": not unfit if settings.sentences is None else settings.sentences,
        "translations": (() if unfit else translated) if settings.translations is None else settings.translations,
        "unfit": unfit,
    })


def _prefix(sources: Sequence[Text], settings: GeometrySettings, cfg: ModelConfig) -> str:
    """The task prefix of most prompts, or none for a model that was made for none; a mark of the language is one for any."""
    counts = Counter(text.prefix.strip() for text in sources)
    best = max(counts, key=lambda prefix: (counts[prefix], prefix == settings.prefix.strip(), prefix))
    return f"{best} " if best and (cfg.reads_prefixes or best.startswith(">>")) else ""


def _unfit(sources: Sequence[Text], words: Sequence[str], tokenizer: PreTrainedTokenizerBase) -> str:
    """Why English words are not asked of this model, as the end of a sentence; empty where they are."""
    english = sum(_ENGLISH in text.languages for text in sources)
    if 2 * english <= len(sources):
        return f"{english or 'none'} of the {len(sources)} sources {'is' if english < 2 else 'are'} English by its function words"
    pieces = letters = 0
    for text in sources:
        pieces += sum(word != NO_WORD for word in text.word_of_token)
        letters += sum(len(text.words[word]) for word in set(text.word_of_token) - {NO_WORD})
    own = pieces / letters
    try:
        needed = sum(len(spell(word, tokenizer).ids) for word in words) / sum(map(len, words))
    except InputError:
        return "its tokenizer does not know all letters of the bundled words"
    if needed > _TIMES * own:
        return (
            f"its tokenizer spells the bundled words with {needed:.2f} pieces a letter and the prompts with {own:.2f}"
        )
    return ""


def _groups(texts: Sequence[Sequence[Text]], tokenizer: PreTrainedTokenizerBase) -> dict[str, tuple[str, ...]]:
    """The most frequent words of one piece, by category or else by script; empty where there are no two groups of them."""
    words = _words(chain(*texts))
    by_category: dict[str, Counter[str]] = {}
    for word, (count, category) in words.items():
        by_category.setdefault(f"{CATEGORIES[category]} words", Counter())[word] = count
    by_script = (
        _by_script({word: count for word, (count, _) in words.items()}, "words"),
        _by_script(Counter(_pieces(chain(*texts))), "pieces"),
    )
    for counted in (by_category, *by_script):
        groups = {name: _frequent(counts, tokenizer) for name, counts in sorted(counted.items())}
        enough = {name: chosen for name, chosen in groups.items() if len(chosen) >= _FEWEST}
        if len(enough) >= 2:
            return enough
    return {}


def _words(texts: Iterable[Text]) -> dict[str, tuple[int, int]]:
    """The words of the texts as they are mostly written -> how often they occur, and their most frequent category."""
    forms: dict[str, Counter[tuple[str, int]]] = {}
    for text in texts:
        for word, category in dict(zip(text.word_of_token, text.category_of_token, strict=True)).items():
            if word != NO_WORD and category in {CONTENT, FUNCTION}:
                forms.setdefault(text.words[word].casefold(), Counter())[text.words[word], category] += 1
    found: dict[str, tuple[int, int]] = {}
    for written in forms.values():
        (form, category), _ = min(written.items(), key=lambda item: (-item[1], item[0]))
        found[form] = (written.total(), category)
    return found


def _pieces(texts: Iterable[Text]) -> Iterator[str]:
    for text in texts:
        for piece, category in zip(text.pieces, text.category_of_token, strict=True):
            if category in {CONTENT, FUNCTION} and piece.strip("▁Ġ").isalpha():
                yield piece.strip("▁Ġ")


def _by_script(counts: Mapping[str, int], what: str) -> dict[str, Counter[str]]:
    """Counts by the script of the first letter, as Unicode names it, and what is counted."""
    found: dict[str, Counter[str]] = {}
    for word, count in counts.items():
        if word[0].isalpha():
            script = unicodedata.name(word[0], "other").split()[0].capitalize()
            found.setdefault(f"{script} {what}", Counter())[word] += count
    return found


def _frequent(counts: Mapping[str, int], tokenizer: PreTrainedTokenizerBase) -> tuple[str, ...]:
    """The most frequent of one piece, ties in the order of the alphabet."""
    chosen = []
    for word in sorted(counts, key=lambda word: (-counts[word], word)):
        try:
            single = spell(word, tokenizer).single
        except InputError:
            continue
        chosen += [word] if single else []
    return tuple(chosen[:_MOST])
