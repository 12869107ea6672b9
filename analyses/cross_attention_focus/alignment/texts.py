"""From gold words to a model's tokens, by character offsets.

Gold alignments number the words of a tokenized text ("cherry-pick ."), while the model must see the text as people write it
("cherry-pick."). Both hold the same characters in the same order apart from white space, so every gold word has a range of
characters, and every token belongs to the word with which it shares most characters (`interp.text.words.Words.spelled`).
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from interp.errors import InputError
from interp.prompts import Prompt
from interp.text.tokenized_text import Side, tokenize
from interp.text.words import NO_WORD, PREFIX, Words

_LANGUAGES = re.compile(r"(translate )([^\W\d_]+)( to )([^\W\d_]+)(:)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AlignedPair:
    """A sentence pair as the model reads it, and the words that gold links count.

    Attributes:
        prefix: task prefix, possibly empty.
        source: source text with its task prefix.
        target: target text.
        source_words: gold words of the source, the prefix not among them.
        target_words: gold words of the target.
    """

    prefix: str
    source: str
    target: str
    source_words: tuple[str, ...]
    target_words: tuple[str, ...]


def pairs_from_prompts(prompts: Sequence[Prompt]) -> tuple[AlignedPair, ...]:
    """Sentence pairs from prompts with targets.

    The words are those of the fields `source_words` and `target_words` (separated by spaces) where a prompt has them, and else
    the words and marks of the texts (`interp.text.words.Words`).

    Raises:
        InputError: if a prompt has no target.
    """
    pairs = []
    for prompt in prompts:
        if prompt.target is None:
            raise InputError(
                f"Prompt {prompt.id} has no target; alignment needs the translation that the gold links are about."
            )
        pairs.append(
            AlignedPair(
                prefix=prompt.prefix,
                source=prompt.source,
                target=prompt.target,
                source_words=_words(prompt.fields.get("source_words"), prompt.sentence),
                target_words=_words(prompt.fields.get("target_words"), prompt.target),
            )
        )
    return tuple(pairs)


def reversed_pairs(pairs: Sequence[AlignedPair], prefix: str | None = None) -> tuple[AlignedPair, ...]:
    """The same pairs for a model that translates the other way: source and target exchanged, words with them.

    Args:
        pairs: sentence pairs.
        prefix: task prefix of the other direction; by default that of every pair with its two languages exchanged
            (`translate English to German:` becomes `translate German to English:`), and none for none.

    Raises:
        InputError: if there is no prefix to take and a pair's own names no two languages.
    """
    pairs_back = []
    for pair in pairs:
        task = _exchanged(pair.prefix) if prefix is None else prefix.strip()
        pairs_back.append(
            AlignedPair(
                prefix=task,
                source=f"{task} {pair.target}" if task else pair.target,
                target=pair.source[len(pair.prefix) :].strip(),
                source_words=pair.target_words,
                target_words=pair.source_words,
            )
        )
    return tuple(pairs_back)


def _exchanged(prefix: str) -> str:
    task = prefix.strip()
    match = _LANGUAGES.fullmatch(task)
    if task and match is None:
        raise InputError(
            f"The task prefix {task!r} does not name two languages to exchange; give the prefix of the other direction with "
            "--reverse-prefix."
        )
    return match.expand(r"\1\4\3\2\5") if match else ""


def _words(given: str | None, text: str) -> tuple[str, ...]:
    return Words.of(text).texts if given is None else tuple(given.split())


def words_of_tokens(
    text: str,
    words: Sequence[str],
    tokenizer: PreTrainedTokenizerBase,
    prefix: str = "",
    side: Side = "source",
) -> tuple[int, ...]:
    """For every token of a text the gold word it belongs to, or -1 (prefix, end of sentence).

    Raises:
        InputError: if the words do not spell the text.
    """
    spelled = Words.spelled(text, words, len(prefix))
    read = tokenize(text, tokenizer, tokenizer.eos_token_id, prefix, side, spelled)
    categories = zip(read.word_of_token, read.category_of_token, strict=True)
    return tuple(NO_WORD if category == PREFIX else word for word, category in categories)
