"""What one prompt's readings look like token by token and word by word: the matrices behind explorer, figure and tables."""

import numpy as np
from jaxtyping import Float, Int

from analyses.core.contract import Example
from analyses.cross_attention_focus.measure.category_mass import Version
from analyses.cross_attention_focus.measure.observe import LEAST_RETAINED
from interp.text.words import CATEGORIES


def example_matrices(example: Example, version: Version) -> Float[np.ndarray, "layer target source"]:
    """The example's reading of every layer, masked tokens 0 and the rest renormalized in the masked version."""
    return _version(example, example.arrays["norm.layer" if version == "norm" else "raw.layer"], version)


def head_matrices(example: Example, version: Version) -> Float[np.ndarray, "layer head target source"]:
    """The same of every head."""
    return _version(example, example.arrays["norm.head" if version == "norm" else "raw.head"], version)


def _version(example: Example, weights: np.ndarray, version: Version) -> np.ndarray:
    values = weights.astype(np.float64)
    if version != "masked":
        return values
    inside = np.where(np.isin(example.arrays["categories"], masked_categories(version)), 0.0, values)
    retained = inside.sum(-1, keepdims=True)
    shares: np.ndarray = np.divide(inside, retained, out=np.full_like(inside, np.nan), where=retained >= LEAST_RETAINED)
    return shares


def masked_categories(version: Version) -> list[int]:
    """Indices of the categories that a version leaves out."""
    return [CATEGORIES.index(name) for name in ("prefix", "eos", "pad")] if version == "masked" else []


def source_words(example: Example) -> tuple[Int[np.ndarray, " source"], tuple[str, ...]]:
    """For every source token the column it belongs to, and the columns' names; tokens of no word have their own."""
    word = example.arrays["source_words"]
    starts = np.r_[True, (word[1:] != word[:-1]) | (word[1:] < 0)]
    columns = np.cumsum(starts) - 1
    names = [
        "".join(piece for piece, own in zip(example.source_pieces, columns, strict=True) if own == column).lstrip("▁")
        or "▁"
        for column in range(columns[-1] + 1)
    ]
    return columns, tuple(names)


def by_word(
    values: Float[np.ndarray, "*leading target source"], columns: Int[np.ndarray, " source"]
) -> Float[np.ndarray, "*leading target column"]:
    """Weights summed over the pieces of a word; the last column is left for what does not come from the source, undefined."""
    summed = values @ (columns[:, None] == np.arange(columns[-1] + 1))
    return np.concatenate([summed, np.full((*summed.shape[:-1], 1), np.nan)], -1)
