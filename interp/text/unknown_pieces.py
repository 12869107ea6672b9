"""How much of the texts does a tokenizer not know? Where it is much, numbers describe the unknown token and not the texts."""

from collections.abc import Sequence
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


def unknown_share(texts: Sequence[Text], tokenizer: "PreTrainedTokenizerBase | None") -> float:
    """The share of unknown pieces among the pieces of some texts; prefixes, ends of sentence and blanks are no pieces of text.

    Args:
        texts: the texts.
        tokenizer: the model's; without one, or one without an unknown token, nothing is unknown.
    """
    unknown = None if tokenizer is None else tokenizer.unk_token_id
    spoken = [
        token
        for text in texts
        for token, piece, kind in zip(text.ids, text.pieces, text.category_of_token, strict=True)
        if kind in {CONTENT, FUNCTION, PUNCTUATION} and piece.strip("▁Ġ ")
    ]
    return 0.0 if unknown is None or not spoken else sum(token == unknown for token in spoken) / len(spoken)


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


def check_known(texts: Sequence[Text], tokenizer: "PreTrainedTokenizerBase | None") -> float:
    """The share of unknown pieces of some texts, which is at most a half.

    Args:
        texts: the texts.
        tokenizer: the model's.

    Raises:
        InputError: if it is more, with the text that has most unknown pieces.
    """
    share = unknown_share(texts, tokenizer)
    if share > MOST_UNKNOWN:
        worst = max(texts, key=lambda text: unknown_share([text], tokenizer))
        raise InputError(
            f"This model's tokenizer does not know {share:.0%} of the pieces of these texts (at most {MOST_UNKNOWN:.0%} may be "
            f"unknown), for example in {worst.text[:50]!r}; give texts in the model's own language and script."
        )
    return share
