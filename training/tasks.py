"""What the model is asked to do: texts of every task, made from translation pairs.

Tasks: translation as in the pair file; with `reverse` also in the other direction; with `spans` also span corruption, which has
no prefix (Raffel et al. 2020, JMLR 21:140, section 3.1.4: 15 % of the text in spans of mean length 3, each replaced by one
sentinel; here over words, because the sentences are short). `input_noise` makes some sources begin in lower case and some lose
their final stop, so that casual input is not foreign to the model.
"""

import random
import re
from collections.abc import Iterable, Iterator, Sequence

from transformers import T5Tokenizer

from interp.errors import InputError
from interp.text.translation_pairs import TranslationPair
from training.data import Example
from training.recipe import Recipe

CORRUPTION = 0.15
SPAN = 3


def epoch_texts(pairs: Sequence[TranslationPair], recipe: Recipe, epoch: int) -> Iterator[tuple[str, str]]:
    """Source and target texts of one epoch, a function of the pairs, the recipe and the epoch alone."""
    draw = random.Random(f"tasks-{recipe.seed}-{epoch}")
    repeats = {(corpus, language): count for corpus, language, count in recipe.repeats}
    for pair in pairs:
        for _ in range(repeats.get((pair.corpus, pair.language), 1)):
            yield noised(pair, recipe.input_noise, draw), pair.target
        if recipe.reverse:
            yield reverse_prefix(pair.prefix) + pair.target, pair.sentence
        if draw.random() < recipe.spans:
            yield corrupt_spans(draw.choice((pair.sentence, pair.target)), draw)


def noised(pair: TranslationPair, share: float, draw: random.Random) -> str:
    """The source, with probability `share` each begun in lower case and without its final stop."""
    sentence = pair.sentence
    if draw.random() < share:
        sentence = sentence[0].lower() + sentence[1:]
    if draw.random() < share and sentence.endswith(".") and len(sentence) > 1:
        sentence = sentence[:-1]
    return pair.prefix + sentence


def reverse_prefix(prefix: str) -> str:
    """The prefix of the opposite direction: "translate German to English: " for "translate English to German: ".

    Raises:
        InputError: if the prefix has not this form.
    """
    match = re.fullmatch(r"translate (\w+) to (\w+): ", prefix)
    if match is None:
        raise InputError(
            f"The prefix {prefix!r} cannot be reversed: only 'translate A to B: ' can. Set reverse to false or change the pairs."
        )
    return f"translate {match[2]} to {match[1]}: "


def corrupt_spans(text: str, draw: random.Random) -> tuple[str, str]:
    """Span corruption: `text` with sentinels in place of spans of words, and the spans, each after its sentinel.

    At least one word is hidden and spans never touch, so the two texts together give back `text`.
    """
    words = text.split()
    hidden = max(1, round(CORRUPTION * len(words)))
    spans = max(1, min(round(hidden / SPAN), len(words) - hidden + 1))
    # Cut points make `spans` runs of hidden words, and `spans + 1` gaps of which only the outer ones may be empty.
    cuts = [0, *sorted(draw.sample(range(1, hidden), spans - 1)), hidden]
    shown = len(words) - hidden
    gaps = [0, *sorted(draw.sample(range(shown + 1), spans)), shown]
    source: list[str] = []
    target: list[str] = []
    position = 0
    for index in range(spans):
        begin = position + gaps[index + 1] - gaps[index]
        end = begin + cuts[index + 1] - cuts[index]
        source += [*words[position:begin], f"<extra_id_{index}>"]
        target += [f"<extra_id_{index}>", *words[begin:end]]
        position = end
    return " ".join([*source, *words[position:]]), " ".join([*target, f"<extra_id_{spans}>"])


class Encoder:
    """Turns texts into token ids and remembers them, because most texts come back every epoch.

    Sides longer than the tokenizer's `model_max_length` are cut, keeping `</s>`.
    """

    def __init__(self, tokenizer: T5Tokenizer) -> None:
        self.tokenizer = tokenizer
        self.known: dict[str, tuple[int, ...]] = {}

    def encode(self, texts: Iterable[tuple[str, str]]) -> tuple[Example, ...]:
        """Token ids of source and target texts."""
        sides = list(texts)
        new = list(dict.fromkeys(text for side in sides for text in side if text not in self.known))
        if new:
            rows = self.tokenizer(new, truncation=True, return_attention_mask=False)["input_ids"]
            self.known.update((text, tuple(row)) for text, row in zip(new, rows, strict=True))
        return tuple(Example(self.known[source], self.known[target]) for source, target in sides)
