"""Which tokens of a batch a store keeps, and what it says of each.

A row of the source is a token of the source. A row of the target is a decoder row, named by the token that it predicts; `reads`
is the token that it reads (the start token in the first row).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Int
from torch import Tensor

from interp.activations.manifest import Kept
from interp.text.batch import Batch
from interp.text.tokenized_text import Side, Text
from interp.text.words import CATEGORIES, NO_WORD

Columns = dict[str, list[int] | list[str]]
"""Column of the index -> its values."""


@dataclass(frozen=True, slots=True, eq=False)
class TokenRows:
    """The kept tokens of one side of a batch, prompt by prompt.

    Attributes:
        flat: of every kept token, prompt x positions + position.
        columns: what the index says of them.
    """

    flat: Int[Tensor, " row"]
    columns: Columns

    def __len__(self) -> int:
        return self.flat.numel()


def rows_of(batch: Batch, side: Side, ids: Sequence[str], first_prompt: int, keep: Sequence[Kept]) -> TokenRows:
    """The tokens of one side that are kept.

    Special are tokens that belong to no word: ends of sentence, sentinels, language marks.

    Args:
        batch: the prompts.
        side: whose tokens.
        ids: of the prompts.
        first_prompt: number of the first prompt in its corpus, from 0.
        keep: what is kept beside ordinary tokens.
    """
    texts = batch.source_texts if side == "source" else batch.target_texts
    read = (batch.input_ids if side == "source" else batch.decoder_input_ids).tolist()
    width = len(read[0])
    flat: list[int] = []
    rows: list[tuple[int | str, ...]] = []
    for number, text in enumerate(texts):
        kept = [place for place in range(len(text.ids)) if _is_kept(text, place, keep)]
        flat += [number * width + place for place in kept]
        who = (first_prompt + number, ids[number])
        rows += [(*who, *_facts(text, place, read[number][place])) for place in kept]
        if "padding" in keep:
            behind = range(len(text.ids), width)
            flat += [number * width + place for place in behind]
            rows += [
                (*who, place, read[number][place], "", read[number][place], "", NO_WORD, "pad") for place in behind
            ]
    columns = zip(*rows, strict=True) if rows else ([] for _ in COLUMNS)
    return TokenRows(
        torch.tensor(flat, dtype=torch.long), {name: list(c) for name, c in zip(COLUMNS, columns, strict=True)}
    )


COLUMNS = ("prompt", "id", "position", "token", "piece", "reads", "word", "word_number", "category")
"""Columns of the index: number and id of the prompt; position, id and piece of the token; the token that the row reads; its word
and the word's number in the text (-1 for none); its category, one of `interp.text.words.CATEGORIES`."""


def _is_kept(text: Text, place: int, keep: Sequence[Kept]) -> bool:
    if place in text.forced and "forced" not in keep:
        return False
    return "special" in keep or text.word_of_token[place] != NO_WORD or place in text.forced


def _facts(text: Text, place: int, reads: int) -> tuple[int | str, ...]:
    number = text.word_of_token[place]
    word = "" if number == NO_WORD else text.words[number]
    category = CATEGORIES[text.category_of_token[place]]
    return place, text.ids[place], text.pieces[place], reads, word, number, category
