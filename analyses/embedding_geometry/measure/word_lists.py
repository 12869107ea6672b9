"""The words and sentences that are compared by default, all of them chosen by hand before any number was seen.

`GROUPS` are two kinds of things; the first five words of each are the classic example. `MIXED` are everyday nouns of neither
kind: controls are drawn from them, matched in frequency. `TEMPLATES` put a word into sentences that say the same of any word.
The rest is read from `texts/`:

    TRANSLATIONS   nouns with one usual translation each
    WORD_PAIRS     sentences in three languages, their words aligned by hand (`interp.prompts.aligned_words`)
    USAGES         sentences in which one English word means two things, four a sense; the word stands in the same form in all of
                   them. Senses may differ in grammar as well as in meaning (light: noun, adjective)
"""

from importlib import resources
from typing import NamedTuple

from interp.prompts import aligned_words

GROUPS: dict[str, tuple[str, ...]] = {
    "furniture": tuple(
        "chair table plate knife spoon bed couch desk sofa bench stool mirror pillow carpet lamp shelf fork cabinet".split()
    ),
    "animals": tuple(
        "horse goat sheep cat dog cow bird elephant monkey chicken fish donkey camel lion pig rabbit mouse bear".split()
    ),
}

MIXED: tuple[str, ...] = tuple(
    """
    house water book school car money hand street friend morning game story river music paper doctor garden church police
    hospital city tree mountain bread coffee milk apple rain snow winter summer shirt dress hat jacket shoe ball guitar piano
    train bus boat bridge beach road teacher student baby brother sister mother father question answer country world war peace
    heart eye head foot arm face hair blood fire stone sand field forest lake sea sky sun star picture movie song phone computer
    machine engine wheel key newspaper ticket birthday wedding party week minute year office factory market shop store
    restaurant kitchen bathroom wall floor roof stairs corner building king uncle language island moon letter month hour tower
    """.split()
)

TEMPLATES: tuple[str, ...] = (
    "This is a {word}.",
    "I saw the {word} yesterday.",
    "Where is the {word}?",
    "There is a {word} in the picture.",
)


class Usage(NamedTuple):
    """A sentence with a word that has several senses.

    Attributes:
        word: the word, as it stands in the sentence.
        sense: a short name of its sense here.
        sentence: the sentence.
    """

    word: str
    sense: str
    sentence: str


def _text(name: str) -> str:
    return (
        resources
        .files("analyses.embedding_geometry.measure")
        .joinpath("texts", name)
        .read_text(encoding="utf-8")
        .strip()
    )


def _usages() -> tuple[Usage, ...]:
    """A line with a bar names a word and a sense, and the next four are its sentences."""
    blocks = [block.splitlines() for block in _text("word_senses.txt").split("\n\n")]
    return tuple(
        Usage(word, sense, sentence)
        for heading, *sentences in blocks
        for word, sense in [heading.split(" | ")]
        for sentence in sentences
    )


_COLUMNS = tuple(zip(*(line.split() for line in _text("translations.txt").splitlines()), strict=True))

TRANSLATIONS: dict[str, tuple[str, ...]] = {language: tuple(words) for language, *words in _COLUMNS}
"""Language -> words, the same things in the same order."""

WORD_PAIRS = aligned_words()
"""Language -> aligned words, sentence by sentence."""

LANGUAGES = tuple(WORD_PAIRS)
"""Those that English words are compared with."""

USAGES = _usages()
"""All sentences of words with two senses, ordered by word and sense."""
