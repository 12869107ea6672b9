"""Sentences of a small grammar with their German and French translations and the links between their words.

Every word has one translation, so that what is to be learned is a table of words and an order: German keeps the order of a
statement and puts the infinitive behind a modal verb last, French puts a color behind its noun. Names are copied. All nouns are
masculine in both languages, so that articles and endings follow from the place in the sentence.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass

from interp.text.translation_pairs import TranslationPair

PREFIXES = {"de": "translate English to German: ", "fr": "translate English to French: "}

NOUNS = {
    "dog": ("Hund", "chien"),
    "rooster": ("Hahn", "coq"),
    "king": ("König", "roi"),
    "son": ("Sohn", "fils"),
    "brother": ("Bruder", "frère"),
    "father": ("Vater", "père"),
    "doctor": ("Arzt", "médecin"),
    "baker": ("Bäcker", "boulanger"),
    "wolf": ("Wolf", "loup"),
    "fox": ("Fuchs", "renard"),
    "cook": ("Koch", "cuisinier"),
    "teacher": ("Lehrer", "professeur"),
}
COLORS = {
    "black": ("schwarze", "noir"),
    "white": ("weiße", "blanc"),
    "red": ("rote", "rouge"),
    "brown": ("braune", "brun"),
    "gray": ("graue", "gris"),
    "green": ("grüne", "vert"),
}
VERBS = {
    "sees": ("see", "sieht", "sehen", "voit", "voir"),
    "hears": ("hear", "hört", "hören", "entend", "entendre"),
    "finds": ("find", "findet", "finden", "trouve", "trouver"),
    "knows": ("know", "kennt", "kennen", "connaît", "connaître"),
    "greets": ("greet", "grüßt", "grüßen", "salue", "saluer"),
    "seeks": ("seek", "sucht", "suchen", "cherche", "chercher"),
}
MODALS = {"can": ("kann", "peut"), "must": ("muss", "doit"), "will": ("wird", "va")}
NAMES = "Tom Paul Otto Anna Maria Clara".split()
_LANGUAGES = ("de", "fr")


@dataclass(frozen=True, slots=True)
class Sentence:
    """A sentence of the grammar.

    Attributes:
        english: its words.
        translations: language -> the words of its translation.
        links: language -> (English word, word of the translation) of every word, by place.
    """

    english: tuple[str, ...]
    translations: dict[str, tuple[str, ...]]
    links: dict[str, tuple[tuple[int, int], ...]]

    def pair(self, language: str) -> TranslationPair:
        """Source with its task prefix, and target, as a line of a pair file."""
        return TranslationPair("toy", language, PREFIXES[language] + _text(self.english), self.text(language))

    def text(self, language: str) -> str:
        """The translation, its full stop behind the last word."""
        return _text(self.translations[language])

    def gold(self, language: str) -> str:
        """The links as `0-0 2-1`, English first, the task prefix not counted."""
        return " ".join(f"{source}-{target}" for source, target in self.links[language])

    def swaps(self) -> Iterator["Sentence"]:
        """The sentences in which one noun or name is another, and its translations with it."""
        for place, word in enumerate(self.english):
            for others in (NOUNS, {name: (name, name) for name in NAMES}):
                yield from (
                    self._with(place, other, others[other]) for other in others if word in others and word != other
                )

    def _with(self, place: int, word: str, translated: tuple[str, ...]) -> "Sentence":
        """The sentence with another word at a place."""
        translations = {}
        for language, own in zip(_LANGUAGES, translated, strict=True):
            at = dict(self.links[language])[place]
            translations[language] = (*self.translations[language][:at], own, *self.translations[language][at + 1 :])
        return Sentence((*self.english[:place], word, *self.english[place + 1 :]), translations, self.links)


class _Draft:
    """A sentence while it is put together: words that carry the place of their English word."""

    def __init__(self) -> None:
        self.english: list[str] = []
        self.others: dict[str, list[tuple[int, str]]] = {language: [] for language in _LANGUAGES}

    def add(self, english: str, german: str, french: str) -> None:
        for language, word in zip(_LANGUAGES, (german, french), strict=True):
            self.others[language].append((len(self.english), word))
        self.english.append(english)

    def sentence(self) -> Sentence:
        return Sentence(
            tuple(self.english),
            {language: tuple(word for _, word in words) for language, words in self.others.items()},
            {
                language: tuple((source, target) for target, (source, _) in enumerate(words))
                for language, words in self.others.items()
            },
        )


def sentences(count: int, seed: int) -> list[Sentence]:
    """Different sentences of the grammar, a function of the seed."""
    draw = random.Random(f"toy-{seed}")
    found: dict[tuple[str, ...], Sentence] = {}
    while len(found) < count:
        drawn = _statement(draw)
        found.setdefault(drawn.english, drawn)
    return list(found.values())


def _statement(draw: random.Random) -> Sentence:
    draft = _Draft()
    _phrase(draft, draw, subject=True)
    verb = draw.choice(list(VERBS))
    infinitive, german, german_infinitive, french, french_infinitive = VERBS[verb]
    modal = draw.choice(list(MODALS)) if draw.random() < 0.4 else None
    if modal is None:
        draft.add(verb, german, french)
    else:
        draft.add(modal, *MODALS[modal])
        place = len(draft.english)
        draft.add(infinitive, german_infinitive, french_infinitive)
        last = draft.others["de"].pop()
        assert last[0] == place
    _phrase(draft, draw, subject=False)
    if modal is not None:
        draft.others["de"].append(last)
    return draft.sentence()


def _phrase(draft: _Draft, draw: random.Random, subject: bool) -> None:
    if draw.random() < 0.3:
        name = draw.choice(NAMES)
        draft.add(name, name, name)
        return
    indefinite = draw.random() < 0.4
    german = ("ein" if subject else "einen") if indefinite else ("der" if subject else "den")
    draft.add("a" if indefinite else "the", german, "un" if indefinite else "le")
    noun = draw.choice(list(NOUNS))
    if draw.random() < 0.6:
        color = draw.choice(list(COLORS))
        german_color, french_color = COLORS[color]
        # ein schwarzer Hund, der schwarze Hund, den (einen) schwarzen Hund
        ending = "n" if not subject else "r" if indefinite else ""
        draft.add(color, german_color + ending, french_color)
        draft.add(noun, *NOUNS[noun])
        french = draft.others["fr"]
        french[-2], french[-1] = french[-1], french[-2]
        return
    draft.add(noun, *NOUNS[noun])


def _text(words: tuple[str, ...]) -> str:
    return " ".join(words) + "."
