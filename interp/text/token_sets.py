"""Token sets: which positions of a batch a question is about, as masks [batch pos] that can be combined with `&`, `|` and `~`.

    last(batch, "source")                    the end-of-sentence token of every source
    of_word(batch, "source", "dog")          every token of that word
    answer(batch)                            decoder rows that choose a token of the target, end of sentence excluded

A decoder row t reads token t of the decoder input and predicts label t; sets on the target side are rows, counted by what they
predict.
"""

from typing import Literal

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from interp.errors import InputError
from interp.text.batch import Batch
from interp.text.tokenized_text import Side
from interp.text.words import EOS, EVERY_CATEGORY, NO_WORD

Positions = Bool[Tensor, "batch pos"]
"""True at the positions that belong to the set; never at padding."""

PositionClass = Literal["first", "ordinary", "final"]
POSITION_CLASSES: tuple[PositionClass, ...] = ("first", "ordinary", "final")


def every(batch: Batch, side: Side) -> Positions:
    """All tokens of a side, without padding.

    Args:
        batch: the prompts.
        side: `source` or `target`.
    """
    return batch.source_mask if side == "source" else batch.target_mask


def first(batch: Batch, side: Side) -> Positions:
    """The first token of every source, or the row that reads the start token.

    Args:
        batch: the prompts.
        side: `source` or `target`.
    """
    mask = every(batch, side)
    return mask & (torch.arange(mask.shape[1], device=mask.device) == 0)


def last(batch: Batch, side: Side) -> Positions:
    """The last token of every source (end of sentence), or the last row of every target, which predicts end of sentence.

    Args:
        batch: the prompts.
        side: `source` or `target`.
    """
    mask = every(batch, side)
    return mask & (torch.arange(mask.shape[1], device=mask.device) == mask.sum(1, keepdim=True) - 1)


def answer(batch: Batch) -> Positions:
    """The decoder rows that choose a token of the target text: all but those that predict end of sentence or a forced token.

    Args:
        batch: the prompts.
    """
    return every(batch, "target") & ~_ends(batch, "target") & ~batch.forced_mask


def _ends(batch: Batch, side: Side) -> Positions:
    """Where texts end with an end of sentence; not all do."""
    if side == "source":
        return batch.source_categories == EOS
    mask = torch.zeros_like(batch.target_mask)
    for row, text in enumerate(batch.target_texts):
        for place, category in enumerate(text.category_of_token):
            mask[row, place] = category == EOS
    return mask


def of_category(batch: Batch, *categories: str) -> Positions:
    """The source tokens of some categories.

    Args:
        batch: the prompts.
        categories: some of `EVERY_CATEGORY`.

    Raises:
        InputError: if a category is unknown.
    """
    unknown = [category for category in categories if category not in EVERY_CATEGORY]
    if unknown:
        raise InputError(f"No token category is called {unknown[0]!r}; there are {', '.join(EVERY_CATEGORY)}.")
    wanted = torch.tensor([EVERY_CATEGORY.index(category) for category in categories], device=batch.input_ids.device)
    return torch.isin(batch.source_categories, wanted) & batch.source_mask


def of_word(batch: Batch, side: Side, word: str) -> Positions:
    """Every token of a word (as in `Text.words`, case as written) in every text that has it, all its occurrences.

    Args:
        batch: the prompts.
        side: `source` or `target`.
        word: the word.

    Raises:
        InputError: if no text has the word.
    """
    texts = batch.source_texts if side == "source" else batch.target_texts
    mask = torch.zeros_like(every(batch, side))
    for row, text in enumerate(texts):
        for position, index in enumerate(text.word_of_token):
            mask[row, position] = index != NO_WORD and text.words[index] == word
    if not mask.any():
        raise InputError(f"No {side} text of this batch has the word {word!r}; words are matched as they are written.")
    return mask


def classes(batch: Batch, side: Side) -> Int[Tensor, "batch pos"]:
    """For every position the index of its class in `POSITION_CLASSES`: first, ordinary or final; -1 at padding.

    The first decoder row and the end of sentence play roles of their own in T5 (sinks), so a mean over all positions would
    describe none of them; a text that ends without one has no final position. A text of one token counts as first: its only
    decoder row reads the start token and sees nothing else, as every first row does.

    Args:
        batch: the prompts.
        side: whose positions.
    """
    found = torch.full_like(every(batch, side), -1, dtype=torch.long)
    for index, mask in ((1, every(batch, side)), (2, _ends(batch, side)), (0, first(batch, side))):
        found[mask] = index
    return found
