"""How much of the texts does a tokenizer not know? Where it is much, numbers describe the unknown token and not the texts."""

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from interp.errors import InputError
from interp.text.tokenized_text import Text
from interp.text.words import CONTENT, FUNCTION, PUNCTUATION

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

MOST_UNKNOWN = 0.5
"""Share of unknown pieces above which texts are refused."""

NOTED_UNKNOWN = 0.05
"""Share above which it is said."""


def unknown_share(texts: Iterable[Text], tokenizer: "PreTrainedTokenizerBase | None") -> float:
    """The share of unknown pieces among the pieces of some texts; prefixes, ends of sentence and blanks are no pieces of text.

    Args:
        texts: the texts.
        tokenizer: the model's; without one, or one without an unknown token, nothing is unknown.
    """
    return _shares(texts, tokenizer)[0]


def _shares(texts: Iterable[Text], tokenizer: "PreTrainedTokenizerBase | None") -> tuple[float, str]:
    """The share of unknown pieces, and the text that has most of them."""
    unknown = None if tokenizer is None else tokenizer.unk_token_id
    of_all, spoken_of_all, most, worst = 0, 0, -1.0, ""
    for text in texts:
        spoken = [
            token
            for token, piece, kind in zip(text.ids, text.pieces, text.category_of_token, strict=True)
            if kind in {CONTENT, FUNCTION, PUNCTUATION} and piece.strip("▁Ġ ")
        ]
        found = 0 if unknown is None else spoken.count(unknown)
        of_all, spoken_of_all = of_all + found, spoken_of_all + len(spoken)
        if found > most * len(spoken):
            most, worst = found / len(spoken) if spoken else 0.0, text.text
    return (of_all / spoken_of_all if spoken_of_all else 0.0), worst


def unknown_notes(share: float) -> tuple[str, ...]:
    """What is to be said of a share of unknown pieces, if anything.

    Args:
        share: of the pieces of some texts.
    """
    if share <= NOTED_UNKNOWN:
        return ()
    return (
        f"The tokenizer does not know {share:.0%} of the pieces of these texts: there numbers are about its unknown token, not "
        "about the words.",
    )


def check_known(texts: Iterable[Text], tokenizer: "PreTrainedTokenizerBase | None") -> float:
    """The share of unknown pieces of some texts, which is at most a half.

    Args:
        texts: the texts.
        tokenizer: the model's.

    Raises:
        InputError: if it is more, with the text that has most unknown pieces.
    """
    share, worst = _shares(texts, tokenizer)
    _check_share(share, worst)
    return share


class UnknownTally:
    """How much of a corpus a tokenizer does not know, from ids alone, text by text: a corpus does not lie in memory.

    Args:
        tokenizer: the model's.
    """

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        blanks = tokenizer.convert_tokens_to_ids(["▁", "Ġ"])
        self._tokenizer, self._unknown = tokenizer, tokenizer.unk_token_id
        self._silent = {*tokenizer.all_special_ids, *blanks} - {self._unknown}
        self._of_all, self._spoken, self._most, self._worst = 0, 0, -1.0, ""
        self._length = lru_cache(self._prefix_length)

    def add(self, ids: Sequence[int], text: str, prefix: str = "") -> None:
        """Count a text.

        Args:
            ids: of the whole text.
            text: the text.
            prefix: the task prefix that it begins with, which is no piece of text.
        """
        if self._unknown is None:
            return
        found = sum(token == self._unknown for token in ids)
        spoken = max(sum(token not in self._silent for token in ids) - self._length(prefix), found)
        self._of_all, self._spoken = self._of_all + found, self._spoken + spoken
        if found > self._most * spoken:
            self._most, self._worst = found / spoken if spoken else 0.0, text

    def check(self) -> None:
        """Refuse the corpus if more than half of its pieces are unknown.

        Raises:
            InputError: with the text that has most unknown pieces.
        """
        _check_share(self._of_all / self._spoken if self._spoken else 0.0, self._worst)

    def _prefix_length(self, prefix: str) -> int:
        ids = self._tokenizer(prefix, add_special_tokens=False).input_ids if prefix else ()
        return sum(token not in self._silent for token in ids)


def _check_share(share: float, worst: str) -> None:
    if share > MOST_UNKNOWN:
        raise InputError(
            f"This model's tokenizer does not know {share:.0%} of the pieces of these texts (at most {MOST_UNKNOWN:.0%} may be "
            f"unknown), for example in {worst[:50]!r}; give texts in the model's own language and script."
        )
