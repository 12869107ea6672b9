"""How many of the prompts are independent, and can their targets say anything? As numbers; `effective_n` counts them."""

from dataclasses import dataclass

from interp.report.numbers import counted

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
            f"{counted(self.prompts, 'prompt')} ({counted(self.sentences, 'distinct sentence')}, "
            f"{counted(self.targets, 'distinct target')})"
        )
