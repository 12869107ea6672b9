"""Words: which token belongs to which word, and what kind of token it is.

Words are segments of Unicode's text segmentation (UAX 29), with two tailorings: inner hyphens join ("well-known"), and runs of
scripts that need a dictionary to be cut (Thai, Lao, Khmer, Burmese) are one word. Chinese and Japanese thus go by character,
unless the caller gives the words. Tokens are mapped to words by character offsets, so the map does not depend on how a tokenizer
marks word starts; a token of white space alone belongs to the word behind it. The categories are a partition of the source
tokens (Ferrando and Costa-jussà 2021 for the special role of end-of-sentence, Raffel et al. 2020 for prefixes):

    prefix       the task prefix, e.g. "translate English to German:"; start tokens, language marks, added special tokens
    content      words outside the closed class, numbers included
    function     closed-class words: articles, pronouns, prepositions, conjunctions, auxiliaries (`interp.text.function_words`)
    punctuation  marks
    eos          the end-of-sentence token
    sentinel     span-corruption sentinels <extra_id_N>
    pad          padding, which must never receive attention

Positions of a sound have categories of their own (`interp.audio.frames`):

    speech       a frame loud enough to be speech
    silence      a frame of the sound that is not
    padding      a frame behind the end of the sound, silent too, which is read like any other

Content against function is decided by the word list of the text's language, not by a tagger: it is exact to reproduce. In a
language without a list every word is content.
"""

import html
import re
from bisect import bisect_right
from collections.abc import Container, Sequence
from dataclasses import dataclass

import regex

from interp.errors import InputError

CATEGORIES = ("prefix", "content", "function", "punctuation", "eos", "sentinel", "pad")
PREFIX, CONTENT, FUNCTION, PUNCTUATION, EOS, SENTINEL, PAD = range(len(CATEGORIES))
EVERY_CATEGORY = (*CATEGORIES, "speech", "silence", "padding")
"""Categories of tokens, and behind them those of a sound's frames."""
SPEECH, SILENCE, PADDING = range(len(CATEGORIES), len(EVERY_CATEGORY))

NO_WORD = -1
"""Word index of tokens that belong to no word: end of sentence, padding, sentinels, marks."""

_WORD = regex.compile(
    r"""(?wsxV1)
      <extra_id_\d+>                                                   # sentinels
    | \p{Line_Break=SA} [\p{Line_Break=SA}\p{M}]*                      # scripts that need a dictionary
    | [\p{L}\p{N}] .*? \b (?: [-\u2010\u2011] \b [\p{L}\p{N}] .*? \b)*   # words, inner hyphens
    | [^\s\x1c-\x1f] .*? \b                                            # other marks
    """
)
_UNSPACED = regex.compile(r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Line_Break=SA}]")
"""Characters of scripts that put no space between words."""

