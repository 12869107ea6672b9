"""Keys of texts: which prompts read the same text, and which the same sentence under another task prefix?

A text is known by the whole SHA-256 of it, so no two texts pass for one. Repeating a text makes nobody surer: the numbers of
prompts with one key are averaged before anything is summarized.
"""

from collections.abc import Iterable
from hashlib import sha256

import numpy as np
from jaxtyping import Float, Int, UInt8

from interp.axes import AttentionKind
from interp.statistics import mean_over_prompts
from interp.text.batch import Batch
from interp.text.words import EOS, PAD, PREFIX

Keys = UInt8[np.ndarray, "prompt byte"]


def text_key(text: str) -> str:
    """The SHA-256 of a text, hexadecimal."""
    return sha256(text.encode()).hexdigest()


def keys_of(texts: Iterable[str]) -> Keys:
    """The SHA-256 of every text as an array of 32 bytes."""
    return np.array([list(bytes.fromhex(text_key(text))) for text in texts], dtype=np.uint8)


def prompt_keys(batch: Batch, kind: AttentionKind) -> Keys:
    """Keys of what the queries and keys of one kind of attention are made from, as the model reads it: as token ids."""
    pairs = [(source.ids, target.ids) for source, target in zip(batch.source_texts, batch.target_texts, strict=True)]
    read = {"encoder": slice(0, 1), "decoder": slice(1, 2), "cross": slice(0, 2)}[kind]
    return keys_of(repr(pair[read]) for pair in pairs)


def sentence_keys(batch: Batch) -> Keys:
    """Keys of the sources without task prefix and end of sentence."""
    sentences = []
    for text in batch.source_texts:
        pieces = zip(text.pieces, text.category_of_token, strict=True)
        # A space behind the prefix is a token of its own for some tokenizers.
        sentences.append("".join(piece for piece, kind in pieces if kind not in {PREFIX, EOS, PAD}).strip(" ▁Ġ"))
    return keys_of(sentences)


def rows_by_key(*keys: Keys) -> list[Int[np.ndarray, " _"]]:
    """The rows of prompts that share a key, directly or through others, in the order of their first prompts.

    Args:
        *keys: one or several keys of every prompt, such as of its text and of its sentence.
    """
    groups = np.arange(len(keys[0]))
    numbers = [np.unique(one, axis=0, return_inverse=True)[1].ravel() for one in keys]
    while True:
        before = groups
        for one in numbers:
            smallest = np.full(one.max(initial=-1) + 1, len(groups))
            np.minimum.at(smallest, one, groups)
            groups = smallest[one]
        if np.array_equal(before, groups):
            return rows_by_number(groups)


def rows_by_number(numbers: Int[np.ndarray, " prompt"]) -> list[Int[np.ndarray, " _"]]:
    """The rows of prompts with the same number, smallest number first; one sort, however many numbers there are.

    Args:
        numbers: of every prompt.
    """
    order = np.argsort(numbers, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(numbers[order])) + 1)


def means_by_key(
    values: Float[np.ndarray, " prompt *cells"], rows: list[Int[np.ndarray, " _"]]
) -> Float[np.ndarray, " text *cells"]:
    """Means over the prompts of every key that have a value; the values themselves where no key is shared."""
    if len(rows) == len(values):
        order = np.concatenate(rows)
        # Of a corpus a copy of everything would be what a run needs most memory for.
        return values if np.array_equal(order, np.arange(len(values))) else np.asarray(values[order])
    return np.stack([mean_over_prompts(values[shared]) for shared in rows])
