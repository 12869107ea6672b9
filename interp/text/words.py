"""Words: which token belongs to which word, and what kind of token it is.

A word is a run of letters and digits (with inner apostrophes and hyphens) or a single other mark; tokens are mapped to words
by character offsets, so the map does not depend on how a tokenizer marks word starts. The categories are a partition of the
source tokens (Ferrando and Costa-jussà 2021 for the special role of end-of-sentence, Raffel et al. 2020 for prefixes):

    prefix       the task prefix, e.g. "translate English to German:"; start tokens and language marks of other families
    content      words outside the closed class, numbers included
    function     closed-class words: articles, pronouns, prepositions, conjunctions, auxiliaries, particles (`FUNCTION_WORDS`)
    punctuation  marks
    eos          the end-of-sentence token
    sentinel     span-corruption sentinels <extra_id_N>
    pad          padding, which must never receive attention

Content against function is decided by word list, not by a tagger: it is exact to reproduce, and it calls unlisted
function words of other languages content.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

CATEGORIES = ("prefix", "content", "function", "punctuation", "eos", "sentinel", "pad")
PREFIX, CONTENT, FUNCTION, PUNCTUATION, EOS, SENTINEL, PAD = range(len(CATEGORIES))

NO_WORD = -1
"""Word index of tokens that belong to no word: end of sentence, padding, sentinels."""

FUNCTION_WORDS = frozenset(
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

_WORD = re.compile(r"\w+(?:['’-]\w+)*|[^\w\s]")
_TASKS = (
    r"translate [^\W\d_]+ to [^\W\d_]+|summarize|cola sentence|sst2 sentence|mrpc sentence1|stsb sentence1|qqp question1|"
    r"qnli question|rte sentence1|mnli hypothesis|mnli premise|wnli sentence1|copa choice1|multirc question|wic pos|"
    r"record query|boolq passage|question"
)
_PREFIX = re.compile(rf"\s*(?:{_TASKS}):", re.IGNORECASE)

Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Words:
    """The words of one text, in order, and their half-open character ranges."""

    texts: tuple[str, ...]
    spans: tuple[Span, ...]

    @classmethod
    def of(cls, text: str) -> "Words":
        """The words and marks of a text.

        Args:
            text: the text.
        """
        matches = tuple(_WORD.finditer(text))
        return cls(tuple(match.group() for match in matches), tuple(match.span() for match in matches))

    def index(self, spans: Sequence[Span]) -> tuple[int, ...]:
        """The word of every token.

        Args:
            spans: half-open character range of every token; empty for special tokens.

        Returns:
            For every token the word it shares most characters with (the earlier one on a tie), or `NO_WORD`.
        """
        return tuple(self._word_at(span) for span in spans)

    def _word_at(self, span: Span) -> int:
        shared = [min(end, span[1]) - max(start, span[0]) for start, end in self.spans]
        best = max(range(len(shared)), key=shared.__getitem__, default=NO_WORD)
        return best if best != NO_WORD and shared[best] > 0 else NO_WORD


def task_prefix(text: str) -> str:
    """The T5 task prefix that a text starts with, colon included, or an empty string.

    Known are the prefixes T5 was trained with (Raffel et al. 2020, appendix D), `translate X to Y:` for any X and Y. Other
    prefixes must be named by the caller.

    Args:
        text: a source text.
    """
    match = _PREFIX.match(text)
    return match.group() if match else ""


def categorize(words: Words, spans: Sequence[Span], prefix_length: int) -> tuple[int, ...]:
    """The category of every token that has characters of its own: prefix, content, function or punctuation.

    Args:
        words: the words of the text.
        spans: half-open character range of every token.
        prefix_length: number of leading characters that are task prefix.

    Returns:
        For every token an index into `CATEGORIES`; tokens without a word that lie outside the prefix count as punctuation.
    """
    return tuple(
        PREFIX if span[0] < prefix_length and span[1] > span[0] else _category_of_word(words, word)
        for span, word in zip(spans, words.index(spans), strict=True)
    )


def _category_of_word(words: Words, index: int) -> int:
    if index == NO_WORD or not any(character.isalnum() for character in words.texts[index]):
        return PUNCTUATION
    return FUNCTION if words.texts[index].lower().replace("’", "'") in FUNCTION_WORDS else CONTENT
