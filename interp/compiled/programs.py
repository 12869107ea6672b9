"""The programs: eight tasks that need one or both stacks, and two of them again with noise."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import cache
from itertools import permutations, product

from interp.compiled.language import (
    ANYTHING,
    EOS,
    PAD,
    Attend,
    Level,
    Match,
    Token,
    Variable,
    each,
    equal,
    look_up,
    shift,
    table,
)
from interp.compiled.program import Example, Noise, Program, vocabulary
from interp.errors import InputError, did_you_mean

ANIMALS = ("ant", "bee", "cat", "dog", "elk")
GERMAN = dict(zip(ANIMALS, ("ameise", "biene", "katze", "hund", "elch"), strict=True))
FRENCH = dict(zip(ANIMALS, ("fourmi", "abeille", "chat", "chien", "élan"), strict=True))
LONGEST = 4
"""Words of a source, beside its prefix."""


def find_program(name: str) -> Program:
    """One program.

    Args:
        name: its name.

    Raises:
        InputError: if there is none of that name.
    """
    if name not in PROGRAMS:
        known = ", ".join(PROGRAMS)
        raise InputError(f"No program is called {name!r}{did_you_mean(name, PROGRAMS)}; there are {known}.")
    return PROGRAMS[name]()


def _tokens(words: tuple[str, ...]) -> tuple[Token, Token]:
    return Token("token", "encoder", vocabulary(words)), Token("token", "decoder", vocabulary(words))


def _same(values: Sequence[str]) -> dict[str, str]:
    return dict(zip(values, values, strict=True))


def _politely(text: str) -> tuple[str, ...]:
    """A source as it is, and with a word before or behind that moves all others and matters to nobody."""
    return text, f"please {text}", f"{text} please"


def _lists(words: Sequence[str], shortest: int = 1) -> Iterator[tuple[str, ...]]:
    """All lists of different words."""
    for length in range(shortest, LONGEST + 1):
        yield from permutations(words, length)


@cache
def _copy(name: str = "copy", noise: Noise | None = None) -> Program:
    words = ("copy:", *ANIMALS)
    source, target = _tokens(words)
    previous = shift("previous", source, -1)
    asked = Match(target, previous, equal(ANIMALS) | {(PAD, "copy:"): 1.0})
    copied = look_up("copied", "cross", source, _same((*ANIMALS, EOS)), asked)

    def examples() -> Iterator[Example]:
        for chosen in _lists(ANIMALS):
            yield Example(f"copy: {' '.join(chosen)}", " ".join(chosen))

    task = "writes up to four different words again: `copy: cat ant` -> `cat ant`"
    return Program(name, task, words, (copied,), examples, noise=noise)


@cache
def _reverse() -> Program:
    words = ("reverse:", *ANIMALS)
    source, target = _tokens(words)
    following = shift("following", source, 1)
    asked = Match(target, following, equal(ANIMALS) | {(PAD, EOS): 1.0})
    found = look_up("found", "cross", source, _same(ANIMALS) | {"reverse:": EOS}, asked)

    def examples() -> Iterator[Example]:
        for chosen in _lists(ANIMALS):
            yield Example(f"reverse: {' '.join(chosen)}", " ".join(reversed(chosen)))

    task = "writes up to four different words from the last to the first: `reverse: cat ant` -> `ant cat`"
    return Program("reverse", task, words, (found,), examples)


def _written_in_order(target: Token, translated: Variable, words: Sequence[str], heads: int = 1) -> Attend:
    """The translation after the one that the decoder wrote last."""
    previous = shift("previous", translated, -1, heads)
    asked = Match(target, previous, equal(words) | {(PAD, "start"): 1.0})
    return look_up("written", "cross", translated, _same((*words, EOS)), asked)


@cache
def _translate(name: str = "translate", heads: int = 1, noise: Noise | None = None) -> Program:
    german = tuple(GERMAN.values())
    words = ("translate:", *ANIMALS, *german)
    source, target = _tokens(words)
    entries: dict[tuple[str, ...], str] = {(word,): other for word, other in GERMAN.items()}
    translated = table("translated", (source,), {**entries, ("translate:",): "start", (EOS,): EOS})

    def examples() -> Iterator[Example]:
        for chosen in _lists(ANIMALS):
            yield Example(f"translate: {' '.join(chosen)}", " ".join(GERMAN[word] for word in chosen))

    task = "translates up to four different words by a table: `translate: cat ant` -> `katze ameise`"
    written = _written_in_order(target, translated, german, heads)
    return Program(name, task, words, (written,), examples, noise=noise)


@cache
def _switch() -> Program:
    tables = {"german:": GERMAN, "french:": FRENCH}
    foreign = (*GERMAN.values(), *FRENCH.values())
    words = (*tables, "please", *ANIMALS, *foreign)
    source, target = _tokens(words)
    language = look_up(
        "language", "encoder", source, _same(tuple(tables)), Match(None, source, each((ANYTHING,), tables))
    )
    entries: dict[tuple[str, ...], str] = {(prefix, prefix): "start" for prefix in tables}
    for prefix, words_of in tables.items():
        entries |= dict.fromkeys(((EOS, prefix), ("please", prefix)), EOS)
        entries |= {(word, prefix): other for word, other in words_of.items()}
    translated = table("translated", (source, language), entries)

    def examples() -> Iterator[Example]:
        for prefix, chosen in product(tables, _lists(ANIMALS)):
            for text in _politely(f"{prefix} {' '.join(chosen)}"):
                yield Example(text, " ".join(tables[prefix][word] for word in chosen))

    task = "translates by the table that the prefix names: `french: cat ant` -> `chat fourmi`"
    return Program("switch", task, words, (_written_in_order(target, translated, foreign),), examples)


@cache
def _agreement() -> Program:
    nouns = {"cat": "singular", "dog": "singular", "cats": "plural", "dogs": "plural"}
    verbs = ("sleep", "run", "bark")
    forms: dict[tuple[str, ...], str] = {
        (verb, number): f"{verb}s" if number == "singular" else verb for verb in verbs for number in nouns.values()
    }
    words = ("agree:", "near", "please", *nouns, *verbs, *(f"{verb}s" for verb in verbs))
    source, target = _tokens(words)
    previous = shift("previous", source, -1)
    number = look_up("number", "encoder", source, nouns, Match(None, previous, each((ANYTHING,), ("agree:",))))
    ends: dict[tuple[str, ...], str] = {(EOS, one): EOS for one in nouns.values()}
    inflected = table("inflected", (source, number), {**forms, **ends})
    asked = each((PAD,), verbs) | each(dict.fromkeys(forms.values()), (EOS,))
    verb = look_up("verb", "cross", inflected, _same(inflected.values), Match(target, source, asked))

    def examples() -> Iterator[Example]:
        for count in (1, 2, 3):
            for chosen, stem in product(product(nouns, repeat=count), verbs):
                for text in _politely(f"agree: {' near '.join(chosen)} {stem}"):
                    yield Example(text, forms[stem, nouns[chosen[0]]])

    task = "writes the verb as the first noun wants it, past up to two others: `agree: cat near dogs run` -> `runs`"
    return Program("agreement", task, words, (verb,), examples)


@cache
def _duplicate() -> Program:
    words = ("duplicate:", "please", *ANIMALS, "none")
    source, target = _tokens(words)
    # Away from itself every word looks for its like; one that has none looks everywhere, and finds no word in particular.
    twin = replace(
        look_up("twin", "encoder", source, _same(ANIMALS), Match(source, source, equal(ANIMALS))), offsets={0: -2.0}
    )
    repeated = table("repeated", (source, twin), dict.fromkeys(zip(ANIMALS, ANIMALS, strict=True), "yes"))
    found = look_up(
        "found",
        "cross",
        source,
        _same((*ANIMALS, EOS)) | {"duplicate:": "none"},
        Match(target, repeated, {(PAD, "yes"): 2.0}),
        Match(target, source, {(PAD, "duplicate:"): 1.0, **each((*ANIMALS, "none"), (EOS,))}),
    )

    def examples() -> Iterator[Example]:
        for length in range(2, LONGEST + 1):
            for chosen in product(ANIMALS, repeat=length):
                twice = {word for word in chosen if chosen.count(word) > 1}
                if len(set(chosen)) < length - 1:
                    continue
                for text in _politely(f"duplicate: {' '.join(chosen)}"):
                    yield Example(text, "".join(twice) or "none")

    task = "writes the word that occurs twice, or none: `duplicate: cat ant cat` -> `cat`"
    return Program("duplicate", task, words, (found,), examples)


@cache
def _continue() -> Program:
    words = ("until:", "please", *ANIMALS)
    source, target = _tokens(words)
    previous = shift("previous", target, -1)
    following = look_up("following", "decoder", target, _same(ANIMALS), Match(target, previous, equal(ANIMALS)))
    last = look_up("last", "cross", source, _same(ANIMALS), Match(None, source, each((ANYTHING,), ANIMALS)))
    entries: dict[tuple[str, ...], str] = {
        (word, end): EOS if word == end else word for word, end in product(ANIMALS, ANIMALS)
    }
    written = table("written", (following, last), entries)

    def examples() -> Iterator[Example]:
        for chosen in _lists(ANIMALS, shortest=2):
            for end in ANIMALS:
                again = chosen[1 : chosen.index(end)] if end in chosen[1:] else chosen[1:]
                target_words = (*chosen, chosen[0], *again)
                for text in _politely(f"until: {end}"):
                    yield Example(text, " ".join(target_words), len(chosen) + 1, end in chosen[1:])

    task = (
        "goes on with a target that repeats, up to a word: `until: dog` after `cat ant dog cat` -> `ant`, then the end"
    )
    return Program("continue", task, words, (written,), examples)


@cache
def _count() -> Program:
    numbers = ("zero", "one", "two", "three", "four")
    words = ("count:", "please", "apple", "pear", "plum", *numbers)
    source, target = _tokens(words)
    asked = each((PAD,), ("count:", "apple")) | each(numbers, (EOS,))
    share = look_up("share", "cross", source, {"count:": "share", EOS: EOS}, Match(target, source, asked))
    # The prefix is one of 1 + apples keys.
    number = Level("number", "decoder", numbers, share, "share", {word: 1 / (1 + k) for k, word in enumerate(numbers)})

    def examples() -> Iterator[Example]:
        for length in range(1, LONGEST + 1):
            for chosen in product(("apple", "pear", "plum"), repeat=length):
                for text in _politely(f"count: {' '.join(chosen)}"):
                    yield Example(text, numbers[chosen.count("apple")])

    task = "counts apples among up to four fruits: `count: apple plum apple` -> `two`"
    return Program("count", task, words, (number, share), examples)


def _noisy_copy() -> Program:
    noisy = _copy("noisy-copy", Noise(seed=1))
    return replace(noisy, constant=4.0, margin=4.5, task=f"{noisy.task}; among random heads, all weights with noise")


def _noisy_translate() -> Program:
    noisy = _translate("noisy-translate", 2, Noise(seed=2))
    task = f"{noisy.task}; the word before is split over two heads, all weights with noise"
    return replace(noisy, constant=4.0, margin=4.5, task=task)


PROGRAMS: dict[str, Callable[[], Program]] = {
    "copy": _copy,
    "reverse": _reverse,
    "translate": _translate,
    "switch": _switch,
    "agreement": _agreement,
    "duplicate": _duplicate,
    "continue": _continue,
    "count": _count,
    "noisy-copy": _noisy_copy,
    "noisy-translate": _noisy_translate,
}
"""Name -> how the program is made."""
