"""How many of the prompts are independent, and can their targets say anything?

Prompts of one sentence under several task prefixes are one sentence, and prompts with one target are one text to the decoder:
intervals and tests count those, not prompts. Targets that say nothing (one text everywhere, only padding, cut off) are a
property of the run, found once and told first.
"""

from collections.abc import Sequence

import numpy as np

from analyses.core.keys import prompt_keys, rows_by_key, sentence_keys
from analyses.core.text_counts import TextCounts
from interp.text.batch import Batch
from interp.text.words import EOS, PAD


def count_texts(batches: Sequence[Batch]) -> TextCounts:
    """What is independent among the prompts of these batches.

    Args:
        batches: all prompts of a run.
    """
    sentences, targets, blank, unfinished = [], [], 0, 0
    for batch in batches:
        sentences.append(sentence_keys(batch))
        targets.append(prompt_keys(batch, "decoder"))
        blank += sum(set(text.category_of_token) <= {EOS, PAD} for text in batch.target_texts)
        unfinished += len(batch.unfinished)
    keys = np.concatenate(sentences)
    sentence_of = np.zeros(len(keys), dtype=int)
    for number, rows in enumerate(rows_by_key(keys)):
        sentence_of[rows] = number
    return TextCounts(
        sentence_of=tuple(sentence_of.tolist()),
        targets=len(rows_by_key(np.concatenate(targets))),
        blank=blank,
        unfinished=unfinished,
    )
