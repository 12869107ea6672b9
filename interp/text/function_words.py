"""Function words: closed-class words (articles, pronouns, prepositions, conjunctions, auxiliaries), language by language.

English has a list of its own: those of stop-word libraries are made for search and hold "man", "old", "room". Other languages
have those of the library `stop-words`, but for lists so long that they cannot be closed classes. Which language a text is in says
its task prefix or its tokenizer; else the words themselves do: the language most of whose function words occur. English gives way
to no single word more. Where several are as likely, only what all of them call a function word is one; where none is, all words
are content. A text that is spelled letter by letter has no words, and lists that hold the alphabet say nothing of it.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import stop_words

ENGLISH = frozenset(
    """
    a an the this that these those my your his her its our their whose each every either neither some any no none both all
    i me mine myself you yours yourself yourselves he him himself she hers herself it itself we us ours ourselves they them
    theirs themselves one who whom which what whatever whoever there
    about above across after against along among around as at before behind below beneath beside besides between beyond by
    despite down during except for from in inside into like near of off on onto opposite out outside over past per since
    through throughout till to toward towards under underneath until up upon via with within without
    and but or nor so yet if unless because although though while whereas whether when where why how than then
    am is are was were be been being do does did done doing have has had having can could may might must shall should will
    would ought cannot not n't
    i'm you're he's she's it's we're they're i've you've we've they've i'll you'll he'll she'll it'll we'll they'll i'd
    you'd he'd she'd we'd they'd isn't aren't wasn't weren't don't doesn't didn't haven't hasn't hadn't can't couldn't won't
    wouldn't shan't shouldn't mustn't that's there's what's who's where's let's
    """.split()
)

_DEFAULT = "english"
"""Which language it is where no other has two function words more: "A cat" has one, and two in Romanian."""

_LONGEST = 700
"""Words of a list that may still be closed classes; Persian, Vietnamese, Finnish and Gujarati have longer ones."""

_FEWEST = 2
"""Words that a text must have for them to say what language it is in: a name may be some language's preposition."""

_THREE_LETTERS = dict(
    zip(
        "ara arb bul cat ces dan deu ell eng fra heb hin hun ind ita jpn kor nld nob pol por ron rus slk spa swe tur "
        "ukr zho".split(),
        "ar ar bg ca cs da de el en fr he hi hu id it ja ko nl nb pl pt ro ru sk es sv tr uk zh".split(),
        strict=True,
    )
)
"""ISO 639-3, as NLLB and Marian write languages -> ISO 639-1, as the library does."""


@dataclass(frozen=True, slots=True)
class FunctionWords:
    """The function words of a text's language, or, where more than one is as likely, those that they share."""

    languages: tuple[str, ...]
    words: frozenset[str]

    @classmethod
    def of(cls, words: Iterable[str], hint: str = "") -> "FunctionWords":
        """The function words that count in a text.

        Args:
            words: the words of the text.
            hint: a language's English name or code ("German", "de", "de_DE"), if it is known.
        """
        lists = _lists()
        if hint:
            name = language_name(hint)
            return cls((name,), lists[name]) if name in lists else cls((), frozenset())
        spoken = Counter(plain(word) for word in words if any(map(str.isalnum, word)))
        hits = {name: sum(count for word, count in spoken.items() if word in known) for name, known in lists.items()}
        most = max(hits.values())
        if most == 0 or spoken.total() < _FEWEST or _is_spelled(spoken):
            return cls((), frozenset())
        best = tuple(name for name, count in hits.items() if count == most)
        best = (_DEFAULT,) if hits[_DEFAULT] >= max(most - 1, 1) else best
        return cls(best, frozenset.intersection(*(lists[name] for name in best)))

    def __contains__(self, word: object) -> bool:
        return plain(str(word)) in self.words


def _is_spelled(spoken: Counter[str]) -> bool:
    """Whether most words are single letters of a script that has capitals; elsewhere a sign may be a word."""
    return 2 * sum(count for word, count in spoken.items() if len(word) == 1 and word != word.upper()) > spoken.total()


def plain(word: str) -> str:
    """A word as lists have it: small letters, straight apostrophes.

    Args:
        word: the word.
    """
    return word.lower().replace("’", "'")


def language_name(language: str) -> str:
    """The English name of a language in small letters, as far as the library knows it; the code itself otherwise.

    Args:
        language: a name or a code: "German", "de", "de_DE", "deu_Latn", ">>deu<<".
    """
    code = language.lower().strip("<> ").replace("-", "_").partition("_")[0]
    code = _THREE_LETTERS.get(code, code)
    return str(stop_words.LANGUAGE_MAPPING.get(code, code))


@cache
def _lists() -> dict[str, frozenset[str]]:
    read = {name: frozenset(stop_words.get_stop_words(name)) for name in sorted(stop_words.AVAILABLE_LANGUAGES)}
    return {name: words for name, words in read.items() if len(words) <= _LONGEST} | {_DEFAULT: ENGLISH}
