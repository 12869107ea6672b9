"""A sentence in the caller's words: what a prompt shows of tokens, taken together word by word."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Float

from interp.report.explorer import ExplorerPrompt


def in_words(prompt: ExplorerPrompt, word_of_token: Sequence[int], words: Sequence[str]) -> ExplorerPrompt:
    """The same prompt with source words in place of source tokens; tokens of no word stay as they are.

    What is read of a word, and what comes from it, is the sum over its tokens; what it reads is their mean.

    Args:
        prompt: the prompt, in tokens.
        word_of_token: index into `words` for every source token, or -1.
        words: the words of the source.
    """
    patterns, word = prompt.patterns, np.array(word_of_token)
    starts = np.r_[True, (word[1:] != word[:-1]) | (word[1:] < 0)]
    column = np.cumsum(starts) - 1
    summed: Float[np.ndarray, "source column"] = (column[:, None] == np.arange(column[-1] + 1)).astype(np.float32)
    mean = summed / summed.sum(0)
    names = tuple(
        words[word[place]] if word[place] >= 0 else patterns.source_tokens[place] for place in np.flatnonzero(starts)
    )
    return replace(
        prompt,
        patterns=replace(
            patterns, encoder=mean.T @ patterns.encoder @ summed, cross=patterns.cross @ summed, source_tokens=names
        ),
        sources=prompt.sources @ summed,
        memory=None if prompt.memory is None else np.einsum("tsc,sw->twc", prompt.memory, summed),
    )
