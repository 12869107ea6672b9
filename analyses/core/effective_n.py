"""How many of the prompts are independent, and can their targets say anything?

Prompts of one sentence under several task prefixes are one sentence, and prompts with one target are one text to the decoder:
intervals and tests count those, not prompts. Targets that say nothing (one text everywhere, only padding, cut off) are a
property of the run, found once and told first.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from analyses.core.keys import prompt_keys, rows_by_key, sentence_keys
from interp.text.batch import Batch
from interp.text.words import EOS, PAD

_MOST = 0.5
"""Share of the targets that may be blank, or cut off, before decoder and cross-attention are not judged."""


@dataclass(frozen=True, slots=True)
class TextCounts:
    """What is independent among the prompts of a run.

    Attributes:
        sentence_of: for every prompt the number of its sentence, whatever its task prefix; numbered as they first occur.
        targets: different decoder inputs among them.
        blank: prompts whose target holds nothing but padding and ends of sentence.
        unfinished: prompts whose generated target met the length limit.
    """

    sentence_of: tuple[int, ...]
    targets: int
    blank: int = 0
    unfinished: int = 0

    @property
    def prompts(self) -> int:
        """How many prompts were run."""
        return len(self.sentence_of)

    @property
    def sentences(self) -> int:
        """How many of them are independent."""
        return max(self.sentence_of, default=-1) + 1

    @property
    def fault(self) -> str:
        """Why the targets say nothing of decoder and cross-attention heads, as a clause; empty if they do."""
        if self.blank > _MOST * self.prompts:
            return f"{self.blank} of {self.prompts} targets hold nothing but padding and ends of sentence"
        if self.targets == 1 and self.sentences > 1:
            return f"all {self.prompts} prompts have one and the same target"
        if self.unfinished > _MOST * self.prompts:
            return f"{self.unfinished} of {self.prompts} generated targets met the length limit before their end"
        return ""

    def __str__(self) -> str:
        return (
            f"{_number(self.prompts, 'prompt')} ({_number(self.sentences, 'distinct sentence')}, "
            f"{_number(self.targets, 'distinct target')})"
        )


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def count_texts(batches: Sequence[Batch]) -> TextCounts:
    """What is independent among the prompts of these batches.

    Args:
        batches: all prompts of a run.
    """
    targets = [text for batch in batches for text in batch.target_texts]
    special = {EOS, PAD}
    sentence_of = np.zeros(len(targets), dtype=int)
    for number, rows in enumerate(rows_by_key(np.concatenate([sentence_keys(batch) for batch in batches]))):
        sentence_of[rows] = number
    return TextCounts(
        sentence_of=tuple(sentence_of.tolist()),
        targets=len(rows_by_key(np.concatenate([prompt_keys(batch, "decoder") for batch in batches]))),
        blank=sum(set(text.category_of_token) <= special for text in targets),
        unfinished=sum(len(batch.unfinished) for batch in batches),
    )
