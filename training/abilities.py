"""What a model can do beside translating well-typed sentences, measured on texts that it was not trained on.

Each measure stands beside what chance or a constant answer would give: hidden words beside the one word that is right most often,
varied sources beside the sources as they are.
"""

import random
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from interp.text.translation_pairs import TranslationPair
from interp.text.translation_quality import Score, language_classifier, score_texts, translate
from training.copying import counted, names_of, renamed
from training.noise import slipped
from training.recipe import Recipe
from training.spans import hide_word
from training.tasks import LABEL_PREFIX, languages, reversed_prefix

_WORD = re.compile(r"\w+")
EVERY = 4
"""Every so many test pairs are measured where a measure needs a translation of each for each variant."""

Translate = Callable[[Sequence[str]], Sequence[str]]

VARIANTS: Mapping[str, Callable[[str, str, random.Random], str]] = {
    "as it is": lambda prefix, sentence, _: prefix + sentence,
    "prefix in lower case": lambda prefix, sentence, _: prefix.lower() + sentence,
    "prefix in upper case": lambda prefix, sentence, _: prefix.upper() + sentence,
    "all in lower case": lambda prefix, sentence, _: (prefix + sentence).lower(),
    "no closing mark": lambda prefix, sentence, _: prefix + sentence.rstrip(".!? "),
    "one slip": lambda prefix, sentence, draw: prefix + slipped(sentence, draw),
}


@dataclass(frozen=True, slots=True)
class Share:
    """How often an answer is right.

    Attributes:
        name: of what, e.g. a language.
        asked: how many questions.
        right: share answered right, 0 to 1.
        constant: share that the best constant answer gets right.
    """

    name: str
    asked: int
    right: float
    constant: float


@dataclass(frozen=True, slots=True)
class Variant:
    """Translation of sources typed in another way.

    Attributes:
        name: how they are typed.
        sources: how many.
        language: share of translations in the language asked for, as the classifier of `translation_quality` tells, 0 to 1.
        scores: quality by language, corpora taken together.
    """

    name: str
    sources: int
    language: float
    scores: tuple[Score, ...]


@dataclass(frozen=True, slots=True)
class Abilities:
    """What was measured; a part whose task the recipe has not is empty.

    Attributes:
        variants: translation of sources as people type.
        reverse: quality of translation into English, by corpus and source language.
        fills: single hidden words found, by language.
        labels: languages named, by language.
        copies: names and numbers, new to the model, that come out in the translation; the constant answer gets none.
    """

    variants: tuple[Variant, ...]
    reverse: tuple[Score, ...]
    fills: tuple[Share, ...]
    labels: tuple[Share, ...]
    copies: tuple[Share, ...]


def measure(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    pairs: Sequence[TranslationPair],
    recipe: Recipe,
    beams: int,
) -> Abilities:
    """Measures what the recipe trained for.

    Args:
        model: the trained model.
        tokenizer: its tokenizer.
        pairs: test pairs.
        recipe: what it was trained for.
        beams: beam width.
    """

    def answer(sources: Sequence[str]) -> Sequence[str]:
        return translate(model, tokenizer, sources, beams)

    typed = recipe.lower_prefixes or recipe.upper_prefixes or recipe.lost_marks or recipe.slips
    return Abilities(
        variants=variants(answer, pairs) if typed else (),
        reverse=reverse(answer, pairs) if recipe.reverse else (),
        fills=fills(answer, pairs) if recipe.infills else (),
        labels=labels(answer, pairs) if recipe.labels else (),
        copies=copies(answer, pairs) if recipe.copies or recipe.counts else (),
    )


def variants(answer: Translate, pairs: Sequence[TranslationPair]) -> tuple[Variant, ...]:
    """Every fourth pair's translation, for each way of typing its source."""
    chosen = [replace(pair, corpus="all") for pair in pairs[::EVERY]]
    classifier = language_classifier().fit([pair.target for pair in pairs], [pair.language for pair in pairs])
    found = []
    for name, vary in VARIANTS.items():
        draw = random.Random(name)
        texts = answer([vary(pair.prefix, pair.sentence, draw) for pair in chosen])
        told = classifier.predict(list(texts))
        right = sum(language == pair.language for language, pair in zip(told, chosen, strict=True))
        found.append(Variant(name, len(chosen), right / len(chosen), score_texts(chosen, texts)))
    return tuple(found)


def reverse(answer: Translate, pairs: Sequence[TranslationPair]) -> tuple[Score, ...]:
    """Quality of the opposite directions; `language` is that of the sources."""
    backwards = [
        replace(pair, source=reversed_prefix(pair.prefix) + pair.target, target=pair.sentence) for pair in pairs
    ]
    return score_texts(backwards, answer([pair.source for pair in backwards]))


def fills(answer: Translate, pairs: Sequence[TranslationPair]) -> tuple[Share, ...]:
    """One hidden word of each text, to be found exactly, by language."""
    draw = random.Random("fills")
    asked: list[tuple[str, str, str]] = []
    for name, text in _texts(pairs):
        hidden = hide_word(text, draw)
        if hidden is not None:
            asked.append((name, hidden[0], hidden[1].split()[1]))
    return _shares(answer, asked)


def labels(answer: Translate, pairs: Sequence[TranslationPair]) -> tuple[Share, ...]:
    """The language of each text, by language."""
    return _shares(answer, [(name, LABEL_PREFIX + text, name) for name, text in _texts(pairs)], together=True)


def copies(answer: Translate, pairs: Sequence[TranslationPair]) -> tuple[Share, ...]:
    """Whether names and numbers that replace those of the pairs come out as they are."""
    draw, names = random.Random("copies"), names_of(pairs)
    kinds = {
        "names and numbers": [renamed(pair, names, 1.0, draw) for pair in pairs],
        "digits for a number word": [counted(pair, 1.0, draw) for pair in pairs],
    }
    found = []
    for kind, changed in kinds.items():
        new = [
            (after.source, set(_WORD.findall(after.sentence)) - set(_WORD.findall(before.sentence)))
            for before, after in zip(pairs, changed, strict=True)
        ]
        asked = [(source, words) for source, words in new if words]
        texts = answer([source for source, _ in asked])
        right = sum(all(word in text for word in words) for (_, words), text in zip(asked, texts, strict=True))
        if asked:
            found.append(Share(kind, len(asked), right / len(asked), 0.0))
    return tuple(found)


def _texts(pairs: Sequence[TranslationPair]) -> list[tuple[str, str]]:
    """Names of languages and texts in them, each text once."""
    texts = {}
    for pair in pairs:
        source, target = languages(pair.prefix)
        texts[pair.sentence] = source
        texts[pair.target] = target
    return [(name, text) for text, name in texts.items()]


def _shares(answer: Translate, asked: Sequence[tuple[str, str, str]], together: bool = False) -> tuple[Share, ...]:
    """Shares of right answers by name, of (name, question, right answer).

    Args:
        answer: gives answers to questions.
        asked: what is asked.
        together: whether the constant answer is one for all names, and right as often as it is among all; else each has its own.
    """
    given = answer([question for _, question, _ in asked])
    found = []
    for name in dict.fromkeys(name for name, _, _ in asked):
        hits = [text.strip() == wanted for (own, _, wanted), text in zip(asked, given, strict=True) if own == name]
        wanted_here = [wanted for own, _, wanted in asked if together or own == name]
        usual = Counter(wanted_here).most_common(1)[0][1]
        found.append(Share(name, len(hits), sum(hits) / len(hits), usual / len(wanted_here)))
    return tuple(found)
