"""What is told of the prompts of a run, gathered in one pass over their batches: little of each, whatever their number."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float, Int

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
    def of(cls, batches: Sequence[Batch], order: Sequence[int] | None = None) -> "ReadPrompts":
        """What is told of prompts.

        Args:
            batches: all prompts.
            order: places in the file of the prompts of the batches, one after another; None where they are those of the batches.
        """
        sources: dict[int, str] = {}
        targets: dict[int, str] = {}
        lengths: dict[int, tuple[int, int]] = {}
        counts: dict[int, np.ndarray] = {}
        languages: dict[int, str] = {}
        unfinished: list[int] = []
        for batch in batches:
            for row, (source, target) in enumerate(zip(batch.source_texts, batch.target_texts, strict=True)):
                place = len(sources) if order is None else order[len(sources)]
                sources[place], targets[place] = source.text, target.text
                lengths[place] = len(source.ids), len(target.ids)
                counts[place] = np.bincount(source.category_of_token, minlength=len(CATEGORIES)).astype(np.int32)
                languages[place] = " or ".join(map(str.capitalize, source.languages))
                unfinished += [place] if row in batch.unfinished else []
        places = range(len(sources))
        both = np.array([lengths[place] for place in places])
        found = np.array([counts.pop(place) for place in places])
        return cls(
            batches[0].target_origin,
            [sources[place] for place in places],
            [targets[place] for place in places],
            both[:, 0],
            both[:, 1],
            (found / found.sum(1, keepdims=True)).mean(0),
            Counter(languages[place] for place in places),
            tuple(sorted(unfinished)),
        )

    def __len__(self) -> int:
        return len(self.sources)
