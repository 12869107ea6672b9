"""What is told of the prompts of a run, gathered in one pass over their batches: little of each, whatever their number."""

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

from interp.prompts import Prompt
from interp.text.batch import Batch, TargetOrigin
from interp.text.words import CATEGORIES

Lengths = Int[np.ndarray, " prompt"]


@dataclass(frozen=True, slots=True, eq=False)
class ReadPrompts:
    """The prompts as the model read them, in the order of their file.

    Attributes:
        origin: of the targets.
        sources: what was tokenized.
        targets: what the decoder was fed.
        source_lengths: in tokens.
        target_lengths: in tokens.
        shares: mean over prompts of the share of their source tokens in every category.
        languages: how many sources were told apart by whose lists of function words.
        unfinished: places of the prompts whose generated target met the length limit.
    """

    origin: TargetOrigin
    sources: Sequence[str]
    targets: Sequence[str]
    source_lengths: Lengths
    target_lengths: Lengths
    shares: Float[np.ndarray, " category"]
    languages: Counter[str]
    unfinished: tuple[int, ...]

    @classmethod
    def of(
        cls, batches: Sequence[Batch], order: Sequence[int] | None = None, prompts: Sequence[Prompt] = ()
    ) -> "ReadPrompts":
        """What is told of prompts.

        Args:
            batches: all prompts.
            order: places in the file of the prompts of the batches, one after another; None where they are those of the batches.
            prompts: as they were given, in the order of their file: a text that is one of theirs is kept once.
        """
        count = sum(map(len, batches)) if order is None else len(order)
        sources, targets, languages = ([""] * count for _ in range(3))
        lengths = np.zeros((count, 2), np.int64)
        counts = np.zeros((count, len(CATEGORIES)), np.int32)
        unfinished: list[int] = []
        places = iter(range(count) if order is None else order)
        for batch in batches:
            for row, (source, target) in enumerate(zip(batch.source_texts, batch.target_texts, strict=True)):
                place = next(places)
                own = prompts[place] if prompts else None
                sources[place] = own.source if own and own.source == source.text else source.text
                targets[place] = own.target if own and own.target == target.text else target.text
                lengths[place] = len(source.ids), len(target.ids)
                counts[place] = np.bincount(source.category_of_token, minlength=len(CATEGORIES))
                languages[place] = sys.intern(" or ".join(map(str.capitalize, source.languages)))
                unfinished += [place] if row in batch.unfinished else []
        return cls(
            batches[0].target_origin,
            sources,
            targets,
            lengths[:, 0],
            lengths[:, 1],
            (counts / counts.sum(1, keepdims=True)).mean(0),
            Counter(languages),
            tuple(sorted(unfinished)),
        )

    def __len__(self) -> int:
        return len(self.sources)
