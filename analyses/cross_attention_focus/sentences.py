"""Prompts that share a sentence are one piece of evidence.

A prompt set often has every sentence in several target languages; resampling such prompts one by one would make intervals too
short, and p-values too small. So the numbers of prompts with the same sentence are averaged before anything is summarised:
the unit is the sentence (methods G: cluster by template).
"""

import hashlib
from dataclasses import replace

import numpy as np

from analyses.core.contract import Arrays, Evidence, Observed
from interp.statistics import mean_over_prompts
from interp.text.batch import Batch
from interp.text.words import EOS, PAD, PREFIX

SENTENCE = "sentence"
"""Name of the observed array that says which prompts share a sentence."""


def fingerprints(batch: Batch) -> np.ndarray:
    """Two numbers of every prompt, equal for prompts that differ in their task prefix only and each exact in float32."""
    rows = []
    for text in batch.source_texts:
        pieces = zip(text.pieces, text.category_of_token, strict=True)
        # A space behind the prefix is a token of its own for some tokenizers.
        sentence = "".join(piece for piece, category in pieces if category not in {PREFIX, EOS, PAD}).strip(" ▁Ġ")
        digest = hashlib.sha256(sentence.encode()).digest()
        rows.append([int.from_bytes(digest[:3], "big"), int.from_bytes(digest[3:6], "big")])
    return np.array(rows, dtype=np.float32)


def by_sentence(evidence: Evidence) -> Evidence:
    """The same evidence with a row a sentence, in the order of their first prompts, called by the ids of these."""
    _, first, numbers = np.unique(evidence.model.prompts[SENTENCE], axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    members = [np.flatnonzero(numbers == number) for number in order]

    def averaged(observed: Observed) -> Observed:
        return replace(observed, prompts={name: _means(values, members) for name, values in _numbers(observed).items()})

    return replace(
        evidence,
        prompt_ids=tuple(evidence.prompt_ids[place] for place in first[order]),
        model=averaged(evidence.model),
        twins=tuple(averaged(twin) for twin in evidence.twins),
    )


def _numbers(observed: Observed) -> Arrays:
    return {name: values for name, values in observed.prompts.items() if name != SENTENCE}


def _means(values: np.ndarray, members: list[np.ndarray]) -> np.ndarray:
    """Mean over the prompts of every sentence that have a value."""
    if all(len(rows) == 1 for rows in members):
        alone: np.ndarray = values[np.concatenate(members)]
        return alone
    return np.stack([mean_over_prompts(values[rows]) for rows in members])
