"""Which words of everyday English sentences translate which words of their German and French versions?

61 sentences in three languages, their content words aligned by hand: those of the prompt set `translation`, then as many of the
same kind. German and French are our own translations, and where the prompt set `references` has one, that one. Links join one
word with one word; what one language says with two (wooden chair, Holzstuhl) has no link.
"""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple


class WordPair(NamedTuple):
    """Two words that translate each other in parallel sentences.

    Attributes:
        sentence: number of the English sentence, from 0.
        english: the English word, as it stands there.
        english_sentence: its sentence.
        foreign: its translation, as it stands there.
        foreign_sentence: that one's sentence.
    """

    sentence: int
    english: str
    english_sentence: str
    foreign: str
    foreign_sentence: str


@cache
def aligned_words() -> Mapping[str, tuple[WordPair, ...]]:
    """Language -> its aligned words, sentence by sentence.

    A paragraph of the file is an English sentence, then for each language a sentence and, behind a bar, its links.
    """
    pairs: dict[str, list[WordPair]] = {"German": [], "French": []}
    text = resources.files("interp.prompts").joinpath("aligned_words.txt").read_text(encoding="utf-8").strip()
    for number, paragraph in enumerate(text.split("\n\n")):
        english, translations = paragraph.split("\n", 1)
        fields = [field.strip() for field in translations.replace("\n|", " |").replace("\n", " | ").split("|")]
        for language, sentence, links in zip(pairs, fields[::2], fields[1::2], strict=True):
            for link in links.split(", "):
                word, translation = link.split()
                pairs[language].append(WordPair(number, word, english, translation, sentence))
    return {language: tuple(found) for language, found in pairs.items()}
