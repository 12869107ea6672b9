"""How people type: prefixes in any case, missing marks, lower case, slips of the finger. The target stays as it is."""

import random

from interp.text.translation_pairs import TranslationPair
from training.recipe import Recipe

_MARKS = ".!?"


def noised(pair: TranslationPair, share: float, draw: random.Random) -> str:
    """The sentence, with probability `share` each begun in lower case and without its final stop."""
    sentence = pair.sentence
    if draw.random() < share:
        sentence = sentence[0].lower() + sentence[1:]
    if draw.random() < share and sentence.endswith(".") and len(sentence) > 1:
        sentence = sentence[:-1]
    return sentence


def typed(sentence: str, recipe: Recipe, draw: random.Random) -> str:
    """The sentence, each with the recipe's share: without its closing mark, in lower case, and with one slip."""
    if draw.random() < recipe.lost_marks and sentence[-1:] in _MARKS:
        sentence = sentence[:-1].rstrip() or sentence
    if draw.random() < recipe.lower_sentences:
        sentence = sentence.lower()
    if draw.random() < recipe.slips:
        sentence = slipped(sentence, draw)
    return sentence


def cased(prefix: str, recipe: Recipe, draw: random.Random) -> str:
    """The task prefix, with the recipe's shares in lower or in upper case."""
    chance = draw.random()
    if chance < recipe.lower_prefixes:
        return prefix.lower()
    return prefix.upper() if chance < recipe.lower_prefixes + recipe.upper_prefixes else prefix


def slipped(text: str, draw: random.Random) -> str:
    """`text` with one letter left out, doubled, or changed places with the next; unchanged where no two letters meet."""
    places = [index for index in range(len(text) - 1) if text[index].isalpha() and text[index + 1].isalpha()]
    if not places:
        return text
    at = draw.choice(places)
    first, second = text[at], text[at + 1]
    return text[:at] + draw.choice((second, first + first + second, second + first)) + text[at + 2 :]
