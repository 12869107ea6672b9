"""What the model is asked to do: the examples of every task, made from translation pairs.

Tasks: translation as in the pair file; with `reverse` also in the other direction; `spans`, span corruption of the texts without
a prefix; `infills`, one hidden word of a text; `labels`, "language: " and a text, to be answered by the name of its language, one
piece long. Translations are varied too: names and numbers change (`copying.py`), sources are typed as people type (`noise.py`),
and some are of two sentences. Every share is a field of the recipe, and what is 0 there draws no random number here, so that a
recipe without it gives the same texts.
"""

import itertools
import random
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from transformers import PreTrainedTokenizerBase

from interp.errors import InputError
from interp.text.translation_pairs import TranslationPair
from training.copying import counted, names_of, renamed
from training.data import Example
from training.noise import cased, noised, typed
from training.recipe import Recipe
from training.spans import CORRUPTION, SPAN, corrupted, hidden_places, hide_word

LABEL_PREFIX = "language: "
_PREFIX = re.compile(r"translate (\w+) to (\w+): ")
_LONGEST_JOIN = 3
LONGEST = 512


class Encoder:
    """Turns texts into token ids and remembers those of this epoch and the last, because most texts come back every epoch.

    Sides longer than the tokenizer's `model_max_length`, or than 512 tokens as T5's, are cut, keeping `</s>`.

    Attributes:
        tokenizer: the tokenizer.
        longest: tokens of a side at most, `</s>` included.
        end: id of `</s>`.
        sentinels: ids of `<extra_id_0>`, `<extra_id_1>` and so on, as many as the tokenizer has.
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase) -> None:
        self.tokenizer = tokenizer
        self.longest = min(tokenizer.model_max_length, LONGEST)
        self.end: int = tokenizer.eos_token_id
        known = tokenizer.get_vocab()
        names = itertools.takewhile(known.__contains__, (f"<extra_id_{index}>" for index in itertools.count()))
        self.sentinels = tuple(known[name] for name in names)
        self._known: dict[str, tuple[int, ...]] = {}
        self._last: dict[str, tuple[int, ...]] = {}

    def turn(self) -> None:
        """Begins an epoch: what neither it nor the one before asks for is forgotten."""
        self._last, self._known = self._known, {}

    def ids(self, texts: Iterable[str]) -> tuple[tuple[int, ...], ...]:
        """Token ids of each text, ended by `</s>`."""
        wanted = list(texts)
        new = []
        for text in dict.fromkeys(wanted):
            if text in self._last:
                self._known[text] = self._last[text]
            elif text not in self._known:
                new.append(text)
        if new:
            rows = self.tokenizer(new, truncation=True, max_length=self.longest, return_attention_mask=False)[
                "input_ids"
            ]
            self._known.update((text, tuple(row)) for text, row in zip(new, rows, strict=True))
        return tuple(self._known[text] for text in wanted)

    def encode(self, texts: Iterable[tuple[str, str]]) -> tuple[Example, ...]:
        """Token ids of source and target texts."""
        sides = list(texts)
        ids = self.ids(text for side in sides for text in side)
        return tuple(Example(source, target) for source, target in zip(ids[::2], ids[1::2], strict=True))


class Mixture:
    """The examples of a recipe's tasks over some pairs.

    Attributes:
        pairs: the translation pairs.
        recipe: which tasks, and how often.
        encoder: makes ids of texts.
    """

    def __init__(self, pairs: Sequence[TranslationPair], recipe: Recipe, encoder: Encoder) -> None:
        self.pairs = pairs
        self.recipe = recipe
        self.encoder = encoder
        self._names = names_of(pairs) if recipe.copies else frozenset()
        self._alike: dict[tuple[str, str], list[TranslationPair]] = {}
        for pair in pairs:
            self._alike.setdefault((pair.corpus, pair.prefix), []).append(pair)

    def epoch(self, epoch: int) -> tuple[tuple[Example, ...], ...]:
        """The examples of each task in one epoch, a function of the pairs, the recipe and the epoch alone."""
        self.encoder.turn()
        seed = f"{self.recipe.seed}-{epoch}"
        return (
            self.encoder.encode(self.translations(random.Random(f"tasks-{seed}"))),
            self.encoder.encode(self.infills(random.Random(f"infills-{seed}"), self.recipe.infills)),
            self.encoder.encode(self.labels(random.Random(f"labels-{seed}"), self.recipe.labels)),
            self.spans(random.Random(f"spans-{seed}"), self.recipe.spans),
        )

    def held_out(self) -> Mapping[str, tuple[Example, ...]]:
        """Examples of each task that the recipe has, one a pair and the same every time, by the name of the task.

        `translation` are the pairs as they are; `lower` are those with their prefix in lower case.
        """
        recipe, encode = self.recipe, self.encoder.encode
        sets = {"translation": encode((pair.source, pair.target) for pair in self.pairs)}
        if recipe.lower_prefixes:
            sets["lower"] = encode((pair.prefix.lower() + pair.sentence, pair.target) for pair in self.pairs)
        if recipe.reverse:
            sets["reverse"] = encode((reversed_prefix(p.prefix) + p.target, p.sentence) for p in self.pairs)
        if recipe.spans:
            sets["spans"] = self.spans(random.Random("spans"), 1.0)
        if recipe.infills:
            sets["infills"] = encode(self.infills(random.Random("infills"), 1.0))
        if recipe.labels:
            plain = Mixture(self.pairs, Recipe(), self.encoder)
            sets["labels"] = encode(plain.labels(random.Random("labels"), 1.0))
        return {name: examples for name, examples in sets.items() if examples}

    def translations(self, draw: random.Random) -> Iterator[tuple[str, str]]:
        """Sources and targets of one epoch of translation, in both directions where the recipe says so."""
        recipe = self.recipe
        repeats = {(corpus, language): count for corpus, language, count in recipe.repeats}
        for pair in self.pairs:
            for _ in range(repeats.get((pair.corpus, pair.language), 1)):
                yield self._varied(pair, draw)
            if recipe.reverse and (recipe.reverse_share == 1.0 or draw.random() < recipe.reverse_share):
                yield self._varied_backwards(pair, draw)

    def spans(self, draw: random.Random, share: float) -> tuple[Example, ...]:
        """Span corruption of a share of the texts, each of one sentence or, with the recipe's share, of two or three.

        Raises:
            InputError: if the tokenizer has too few sentinels.
        """
        if share and len(self.encoder.sentinels) < round(CORRUPTION * self.encoder.longest / SPAN) + 2:
            raise InputError(
                f"Span corruption needs sentinels, but the tokenizer has {len(self.encoder.sentinels)}. Set spans to 0."
            )
        chosen = []
        for pair in self.pairs if share else ():
            if draw.random() < share:
                side = draw.random() < 0.5
                more = draw.randrange(1, _LONGEST_JOIN) if _hits(self.recipe.joined_spans, draw) else 0
                every = [pair, *(self._like(pair, draw) for _ in range(more))]
                chosen.append([_side(each, side) for each in every])
        known = iter(self.encoder.ids(text for texts in chosen for text in texts))
        examples = []
        for texts in chosen:
            ids = [token for _ in texts for token in next(known)[:-1]][: self.encoder.longest - 1]
            if len(ids) > 1:
                hidden = hidden_places(len(ids), draw, self.recipe.roll_spans)
                source, target = corrupted(ids, hidden, self.encoder.sentinels)
                examples.append(Example((*source, self.encoder.end), (*target, self.encoder.end)))
        return tuple(examples)

    def infills(self, draw: random.Random, share: float) -> Iterator[tuple[str, str]]:
        """A share of the texts with one word hidden, and the word."""
        for pair in self.pairs if share else ():
            if draw.random() < share:
                hidden = hide_word(_side(pair, draw.random() < 0.5), draw)
                if hidden is not None:
                    yield hidden

    def labels(self, draw: random.Random, share: float) -> Iterator[tuple[str, str]]:
        """A share of the texts, typed as people type, and the names of their languages."""
        for pair in self.pairs if share else ():
            if draw.random() < share:
                side = draw.random() < 0.5
                name = languages(pair.prefix)[0 if side else 1]
                yield (
                    cased(LABEL_PREFIX, self.recipe, draw) + typed(_side(pair, side), self.recipe, draw),
                    name,
                )

    def _varied(self, pair: TranslationPair, draw: random.Random) -> tuple[str, str]:
        recipe = self.recipe
        pair = self._copying(pair, draw)
        source, target = noised(pair, recipe.input_noise, draw), pair.target
        if _hits(recipe.joined, draw):
            other = self._copying(self._like(pair, draw), draw)
            source, target = f"{source} {other.sentence}", f"{target} {other.target}"
        prefix = pair.prefix
        if recipe.lost_marks or recipe.lower_sentences or recipe.slips:
            source = typed(source, recipe, draw)
        if recipe.lower_prefixes or recipe.upper_prefixes:
            prefix = cased(prefix, recipe, draw)
        return prefix + source, target

    def _varied_backwards(self, pair: TranslationPair, draw: random.Random) -> tuple[str, str]:
        pair = self._copying(pair, draw)
        prefix, source = reversed_prefix(pair.prefix), pair.target
        if self.recipe.lost_marks or self.recipe.lower_sentences or self.recipe.slips:
            source = typed(source, self.recipe, draw)
        if self.recipe.lower_prefixes or self.recipe.upper_prefixes:
            prefix = cased(prefix, self.recipe, draw)
        return prefix + source, pair.sentence

    def _copying(self, pair: TranslationPair, draw: random.Random) -> TranslationPair:
        if self.recipe.copies:
            pair = renamed(pair, self._names, self.recipe.copies, draw)
        return counted(pair, self.recipe.counts, draw) if self.recipe.counts else pair

    def _like(self, pair: TranslationPair, draw: random.Random) -> TranslationPair:
        return draw.choice(self._alike[pair.corpus, pair.prefix])


def languages(prefix: str) -> tuple[str, str]:
    """The languages that a prefix names: ("English", "German") for "translate English to German: ".

    Raises:
        InputError: if the prefix has not this form.
    """
    match = _PREFIX.fullmatch(prefix)
    if match is None:
        raise InputError(
            f"The prefix {prefix!r} does not name two languages, as only 'translate A to B: ' does, so it cannot be reversed. "
            "Set reverse to false and labels to 0, or change the pairs."
        )
    return match[1], match[2]


def reversed_prefix(prefix: str) -> str:
    """The prefix of the opposite direction: "translate German to English: " for "translate English to German: ".

    Raises:
        InputError: if the prefix has not this form.
    """
    source, target = languages(prefix)
    return f"translate {target} to {source}: "


def _side(pair: TranslationPair, source: bool) -> str:
    return pair.sentence if source else pair.target


def _hits(share: float, draw: random.Random) -> bool:
    """Whether a chance of `share` comes true; a share of 0 draws nothing."""
    return share > 0.0 and draw.random() < share
