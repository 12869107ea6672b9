"""Names and numbers that a translation copies: those of a pair give way to others, invented ones among them.

A few names make up nearly all of a small corpus ("Tom"), so a model learns them by heart in place of copying. A name here is a
capitalized word that stands on both sides of some pair and never in lower case in an English sentence, which tells "Boston" from
"Six" and "Person"; it is replaced where it stands equally often on both sides, so that endings stay ("Tom's", "Toms").
"""

import random
import re
from collections.abc import Iterable
from dataclasses import replace

from interp.text.translation_pairs import TranslationPair

_CAPITALIZED = re.compile(r"\b[A-Z][a-z]{2,}\b")
_LOWER = re.compile(r"\b[a-z]+\b")
_NUMBER = re.compile(r"(?<![\w.,:])\d+(?![\w:]|[.,]\d)")
_COUNTS = {
    "en": "two three four five six seven eight nine ten".split(),
    "de": "zwei drei vier fünf sechs sieben acht neun zehn".split(),
    "fr": "deux trois quatre cinq six sept huit neuf dix".split(),
}
# None begins with a vowel or a mute h, before which French drops letters, nor ends in a sibilant, after which German does.
KNOWN = (
    "Peter Paul Maria Laura Sarah Lisa Karl Julia Martin Nina Marie Pierre Jean Louise Sophie Camille Robert David Daniel Kevin "
    "Linda Susan Karen John Mary Bill Jack Kate Simon Frank Greta Ken Naomi Ravi Fatima Mohamed Chen Sven Pablo Diego Lucia "
    "Marco Giulia Berlin London Madrid Tokyo Boston Chicago Seattle Dublin Toronto Smith Miller Johnson Baker Clark Walker"
).split()
_ONSETS = "b br d dr f fl g gr k kl kr l m n p pl pr qu r s st t tr v w z ch sch".split()
_VOWELS = "a e i o u ai ee ie ou".split()
_CODAS = ["", "", "", "n", "r", "l", "m", "k", "t", "nd", "rt", "ck", "ng"]


def names_of(pairs: Iterable[TranslationPair]) -> frozenset[str]:
    """The names that pairs share between their sides."""
    shared: set[str] = set()
    common: set[str] = set()
    for pair in pairs:
        shared.update(set(_CAPITALIZED.findall(pair.sentence)) & set(_CAPITALIZED.findall(pair.target)))
        common.update(_LOWER.findall(pair.sentence))
    return frozenset(name for name in shared if name.lower() not in common)


def invented_name(draw: random.Random) -> str:
    """A name of two or three syllables that may mean nothing."""
    syllables = [
        draw.choice(_ONSETS) + draw.choice(_VOWELS) + draw.choice(_CODAS) for _ in range(draw.choice((2, 2, 3)))
    ]
    return "".join(syllables).capitalize()


def renamed(pair: TranslationPair, names: frozenset[str], share: float, draw: random.Random) -> TranslationPair:
    """`pair` with each shared name and number, with probability `share`, replaced by another on both sides."""
    sentence, target = pair.sentence, pair.target
    for name in dict.fromkeys(_CAPITALIZED.findall(sentence)):
        if name in names and sentence.count(name) == target.count(name) and draw.random() < share:
            new = draw.choice(KNOWN) if draw.random() < 0.5 else invented_name(draw)
            sentence, target = sentence.replace(name, new), target.replace(name, new)
    numbers = _NUMBER.findall(sentence)
    if numbers and sorted(numbers) == sorted(_NUMBER.findall(target)) and draw.random() < share:
        others = {number: _number(len(number), draw) for number in dict.fromkeys(numbers)}
        sentence, target = (
            _NUMBER.sub(lambda match: others[match[0]], sentence),
            _NUMBER.sub(lambda match: others[match[0]], target),
        )
    return _with(pair, sentence, target)


def counted(pair: TranslationPair, share: float, draw: random.Random) -> TranslationPair:
    """`pair` with a number word that both sides have once, with probability `share`, replaced by a number in digits."""
    if pair.language not in _COUNTS or draw.random() >= share:
        return pair
    for english, other in zip(_COUNTS["en"], _COUNTS[pair.language], strict=True):
        here, there = (re.compile(rf"\b{word}\b", re.IGNORECASE) for word in (english, other))
        if len(here.findall(pair.sentence)) == 1 == len(there.findall(pair.target)):
            number = _number(draw.randint(1, 4), draw)
            return _with(pair, here.sub(number, pair.sentence), there.sub(number, pair.target))
    return pair


def _number(digits: int, draw: random.Random) -> str:
    return str(draw.randrange(2 if digits == 1 else 10 ** (digits - 1), 10**digits))


def _with(pair: TranslationPair, sentence: str, target: str) -> TranslationPair:
    return replace(pair, source=pair.prefix + sentence, target=target)