_LANGUAGE_MARK = re.compile(r"\s*>>[^<>\s]+<<")
"""What Marian's texts begin with where a model writes several languages."""
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
    def of(cls, text: str, marks: Sequence[Span] = ()) -> "Words":
        """The words and marks of a text.

        Args:
            text: the text.
            marks: character ranges that are no words, whatever they hold, in order (special tokens).
        """
        starts, ends = (0, *(end for _, end in marks)), (*(start for start, _ in marks), len(text))
        spans = [match.span() for part in zip(starts, ends, strict=True) for match in _WORD.finditer(text, *part)]
        return cls(tuple(text[start:end] for start, end in spans), tuple(spans))

    @classmethod
    def joined(cls, words: Sequence[str]) -> tuple[str, "Words"]:
        """The text of given words, and the words: a space between two, but none where both scripts go without (Chinese, Thai).

        Args:
            words: the words.

        Raises:
            InputError: if it is no sequence of words, there is no word, or one is empty.
        """
        if not isinstance(words, Sequence) or not all(isinstance(word, str) for word in words):
            raise InputError(f"A text is given whole, in quotes, or as the list of its words; got {words!r:.60}.")
        if not words or not all(word.strip() for word in words):
            raise InputError(f"A list of words needs words, none of them empty; got {list(words)!r}.")
        text, spans = "", []
        for word in map(str.strip, words):
            together = text and _UNSPACED.match(text[-1]) and _UNSPACED.match(word)
            text += "" if together or not text else " "
            spans.append((len(text), len(text) + len(word)))
            text += word
        return text, cls(tuple(map(str.strip, words)), tuple(spans))

    @classmethod
    def spelled(cls, text: str, words: Sequence[str], start: int = 0) -> "Words":
        """Given words, found in the text that they spell.

        Args:
            text: the text as the model reads it.
            words: its words in order; escapes of the Moses tokenizer (`&apos;`, `@-@`) are undone.
            start: where the words begin, for example after a task prefix.

        Raises:
            InputError: if the words are not the characters of the text, naming the first that is not.
        """
        spans = []
        place = start
        for word in words:
            first = None
            for character in "-" if word == "@-@" else html.unescape(word):
                place = _skip_space(text, place)
                if place >= len(text) or text[place] != character:
                    raise InputError(
                        f"The gold word {word!r} does not follow in the text {text[start : start + 60]!r}: expected "
                        f"{character!r} at character {place}, got {text[place : place + 1]!r}. Gold words must spell the "
                        "text, white space aside."
                    )
                first = place if first is None else first
                place += 1
            spans.append((place if first is None else first, place))
        if text[place:].strip():
            raise InputError(
                f"The text goes on with {text[place : place + 30]!r} after its last gold word; give all its words."
            )
        return cls(tuple(words), tuple(spans))

    def index(self, spans: Sequence[Span]) -> tuple[int, ...]:
        """The word of every token.

        Args:
            spans: half-open character range of every token, of nothing but blanks (or empty) for those without a letter of
                their own.

        Returns:
            For every token the word it shares most characters with (the earlier one on a tie); for a blank one the word behind
            it, or the last where none is; `NO_WORD` where the text has no word.
        """
        ends = [end for _, end in self.spans]
        return tuple(self._word_at(span, bisect_right(ends, span[0])) for span in spans)

    def _word_at(self, span: Span, first: int) -> int:
        best, most = min(first, len(self.spans) - 1), 0
        for index in range(first, len(self.spans)):
            start, end = self.spans[index]
            if start >= span[1]:
                break
            if (shared := min(end, span[1]) - max(start, span[0])) > most:
                best, most = index, shared
        return best


def _skip_space(text: str, place: int) -> int:
    while place < len(text) and text[place].isspace():
        place += 1
    return place


def task_prefix(text: str) -> str:
    """The task prefix that a text starts with, colon included, or an empty string.

    Known are the prefixes T5 was trained with (Raffel et al. 2020, appendix D), `translate X to Y:` for any X and Y, and the
    language marks of Marian (`>>deu<<`). Other prefixes must be named by the caller.

    Args:
        text: a source text.
    """
    match = _PREFIX.match(text) or _LANGUAGE_MARK.match(text)
    return match.group() if match else ""


def categorize(
    words: Words, spans: Sequence[Span], prefix_length: int, function_words: Container[str]
) -> tuple[int, ...]:
    """The category of every token that is no special one: prefix, content, function or punctuation.

    Args:
        words: the words of the text.
        spans: half-open character range of every token.
        prefix_length: number of leading characters that are task prefix.
        function_words: the closed class of the text's language.

    Returns:
        For every token an index into `CATEGORIES`.
    """
    return tuple(
        PREFIX if span[0] < prefix_length else _category_of_word(words, word, function_words)
        for span, word in zip(spans, words.index(spans), strict=True)
    )


def _category_of_word(words: Words, index: int, function_words: Container[str]) -> int:
    if index == NO_WORD or not any(character.isalnum() for character in words.texts[index]):
        return PUNCTUATION
    return FUNCTION if words.texts[index] in function_words else CONTENT
